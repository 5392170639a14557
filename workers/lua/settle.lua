-- Write the end of jobs that succeeded, as RQ does it.
--
-- KEYS[1] ackfirst:in-flight:<engine>         hash job id -> <take> <execution id> <lane>
-- KEYS[2] rq:worker:<engine>              hash
-- KEYS[3] rq:worker:<engine>:executions   set of <job id>:<execution id>
-- KEYS[4] ackfirst:record                     stream of what happened
-- ARGV[1] the engine   ARGV[2] now, unix seconds   ARGV[3] prefix of lane names in RQ   ARGV[4] field of the kills
-- ARGV[5] prefix of job keys   ARGV[6] prefix of the keys of marks
-- ARGV[7] '1' if the record is on: finished jobs then stay until the recorder has them   ARGV[8] what is added to the
-- score of such a job in RQ's registry of finished ones
-- then for each job: id, execution id, lane, result as RQ encodes it, seconds for which the job stays,
-- began and ended in unix seconds, ended as RQ writes times, '1' if it has killed workers, outcome for the record
--
-- Returns two lists: the ids that RQ itself must end, because other jobs wait for them; and those that are lost: the
-- engine was taken for dead, and another has them. A job that the engine does not have in flight is not touched.
-- What another program left under one of a job's keys, of another type, is left there. A call of a command costs more than
-- most commands: what can be done for many jobs at once is.
local call = redis.call

local function write(...)
  local done = redis.pcall(...)
  if type(done) == 'table' and done.err and string.sub(done.err, 1, 9) ~= 'WRONGTYPE' then
    call(...) -- raises it as it is
  end
end

local first, stride = 9, 10
local is_recorded = ARGV[7] == '1'
local ids, jobs, dependents = {}, {}, {}
for at = first, #ARGV, stride do
  ids[#ids + 1] = ARGV[at]
  jobs[#jobs + 1] = ARGV[5] .. ARGV[at]
  dependents[#dependents + 1] = ARGV[5] .. ARGV[at] .. ':dependents'
end
local held = call('HMGET', KEYS[1], unpack(ids))
local all_exist = call('EXISTS', unpack(jobs)) == #jobs
local some_depend = call('EXISTS', unpack(dependents)) > 0

local left, lost, gone, ended, trash, outcomes = {}, {}, {}, {}, {}, {}
local working = 0.0
local lanes = {}

local function settle(at, job)
  local id, lane, keep, seconds = ARGV[at], ARGV[at + 2], ARGV[at + 4], ARGV[at + 6] - ARGV[at + 5]
  local results, composite = 'rq:results:' .. id, id .. ':' .. ARGV[at + 1]
  write('XADD', results, 'MAXLEN', '10', '*', 'type', '1', 'worker_name', ARGV[1], 'return_value', ARGV[at + 3],
    'execution_id', ARGV[at + 1], 'execution_started_at', ARGV[at + 5], 'execution_ended_at', ARGV[at + 6])
  call('EXPIRE', results, keep)
  if all_exist or call('EXISTS', job) == 1 then
    call('HSET', job, 'status', 'finished', 'ended_at', ARGV[at + 7], 'last_heartbeat', ARGV[at + 7])
    if ARGV[at + 8] == '1' then
      call('HDEL', job, ARGV[4])
    end
    if not is_recorded then
      call('EXPIRE', job, keep)
    end
  end
  local of_lane = lanes[lane] or {finished = {}, running = {}}
  lanes[lane] = of_lane
  of_lane.finished[#of_lane.finished + 1] = string.format('%.6f', ARGV[2] + (is_recorded and ARGV[8] or keep))
  of_lane.finished[#of_lane.finished + 1] = id
  of_lane.running[#of_lane.running + 1] = composite
  for _, key in ipairs({'rq:execution:' .. composite, 'rq:executions:' .. id, ARGV[6] .. id}) do
    trash[#trash + 1] = key
  end
  ended[#ended + 1] = id
  outcomes[#outcomes + 1] = ARGV[at + 9]
  gone[#gone + 1] = composite
  working = working + seconds
end

for index, id in ipairs(ids) do
  local at = first + stride * (index - 1)
  if held[index] and string.find(held[index], ' ' .. ARGV[at + 1] .. ' ', 1, true) then
    if some_depend and call('EXISTS', dependents[index]) == 1 then
      left[#left + 1] = id
    else
      settle(at, jobs[index])
    end
  else
    local status, worker = unpack(redis.pcall('HMGET', jobs[index], 'status', 'worker_name'))
    if status ~= 'finished' or worker ~= ARGV[1] then -- else an earlier call has ended it, whose answer was lost
      lost[#lost + 1] = id
    end
  end
end
for lane, of_lane in pairs(lanes) do
  write('ZADD', 'rq:finished:' .. ARGV[3] .. lane, unpack(of_lane.finished))
  write('ZREM', 'rq:wip:' .. ARGV[3] .. lane, unpack(of_lane.running))
end
if #ended > 0 then
  if is_recorded then -- before the engine lets go of the jobs: if this is refused, the whole call is repeated
    write('XADD', KEYS[4], '*', 'o', '[' .. table.concat(outcomes, ',') .. ']')
  end
  call('DEL', unpack(trash))
  call('HDEL', KEYS[1], unpack(ended))
  call('SREM', KEYS[3], unpack(gone))
  call('HINCRBY', KEYS[2], 'successful_job_count', #ended)
  call('HINCRBYFLOAT', KEYS[2], 'total_working_time', string.format('%.6f', working))
end
return {left, lost}
