-- Write the cause of an engine's death, unless the engine has left in order or has written a cause itself.
--
-- KEYS[1] ackfirst:engines   hash engine -> heartbeat counter, or cause of death
-- ARGV[1] the engine   ARGV[2] the cause; not a number
if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '') then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
