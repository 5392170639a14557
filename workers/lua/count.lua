-- Add to the counters of outcomes and of handlers' run times, once however often the call is repeated.
--
-- KEYS[1] ackfirst:outcomes        hash ending -> count
-- KEYS[2] ackfirst:handler-times   hash <handler>:seconds / <handler>:runs
-- KEYS[3] ackfirst:counted:<id>    string that says that this call was carried out
-- ARGV[1] seconds for which KEYS[3] stays: far longer than a call is repeated   ARGV[2] number of endings
-- then for each ending: its name, count; then for each handler: its name, runs, seconds
if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[1]) then
  return
end
local handlers = 3 + 2 * tonumber(ARGV[2])
for at = 3, handlers - 1, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
end
for at = handlers, #ARGV, 3 do
  redis.call('HINCRBY', KEYS[2], ARGV[at] .. ':runs', ARGV[at + 1])
  redis.call('HINCRBYFLOAT', KEYS[2], ARGV[at] .. ':seconds', ARGV[at + 2])
end
