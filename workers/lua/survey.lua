-- Look at some lanes: rebuild the ready set where it misses one, and say which lanes need the janitor.
--
-- KEYS[1] ackfirst:lanes   set of lanes   KEYS[2] ackfirst:ready   sorted set lane -> turn
-- ARGV[1] cursor of SSCAN   ARGV[2] about how many lanes   ARGV[3] now, unix seconds
-- ARGV[4] prefix of the lists of waiting jobs
-- ARGV[5..8] prefixes of the sorted sets of scheduled, running, finished and failed jobs
--
-- Returns {next cursor, how many lanes were missing in the ready set, lane, needs, lane, needs, …}. The needs are letters:
-- d a retry is due, o a running job is overdue, r a job runs, t a job was taken and not started, x a finished job or a
-- dead letter has expired, e the lane is empty. Lanes without needs are not listed.
--
-- RQ's own commands (a requeue in rq-dashboard, a stock worker's retry) push to a lane's list without knowing of the ready
-- set: this is where such a lane gets its place. A key of another type is passed over.
local ready = KEYS[2]
local kind = redis.call('TYPE', ready).ok
if kind ~= 'zset' and kind ~= 'none' then
  redis.call('DEL', ready) -- foreign, and takes find nothing until it is ours again; all of it is rebuilt from the lists
end

local function first_score(key)
  local found = redis.pcall('ZRANGE', key, 0, 0, 'WITHSCORES')
  return tonumber(found[2])
end

local now = tonumber(ARGV[3])
local scan = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local missing = 0
local reply = {scan[1], 0}
for _, lane in ipairs(scan[2]) do
  local list, needs = ARGV[4] .. lane, ''
  local scheduled, running, finished, failed = ARGV[5] .. lane, ARGV[6] .. lane, ARGV[7] .. lane, ARGV[8] .. lane
  local taken = list .. ':intermediate'
  local waiting = redis.pcall('LLEN', list)
  local others = redis.call('EXISTS', scheduled, running, finished, failed, taken)
  if type(waiting) == 'number' and waiting > 0 and not redis.call('ZSCORE', ready, lane) then
    make_ready(ready, lane)
    missing = missing + 1
  end
  if waiting == 0 and others == 0 then
    needs = 'e'
  elseif others > 0 then
    local due, overdue = first_score(scheduled), first_score(running)
    local ended = math.min(first_score(finished) or math.huge, first_score(failed) or math.huge)
    needs = (due and due <= now and 'd' or '') .. (overdue and (overdue <= now and 'or' or 'r') or '')
      .. (ended <= now and 'x' or '') .. (redis.call('EXISTS', taken) == 1 and 't' or '')
  end
  if needs ~= '' then
    reply[#reply + 1] = lane
    reply[#reply + 1] = needs
  end
end
reply[2] = missing
return reply
