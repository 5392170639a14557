-- Let go of finished jobs that the record's store holds, and trim the stream up to their entries.
--
-- KEYS[1] ackfirst:record     stream of what happened
-- KEYS[2] ackfirst:recorder   hash of what the recorder has done
-- ARGV[1] id of the newest entry that the store holds   ARGV[2] now, unix seconds   ARGV[3] seconds that a job stays
-- ARGV[4] prefix of job keys   ARGV[5] prefix of the sorted sets of finished jobs   ARGV[6] prefix of the streams of results
-- ARGV[7] field of a job whose arrival is in the stream   ARGV[8] number of fields for KEYS[2], then as many fields and
-- values; then the number of counters, then as many fields and increments; then the number of ids of which the arrival was
-- recorded although the stream did not have it, then these; then for each finished job: lane, id
--
-- A job that waits again by now, because of a requeue or a replay, keeps its life: its next end lets it go.
local call = redis.call
local at = 8

local function next_list(width)
  local count = tonumber(ARGV[at])
  local list = {unpack(ARGV, at + 1, at + width * count)}
  at = at + 1 + width * count
  return list
end

local fields, counters, late = next_list(2), next_list(2), next_list(1)
for _, id in ipairs(late) do
  if call('EXISTS', ARGV[4] .. id) == 1 then
    redis.pcall('HSET', ARGV[4] .. id, ARGV[7], '1')
  end
end

local lanes = {}
local due = string.format('%.6f', ARGV[2] + ARGV[3])
while at < #ARGV do
  local lane, id = ARGV[at], ARGV[at + 1]
  local job = ARGV[4] .. id
  local found = redis.pcall('HMGET', job, 'status', 'result_ttl')
  if found[1] == 'finished' then
    call('EXPIRE', job, ARGV[3])
    if found[2] == '-1' then -- RQ has ended it
      call('EXPIRE', ARGV[6] .. id, ARGV[3])
    end
    local scores = lanes[lane] or {}
    lanes[lane] = scores
    scores[#scores + 1] = due
    scores[#scores + 1] = id
  end
  at = at + 2
end
for lane, scores in pairs(lanes) do
  redis.pcall('ZADD', ARGV[5] .. lane, 'XX', unpack(scores))
end

for field = 1, #fields, 2 do
  call('HSET', KEYS[2], fields[field], fields[field + 1])
end
for field = 1, #counters, 2 do
  call('HINCRBY', KEYS[2], counters[field], counters[field + 1])
end
local milliseconds, number = string.match(ARGV[1], '^(%d+)%-(%d+)$')
call('XTRIM', KEYS[1], 'MINID', milliseconds .. '-' .. string.format('%d', number + 1))
