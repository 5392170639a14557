-- Prepended to every script that adds work to a lane.
--
-- Give a lane its place in the ready set, behind every other lane; a lane that has a place keeps it. The places are turn
-- numbers and not times, so that no clock that is set back can let a lane overtake or starve. The ready set can always
-- be rebuilt from the lanes' lists (survey.lua), so a foreign key in its place does not refuse the event.
local function make_ready(ready, lane)
  local last = redis.pcall('ZREVRANGE', ready, 0, 0, 'WITHSCORES')
  local added = redis.pcall('ZADD', ready, 'NX', (tonumber(last[2]) or 0) + 1, lane)
  if type(added) == 'table' and string.sub(added.err, 1, 9) ~= 'WRONGTYPE' then
    error(added)
  end
end
