-- Queue one event if it is new. Atomic, and idempotent under repetition (a lost reply, a drain, a provider's retry).
--
-- KEYS[1] ackfirst:seen:<id>   remembers the id for the dedupe window
-- KEYS[2] rq:job:<id>          the job hash
-- KEYS[3] rq:queue:<name>      the lane's list of waiting jobs
-- KEYS[4] rq:queues            RQ's set of queue keys
-- KEYS[5] ackfirst:lanes       set of lanes that workers discover
-- KEYS[6] ackfirst:bell        list of tokens that wake idle workers
-- ARGV[1] dedupe window, seconds   ARGV[2] job id   ARGV[3] lane   ARGV[4] most tokens in the bell
-- ARGV[5..] fields and values of the job hash
--
-- Returns 1 when it was queued, 0 when it was seen before.
--
-- A job that still exists counts as seen, because a dead letter outlives the dedupe window. Redis does not undo what came
-- before a command that fails (a key of another type, a command that an ACL forbids), so a hash whose id could not be
-- pushed is taken back: otherwise the next attempt would take the event for one that is queued.
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  return 0
end
redis.call('SADD', KEYS[4], KEYS[3])
redis.call('SADD', KEYS[5], ARGV[3])
redis.call('HSET', KEYS[2], unpack(ARGV, 5))
local pushed = redis.pcall('RPUSH', KEYS[3], ARGV[2])
if type(pushed) == 'table' then
  redis.call('DEL', KEYS[2])
  return pushed
end
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
if redis.call('LLEN', KEYS[6]) < tonumber(ARGV[4]) then
  redis.call('RPUSH', KEYS[6], '1')
end
return 1
