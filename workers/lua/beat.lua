-- Let engines give a sign of life.
--
-- KEYS[1] ackfirst:engines   hash engine -> beat, or cause of death
-- ARGV the engines
--
-- An engine that is not there has not begun, or is buried: it enters itself.
for _, engine in ipairs(ARGV) do
  local beat = redis.call('HGET', KEYS[1], engine)
  if beat and tonumber(beat) then
    redis.call('HINCRBY', KEYS[1], engine, 1)
  end
end
