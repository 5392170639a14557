-- Add one callback if the quarantine has room for it. Atomic: the byte count always is the sum over the records.
--
-- KEYS[1] ackfirst:quarantine         stream of records
-- KEYS[2] ackfirst:quarantine:bytes   bytes that the records hold
-- KEYS[3] ackfirst:acknowledged       counter of acknowledged events
-- KEYS[4] ackfirst:last-unconfirmed   hash application -> unix seconds of its last callback that was not confirmed
-- KEYS[5] ackfirst:record             stream of what happened
-- ARGV[1] most records   ARGV[2] most bytes   ARGV[3] bytes of this record
-- ARGV[4] the application as a field of KEYS[4]   ARGV[5] unix seconds   ARGV[6] most fields of KEYS[4]
-- ARGV[7] JSON object for the record without its closing brace, '' while the record is off
-- ARGV[8..] fields and values of the record
--
-- Returns 1 when it was added, 0 when there is no room.
local size = tonumber(ARGV[3])
local held = tonumber(redis.call('GET', KEYS[2]) or '0')
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) or held + size > tonumber(ARGV[2]) then
  return 0
end
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 8))
redis.call('INCRBY', KEYS[2], ARGV[3])
redis.pcall('INCR', KEYS[3])
note_unconfirmed(KEYS[4], ARGV[4], ARGV[5], ARGV[6])
if ARGV[7] ~= '' then
  redis.pcall('XADD', KEYS[5], '*', 'q', ARGV[7] .. ',"quarantine":"' .. id .. '"}')
end
return 1
