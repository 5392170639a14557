-- Drop the oldest entries that are not recorded, because Redis is filling up.
--
-- KEYS[1] ackfirst:record     stream of what happened
-- KEYS[2] ackfirst:recorder   hash of what the recorder has done
-- ARGV[1] id of the newest entry that the store holds   ARGV[2] most entries   ARGV[3] now, unix seconds
-- ARGV[4] prefix of job keys   ARGV[5] prefix of the sorted sets of finished jobs   ARGV[6] prefix of the streams of results
-- ARGV[7] field of a job whose arrival is in the stream   ARGV[8] prefix of lane names in RQ   ARGV[9] reason
--
-- Returns {entries, events that the record will miss, unix seconds of the first and of the last entry}.
--
-- Of an event that has finished, the job goes with its entry: it is missing in the record, and counted. An event that waits
-- stays, and loses the mark that its arrival is in the stream: it is recorded when it ends. What was counted is in an entry
-- of its own at the end of the stream, for the store. Counts of entries dropped before are added to it.
local call = redis.call
local entries = call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
if #entries == 0 then
  return {0, 0, '0', '0'}
end

local seen, missed = {}, 0
local first = tonumber(string.match(entries[1][1], '^%d+')) / 1000
local last = tonumber(string.match(entries[#entries][1], '^%d+')) / 1000

local function let_go(id, ending)
  if seen[id] then
    return
  end
  seen[id] = true
  local job = ARGV[4] .. id
  local found = redis.pcall('HMGET', job, 'status', 'origin')
  if found.err or not found[1] then
    missed = missed + 1
  elseif found[1] == 'finished' then
    missed = missed + 1
    call('DEL', job, ARGV[6] .. id)
    if found[2] then
      redis.pcall('ZREM', ARGV[5] .. string.sub(found[2], #ARGV[8] + 1), id)
    end
  else
    call('HDEL', job, ARGV[7])
    missed = missed + (ending == 'dead' and 1 or 0) -- it may never end again
  end
end

local before = 0
for _, entry in ipairs(entries) do
  for at = 1, #entry[2], 2 do
    local name, value = entry[2][at], entry[2][at + 1]
    if name == 'a' then
      for id in string.gmatch(value, '%S+') do
        let_go(id)
      end
    elseif name == 'o' then
      local read, outcomes = pcall(cjson.decode, value)
      for _, outcome in ipairs(read and outcomes or {}) do
        let_go(outcome[1], outcome[3])
      end
    elseif name == 'g' then
      local read, gap = pcall(cjson.decode, value)
      if read then
        before = before + gap['count']
        first = math.min(first, gap['from'])
      end
    end
  end
end

local milliseconds, number = string.match(entries[#entries][1], '^(%d+)%-(%d+)$')
call('XTRIM', KEYS[1], 'MINID', milliseconds .. '-' .. string.format('%d', number + 1))
if missed + before > 0 then
  local gap = {from = first, to = last, count = missed + before, reason = ARGV[9]}
  call('XADD', KEYS[1], '*', 'g', cjson.encode(gap))
end
if missed > 0 then
  call('HINCRBY', KEYS[2], 'gap_events', missed)
  call('HINCRBY', KEYS[2], 'gap_recent', missed)
  call('HSET', KEYS[2], 'gap_at', ARGV[3])
end
return {#entries, missed, tostring(first), tostring(last)}
