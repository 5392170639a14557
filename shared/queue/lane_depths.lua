-- Count what some lanes hold, for metrics; reads only.
--
-- KEYS[1] ackfirst:lanes   set of lanes
-- ARGV[1] cursor of SSCAN   ARGV[2] about how many lanes
-- ARGV[3] prefix of the lists of waiting jobs   ARGV[4..5] prefixes of the sorted sets of scheduled and failed jobs
-- ARGV[6] prefix of job keys   ARGV[7] Unix seconds: failed jobs that expire later died of late
--
-- Returns {next cursor, lane, waiting, scheduled, failed, failed of late, time at which the oldest was queued or '', lane, …}.
-- A key of another type counts as empty: one lane must not hide all others.
local function number(reply)
  return type(reply) == 'number' and reply or 0
end

local scan = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local reply = {scan[1]}
for _, lane in ipairs(scan[2]) do
  local waiting, queued_at = number(redis.pcall('LLEN', ARGV[3] .. lane)), nil
  if waiting > 0 then
    queued_at = redis.pcall('HGET', ARGV[6] .. redis.call('LINDEX', ARGV[3] .. lane, 0), 'enqueued_at')
  end
  reply[#reply + 1] = lane
  reply[#reply + 1] = waiting
  reply[#reply + 1] = number(redis.pcall('ZCARD', ARGV[4] .. lane))
  reply[#reply + 1] = number(redis.pcall('ZCARD', ARGV[5] .. lane))
  reply[#reply + 1] = number(redis.pcall('ZCOUNT', ARGV[5] .. lane, '(' .. ARGV[7], '+inf'))
  reply[#reply + 1] = type(queued_at) == 'string' and queued_at or ''
end
return reply
