-- Queue the events of a batch that are new. Each is written whole or not at all, and idempotent under repetition (a lost
-- reply, a drain, a provider's retry).
--
-- KEYS[1] rq:queues        RQ's set of queue keys
-- KEYS[2] ackfirst:lanes   set of lanes that workers discover
-- KEYS[3] ackfirst:bell    list of tokens that wake idle workers
-- KEYS[4] ackfirst:acknowledged   counter of acknowledged events
-- KEYS[5] ackfirst:ready   sorted set lane -> turn: the lanes that have work
-- KEYS[6] ackfirst:last-callbacks   hash application -> unix seconds of its last verified callback
-- KEYS[7] ackfirst:record   stream of what happened
-- ARGV[1] prefix of the sets of ids that were seen before   ARGV[2] seconds of a period   ARGV[3] most tokens in the bell
-- ARGV[4] prefix of job keys   ARGV[5] prefix of the keys of lanes' lists   ARGV[6] prefix of lane names in RQ
-- ARGV[7] now as RQ writes times   ARGV[8] '1' if the record is on   ARGV[9] number of applications in the batch
-- ARGV[10] number of fields that all jobs share, then as many fields and values
-- then for each application: its field in KEYS[6], unix seconds of its newest callback
-- then for each event: id, lane, bucket and member of its id (shared/queue/dedupe.py), data, description
--
-- Returns one result an event: 1 when it was queued, 0 when it was seen before, or Redis's error: the others are not
-- affected. Then the counter, which the new events have moved; -1 if it cannot be read.
--
-- A job that still exists counts as seen, because a dead letter outlives the dedupe window.
local period = tonumber(ARGV[2])
local call = redis.call
local time = call('TIME')
local current = math.floor(tonumber(time[1]) / period)
local first_application = 11 + 2 * tonumber(ARGV[10])
local first_event = first_application + 2 * tonumber(ARGV[9])
local to = {queues = KEYS[1], lanes = KEYS[2], ready = KEYS[5], job = ARGV[4], list = ARGV[5], name = ARGV[6],
  now = ARGV[7], shared = {unpack(ARGV, 11, first_application - 1)}, known = {}}

local function write(at)
  local id, lane, suffix, member = ARGV[at], ARGV[at + 1], ':' .. ARGV[at + 2], ARGV[at + 3]
  if call('EXISTS', ARGV[4] .. id) == 1 then
    return 0
  end
  for number = current + 1, current - 3, -1 do
    if call('SISMEMBER', ARGV[1] .. number .. suffix, member) == 1 then
      return 0
    end
  end
  local result = queue_job(to, lane, id, ARGV[at + 4], ARGV[at + 5])
  if result ~= 1 then
    return result
  end
  local set = ARGV[1] .. current .. suffix
  call('SADD', set, member)
  if call('SCARD', set) == 1 then
    call('EXPIREAT', set, (current + 4) * period)
  end
  return 1
end

local results = {}
local new = 0
local arrived, repeated = {}, {}
for at = first_event, #ARGV, 6 do
  local done, result = pcall(write, at)
  if not done then
    result = type(result) == 'table' and result or {err = tostring(result)}
  end
  results[#results + 1] = result
  if result == 1 then
    new = new + 1
    arrived[new] = ARGV[at]
  elseif result == 0 then
    repeated[#repeated + 1] = ARGV[at]
  end
end
if new > 0 then
  ring(KEYS[3], new, tonumber(ARGV[3]))
end
-- Moved in the script that queues: a Redis that has lost these events has lost the step of the counter too.
local counter = redis.pcall('INCRBY', KEYS[4], new)
results[#results + 1] = type(counter) == 'number' and counter or -1

-- What follows is written about events that are queued already: a foreign key in its place must not refuse them.
if first_event > first_application then
  local fields, newest = {}, {}
  for at = first_application, first_event - 1, 2 do
    fields[#fields + 1] = ARGV[at]
  end
  local before = redis.pcall('HMGET', KEYS[6], unpack(fields))
  for index, name in ipairs(fields) do
    local at = ARGV[first_application + 2 * index - 1]
    if (tonumber(before[index] or nil) or 0) < tonumber(at) then -- else the spool is drained behind live callbacks
      newest[#newest + 1] = name
      newest[#newest + 1] = at
    end
  end
  if #newest > 0 then
    redis.pcall('HSET', KEYS[6], unpack(newest))
  end
end
if ARGV[8] == '1' and #arrived + #repeated > 0 then
  local entry = {'at', time[1] .. '.' .. string.format('%06d', time[2]), 'n', results[#results]}
  for name, ids in pairs({a = arrived, d = repeated}) do
    if #ids > 0 then
      entry[#entry + 1] = name
      entry[#entry + 1] = table.concat(ids, ' ')
    end
  end
  redis.pcall('XADD', KEYS[7], '*', unpack(entry))
end
return results
