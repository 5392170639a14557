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
-- The id is remembered last: should a command before it fail, the event is at worst queued twice, never forgotten. A job
-- that still exists counts as seen, because a dead letter outlives the dedupe window.
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  return 0
end
redis.call('HSET', KEYS[2], unpack(ARGV, 5))
redis.call('SADD', KEYS[4], KEYS[3])
redis.call('SADD', KEYS[5], ARGV[3])
redis.call('RPUSH', KEYS[3], ARGV[2])
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
if redis.call('LLEN', KEYS[6]) < tonumber(ARGV[4]) then
  redis.call('RPUSH', KEYS[6], '1')
end
return 1
