-- Take records out of the quarantine. Atomic: the byte count always is the sum over the records that are left.
--
-- KEYS[1] ackfirst:quarantine         stream of records
-- KEYS[2] ackfirst:quarantine:bytes   bytes that the records hold
-- ARGV    ids of records; one that is gone already counts nothing
--
-- Returns how many records it took out, and how many bytes they held.
local records, bytes = 0, 0
for _, id in ipairs(ARGV) do
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    local size = 0
    for _, part in ipairs(entry[2]) do
      size = size + #part
    end
    redis.call('DECRBY', KEYS[2], size)
    redis.call('XDEL', KEYS[1], id)
    records = records + 1
    bytes = bytes + size
  end
end
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
end
return {records, bytes}
