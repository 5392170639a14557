-- Put a job that is in none of RQ's lists back into its lane, if that is still so.
--
-- KEYS[1] rq:job:<id>                    the job hash
-- KEYS[2] rq:queue:<name>                list of waiting jobs
-- KEYS[3] rq:queue:<name>:intermediate   list of jobs that are taken but not started
-- KEYS[4] rq:scheduled:<name>            sorted set job id -> unix second
-- KEYS[5] rq:wip:<name>                  sorted set <job id>:<execution id> -> unix second
-- KEYS[6] rq:executions:<id>             sorted set of the job's execution ids
-- KEYS[7] ackfirst:engines               hash engine -> heartbeat counter, or cause of death
-- KEYS[8] ackfirst:bell                  list of tokens that wake idle workers
-- KEYS[9] ackfirst:ready                 sorted set lane -> turn   KEYS[10] ackfirst:lanes   set of lanes
-- ARGV[1] job id   ARGV[2] the status with which it was found   ARGV[3] now as RQ writes times   ARGV[4] most tokens
-- ARGV[5] lane
--
-- Returns 1 when it was put back, else 0.
local id = ARGV[1]
local status, worker = unpack(redis.call('HMGET', KEYS[1], 'status', 'worker_name'))
if status ~= ARGV[2] or redis.call('LPOS', KEYS[3], id) or redis.call('ZSCORE', KEYS[4], id) then
  return 0
end
if worker and worker ~= '' and redis.call('HEXISTS', KEYS[7], worker) == 1 then
  return 0
end
for _, execution in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  if redis.call('ZSCORE', KEYS[5], id .. ':' .. execution) then
    return 0
  end
end
if redis.call('LPOS', KEYS[2], id) then
  return 0
end
redis.call('HSET', KEYS[1], 'status', 'queued', 'enqueued_at', ARGV[3], 'worker_name', '')
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[10], ARGV[5])
make_ready(KEYS[9], ARGV[5])
redis.call('RPUSH', KEYS[2], id)
if redis.call('LLEN', KEYS[8]) < tonumber(ARGV[4]) then
  redis.call('RPUSH', KEYS[8], '1')
end
return 1
