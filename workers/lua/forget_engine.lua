-- Remove a dead engine whose jobs have all been recovered.
--
-- KEYS[1] ackfirst:engines          hash engine -> heartbeat counter, or cause of death
-- KEYS[2] ackfirst:in-flight:<engine>   hash of the jobs that it has taken
-- ARGV[1] the engine   ARGV[2] its entry when it was found dead
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
