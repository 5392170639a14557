-- Forget a dead engine whose job is seen to.
--
-- KEYS[1] ackfirst:engines   hash engine -> beat, or cause of death
-- KEYS[2] ackfirst:hands     hash engine -> the job that it has taken
-- ARGV[1] the engine   ARGV[2] its beat when it was last looked at
-- ARGV[3] what was in its hands when they were last looked at, '' for nothing
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] and (redis.call('HGET', KEYS[2], ARGV[1]) or '') == ARGV[3] then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
