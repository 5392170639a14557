-- Look at the oldest waiting job of lanes, and at how many wait; reads only.
--
-- KEYS[1] ackfirst:ready   sorted set lane -> turn   KEYS[2] ackfirst:paused   hash of the lanes of which no job is taken
-- ARGV[1] most lanes of the ready set   ARGV[2] prefix of the lists of waiting jobs   ARGV[3] prefix of job keys
-- ARGV[4..] lanes to look at in any case
--
-- Returns {lane, waiting, id of the oldest, time at which it was queued, '1' if the lane is paused, lane, …}. A lane is
-- left out if nothing waits there. The lanes of the lowest turns have waited longest for theirs.
local asked = {unpack(ARGV, 4)}
local seen, names = {}, {}
local first = redis.pcall('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)
for _, list in ipairs({asked, first.err and {} or first}) do
  for _, lane in ipairs(list) do
    if not seen[lane] then
      seen[lane] = true
      names[#names + 1] = lane
    end
  end
end
local reply = {}
for _, lane in ipairs(names) do
  local list = ARGV[2] .. lane
  local waiting = redis.pcall('LLEN', list)
  if type(waiting) == 'number' and waiting > 0 then
    local id = redis.call('LINDEX', list, 0)
    local queued_at = redis.pcall('HGET', ARGV[3] .. id, 'enqueued_at')
    local paused = redis.pcall('HEXISTS', KEYS[2], lane) == 1
    for _, value in ipairs({lane, waiting, id, type(queued_at) == 'string' and queued_at or '', paused and '1' or ''}) do
      reply[#reply + 1] = value
    end
  end
end
return reply
