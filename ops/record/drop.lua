-- Delete the jobs of dead letters that an operator gives up, and tell the record.
--
-- KEYS[1] ackfirst:record   stream of what happened
-- ARGV[1] prefix of job keys   ARGV[2] prefix of the sorted sets of dead letters   ARGV[3] prefix of lane names in RQ
-- ARGV[4] prefix of the keys of marks   ARGV[5] prefix of the streams of results   ARGV[6] '1' if the record is on
-- then for each event: id, lane, its line for the record
--
-- Returns how many were dropped. One that is no dead letter any more, because it was queued again meanwhile, is left alone;
-- one that RQ has let go of is dropped from the record.
local call = redis.call
local lines = {}
for at = 7, #ARGV, 3 do
  local id, lane = ARGV[at], ARGV[at + 1]
  local job = ARGV[1] .. id
  local found = redis.pcall('HMGET', job, 'status', 'origin')
  local status, origin = unpack(found.err and {} or found)
  if status == 'failed' or status == 'stopped' then
    if origin and string.sub(origin, 1, #ARGV[3]) == ARGV[3] then
      lane = string.sub(origin, #ARGV[3] + 1)
    end
    redis.pcall('ZREM', ARGV[2] .. lane, id)
    call('DEL', job, ARGV[4] .. id, ARGV[5] .. id)
    lines[#lines + 1] = ARGV[at + 2]
  elseif not status and not found.err and ARGV[6] == '1' then
    lines[#lines + 1] = ARGV[at + 2]
  end
end
if #lines > 0 and ARGV[6] == '1' then
  call('XADD', KEYS[1], '*', 'o', '[' .. table.concat(lines, ',') .. ']')
end
return #lines
