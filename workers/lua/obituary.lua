-- Write down what an engine died of, if it has not ended in order.
--
-- KEYS[1] ackfirst:engines   hash engine -> beat, or cause of death
-- ARGV[1] the engine   ARGV[2] the cause; no number
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
