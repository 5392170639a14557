-- Let go of finished jobs that were kept for the recorder, in some lanes.
--
-- KEYS[1] ackfirst:lanes   set of lanes
-- ARGV[1] cursor of SSCAN   ARGV[2] about how many lanes   ARGV[3] most jobs of one lane   ARGV[4] prefix of job keys
-- ARGV[5] prefix of the sorted sets of finished jobs   ARGV[6] prefix of the streams of results
-- ARGV[7] what is added to the score of a job that is kept   ARGV[8] unix seconds: of jobs that ended before
-- ARGV[9] the same as RQ writes times   ARGV[10] now, unix seconds   ARGV[11] seconds that a job stays
--
-- Returns {next cursor, how many jobs}. Jobs that a stock worker has ended have an infinite score: RQ's for "no expiry".
local call = redis.call
local scan = call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local due = string.format('%.6f', ARGV[10] + ARGV[11])
local released = 0

local function let_go(registry, id, ended_before)
  local job = ARGV[4] .. id
  local found = redis.pcall('HMGET', job, 'status', 'ended_at')
  if found[1] == 'finished' then
    if ended_before and (not found[2] or found[2] > ended_before) then
      return
    end
    call('EXPIRE', job, ARGV[11])
    call('EXPIRE', ARGV[6] .. id, ARGV[11])
    released = released + 1
  end
  call('ZADD', registry, due, id) -- also of a job that is gone or waits again: its entry is no longer looked at
end

for _, lane in ipairs(scan[2]) do
  local registry = ARGV[5] .. lane
  local kept = redis.pcall('ZRANGEBYSCORE', registry, ARGV[7], string.format('%.6f', ARGV[7] + ARGV[8]), 'LIMIT', 0, ARGV[3])
  if not kept.err then
    for _, id in ipairs(kept) do
      let_go(registry, id)
    end
    for _, id in ipairs(call('ZRANGEBYSCORE', registry, '+inf', '+inf', 'LIMIT', 0, ARGV[3])) do
      let_go(registry, id, ARGV[9])
    end
  end
end
return {scan[1], released}
