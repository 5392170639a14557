-- Give jobs back that an engine has taken and not begun: to the front of their lanes, as if it had never taken them.
--
-- KEYS[1] ackfirst:in-flight:<engine>         hash job id -> <take> <execution id> <lane>
-- KEYS[2] rq:worker:<engine>:executions   set of <job id>:<execution id>
-- KEYS[3] ackfirst:bell                   list of tokens that wake idle workers
-- KEYS[4] ackfirst:ready                  sorted set lane -> turn: the lanes that have work
-- ARGV[1] the engine   ARGV[2] most tokens in the bell   ARGV[3] prefix of lane names in RQ   ARGV[4] prefix of job keys
-- then for each job, in the order in which they are to run: id, execution id
--
-- Returns how many were given back. One that the engine does not have in flight is not touched. Nor is one that it has
-- fetched again: a call whose answer was lost is repeated, and the job may run by then. Its execution id tells.
local given = 0
for at = #ARGV - 1, 5, -2 do
  local id = ARGV[at]
  local held = redis.call('HGET', KEYS[1], id)
  local _, execution, lane = string.match(held or '', '^(%S+) (%S+) (.*)$')
  if execution == ARGV[at + 1] then
    local job, composite = ARGV[4] .. id, id .. ':' .. execution
    local status, owner = unpack(redis.call('HMGET', job, 'status', 'worker_name'))
    if status == 'started' and owner == ARGV[1] then
      redis.call('HSET', job, 'status', 'queued', 'worker_name', '')
      make_ready(KEYS[4], lane)
      redis.call('LPUSH', 'rq:queue:' .. ARGV[3] .. lane, id)
      given = given + 1
    end
    redis.call('ZREM', 'rq:wip:' .. ARGV[3] .. lane, composite)
    redis.call('ZREM', 'rq:executions:' .. id, execution)
    redis.call('DEL', 'rq:execution:' .. composite)
    redis.call('SREM', KEYS[2], composite)
    redis.call('HDEL', KEYS[1], id)
  end
end
local room = tonumber(ARGV[2]) - redis.call('LLEN', KEYS[3])
for _ = 1, math.min(given, room) do
  redis.call('RPUSH', KEYS[3], '1')
end
return given
