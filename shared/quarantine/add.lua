-- Add one callback if the quarantine has room for it. Atomic: the byte count always is the sum over the records.
--
-- KEYS[1] ackfirst:quarantine         stream of records
-- KEYS[2] ackfirst:quarantine:bytes   bytes that the records hold
-- KEYS[3] ackfirst:acknowledged       counter of acknowledged events
-- ARGV[1] most records   ARGV[2] most bytes   ARGV[3] bytes of this record
-- ARGV[4..] fields and values of the record
--
-- Returns 1 when it was added, 0 when there is no room.
local size = tonumber(ARGV[3])
local held = tonumber(redis.call('GET', KEYS[2]) or '0')
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) or held + size > tonumber(ARGV[2]) then
  return 0
end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
redis.call('INCRBY', KEYS[2], ARGV[3])
redis.pcall('INCR', KEYS[3])
return 1
