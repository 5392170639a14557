-- Put a job whose worker has died back into its lane, or make it a dead letter.
--
-- KEYS[1] rq:job:<id>                    the job hash
-- KEYS[2] rq:queue:<name>                list of waiting jobs
-- KEYS[3] rq:queue:<name>:intermediate   list of jobs that are taken but not started
-- KEYS[4] rq:wip:<name>                  sorted set <job id>:<execution id> -> unix second
-- KEYS[5] rq:executions:<id>             sorted set of the job's execution ids
-- KEYS[6] ackfirst:engines               hash engine -> heartbeat counter, or cause of death
-- KEYS[7] ackfirst:bell                  list of tokens that wake idle workers
-- KEYS[8] rq:failed:<name>               sorted set of dead letters
-- KEYS[9] rq:results:<id>                stream of the job's results
-- KEYS[10] ackfirst:in-flight:<engine>       hash job id -> <take> <execution id> <lane> ('held')
-- KEYS[11] ackfirst:ready                sorted set lane -> turn: the lanes that have work
-- KEYS[12] ackfirst:record              stream of what happened
-- ARGV[1] job id   ARGV[2] why it is looked at: 'held', 'overdue', 'stranded'
-- ARGV[3] the engine that died ('held'), the member of KEYS[4] ('overdue')
-- ARGV[4] the engine's entry in KEYS[6] when it was found dead
-- ARGV[5] field of the kills   ARGV[6] its value when it was read, '' for none   ARGV[7] its new value
-- ARGV[8] now, unix seconds   ARGV[9] now as RQ writes times   ARGV[10] most tokens in the bell
-- ARGV[11] prefix of execution keys, with the job id   ARGV[12] seconds for which a dead letter is kept; 0: run it again
-- ARGV[13] lane   ARGV[14] outcome for the record, '' while it is off
-- ARGV[15..] fields and values of the dead letter's result
--
-- Returns 'queued', 'dead', 'vanished' (there is no job hash), 'ended' (nothing is to be done), 'alive' (an engine of ours
-- that lives runs it: it is late, or a clock was set) or 'changed' (look again).
--
-- The job is touched only if no other worker has it: its hash names the worker that took it, and an engine that has sent
-- a heartbeat in the meantime keeps it. The job goes to the front of its lane, because it has had its turn.
local id, why, owner = ARGV[1], ARGV[2], ARGV[3]
local status, worker = unpack(redis.call('HMGET', KEYS[1], 'status', 'worker_name'))
local taken = redis.call('LPOS', KEYS[3], id)

if why == 'held' then
  if redis.call('HGET', KEYS[6], owner) ~= ARGV[4] then
    return 'changed'
  end
  if redis.call('HEXISTS', KEYS[10], id) == 0 then
    return 'ended'
  end
elseif why == 'overdue' then
  local due = redis.call('ZSCORE', KEYS[4], owner)
  if not due or tonumber(due) > tonumber(ARGV[8]) then
    return 'ended'
  end
  local execution = string.sub(owner, #id + 2)
  local heartbeat = redis.call('HGET', KEYS[6], redis.call('HGET', ARGV[11] .. execution, 'worker_name') or worker or '')
  if heartbeat and tonumber(heartbeat) then
    return 'alive'
  end
elseif not taken or (worker and worker ~= '' and redis.call('HEXISTS', KEYS[6], worker) == 1) then
  return 'ended'
end

if not status then
  if why == 'held' then
    redis.call('HDEL', KEYS[10], id)
  end
  return 'vanished'
end
if (redis.call('HGET', KEYS[1], ARGV[5]) or '') ~= ARGV[6] then
  return 'changed'
end

if why == 'held' then
  redis.call('HDEL', KEYS[10], id)
end

local function forget(execution)
  redis.call('DEL', ARGV[11] .. execution)
  redis.call('ZREM', KEYS[4], id .. ':' .. execution)
  redis.call('ZREM', KEYS[5], execution)
end

local lost
if why == 'overdue' then
  lost = status == 'started'
  forget(string.sub(owner, #id + 2))
else
  local running = false
  for _, execution in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
    if redis.call('ZSCORE', KEYS[4], id .. ':' .. execution) then
      local runner = redis.call('HGET', ARGV[11] .. execution, 'worker_name')
      if why == 'held' and runner == owner then
        forget(execution)
      else
        running = true
      end
    end
  end
  local ours = why == 'stranded' or worker == owner
  lost = ours and not running and ((taken and status ~= 'finished') or (why == 'held' and status == 'started'))
  if ours and taken and not running then
    redis.call('LREM', KEYS[3], 1, id)
  end
end
if not lost then
  return 'ended'
end

if ARGV[14] ~= '' then
  redis.pcall('XADD', KEYS[12], '*', 'o', ARGV[14])
end
if tonumber(ARGV[12]) ~= 0 then
  redis.call('HDEL', KEYS[1], ARGV[5])
  redis.call('HSET', KEYS[1], 'status', 'failed', 'ended_at', ARGV[9])
  redis.call('ZADD', KEYS[8], tonumber(ARGV[8]) + tonumber(ARGV[12]), id)
  redis.call('XADD', KEYS[9], 'MAXLEN', '10', '*', unpack(ARGV, 15))
  redis.call('EXPIRE', KEYS[1], ARGV[12])
  redis.call('EXPIRE', KEYS[9], ARGV[12])
  return 'dead'
end
redis.call('HSET', KEYS[1], 'status', 'queued', 'enqueued_at', ARGV[9], 'worker_name', '', ARGV[5], ARGV[7])
make_ready(KEYS[11], ARGV[13])
redis.call('LPUSH', KEYS[2], id)
if redis.call('LLEN', KEYS[7]) < tonumber(ARGV[10]) then
  redis.call('RPUSH', KEYS[7], '1')
end
return 'queued'
