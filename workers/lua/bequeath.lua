-- Write down what the handlers of a dead engine have done, if its jobs are not seen to yet.
--
-- KEYS[1] ackfirst:engines         hash engine -> beat, or cause of death
-- KEYS[2] ackfirst:done:<engine>   hash job id -> what its handlers have done, a note of workers/engine/journal.py
-- ARGV[1] the engine   ARGV[2] seconds for which the notes stay: far longer than a rescue takes   ARGV[3..] job id, note
--
-- A few hundred at a time: more than Lua's stack holds are refused.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[2], unpack(ARGV, 3))
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
