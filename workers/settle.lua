-- Write the end of jobs that succeeded, as RQ does it, and count what came of them.
--
-- KEYS[1] ackfirst:hands:<engine>         hash job id -> <take> <execution id> <lane>
-- KEYS[2] rq:worker:<engine>              hash
-- KEYS[3] rq:worker:<engine>:executions   set of <job id>:<execution id>
-- KEYS[4] ackfirst:outcomes               hash of counters
-- KEYS[5] ackfirst:handler-times          hash <handler>:seconds / <handler>:runs
-- ARGV[1] the engine   ARGV[2] now, unix seconds   ARGV[3] prefix of lane names in RQ   ARGV[4] field of the kills
-- ARGV[5] prefix of job keys   ARGV[6] prefix of the keys of marks   ARGV[7] number of handlers
-- then for each handler: its name, runs, seconds
-- then for each job: id, execution id, lane, outcome, result as RQ encodes it, seconds for which the job stays,
-- began and ended in unix seconds, ended as RQ writes times
--
-- Returns the ids that RQ itself must end, because other jobs wait for them. A job that is not in the engine's hands is
-- not touched and not counted: an earlier call has ended it, or the engine was taken for dead and another has it.
-- What a stranger left under one of a job's keys, of another type, is left there.
local function write(...)
  local done = redis.pcall(...)
  if type(done) == 'table' and done.err and string.sub(done.err, 1, 9) ~= 'WRONGTYPE' then
    redis.call(...) -- raises it as it is
  end
end

local left = {}
local gone = {}
local count = 0
local working = 0.0
local outcomes = {}
local first = 8 + 3 * tonumber(ARGV[7])
for at = first, #ARGV, 9 do
  local id, execution, lane = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local held = redis.call('HGET', KEYS[1], id)
  if held and string.find(held, ' ' .. execution .. ' ', 1, true) then
    local job = ARGV[5] .. id
    if redis.call('EXISTS', job .. ':dependents') == 1 then
      left[#left + 1] = id
    else
      local results, keep = 'rq:results:' .. id, ARGV[at + 5]
      local composite = id .. ':' .. execution
      write('XADD', results, 'MAXLEN', '10', '*', 'type', '1', 'worker_name', ARGV[1], 'return_value', ARGV[at + 4],
        'execution_id', execution, 'execution_started_at', ARGV[at + 6], 'execution_ended_at', ARGV[at + 7])
      redis.call('EXPIRE', results, keep)
      if redis.call('EXISTS', job) == 1 then
        redis.call('HSET', job, 'status', 'finished', 'ended_at', ARGV[at + 8], 'last_heartbeat', ARGV[at + 8])
        redis.call('HDEL', job, ARGV[4])
      end
      redis.call('EXPIRE', job, keep)
      write('ZADD', 'rq:finished:' .. ARGV[3] .. lane, tonumber(ARGV[2]) + tonumber(keep), id)
      write('ZREM', 'rq:wip:' .. ARGV[3] .. lane, composite)
      redis.call('DEL', 'rq:execution:' .. composite, 'rq:executions:' .. id, ARGV[6] .. id)
      redis.call('HDEL', KEYS[1], id)
      gone[#gone + 1] = composite
      count = count + 1
      working = working + tonumber(ARGV[at + 7]) - tonumber(ARGV[at + 6])
      outcomes[ARGV[at + 3]] = (outcomes[ARGV[at + 3]] or 0) + 1
    end
  end
end
if count > 0 then
  redis.call('SREM', KEYS[3], unpack(gone))
  redis.call('HINCRBY', KEYS[2], 'successful_job_count', count)
  redis.call('HINCRBYFLOAT', KEYS[2], 'total_working_time', string.format('%.6f', working))
  for outcome, number in pairs(outcomes) do
    redis.call('HINCRBY', KEYS[4], outcome, number)
  end
  for at = 8, first - 1, 3 do
    redis.call('HINCRBY', KEYS[5], ARGV[at] .. ':runs', ARGV[at + 1])
    redis.call('HINCRBYFLOAT', KEYS[5], ARGV[at] .. ':seconds', ARGV[at + 2])
  end
end
return left
