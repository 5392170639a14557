-- Count one heartbeat for each engine.
--
-- KEYS[1] ackfirst:engines   hash engine -> heartbeat counter, or cause of death
-- ARGV the engines
--
-- An engine enters itself when it starts. One that is not there has not started or was forgotten, and one with a cause
-- of death stays dead: a late heartbeat must not bring it back.
for _, engine in ipairs(ARGV) do
  local entry = redis.call('HGET', KEYS[1], engine)
  if entry and tonumber(entry) then
    redis.call('HINCRBY', KEYS[1], engine, 1)
  end
end
