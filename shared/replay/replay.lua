-- Queue the next events of a replay, and move its cursor: both or neither, so that no crash repeats or skips an event.
--
-- KEYS[1] ackfirst:replay:<id>   hash: cursor, moved, and how many events were passed over for each reason
-- KEYS[2] rq:queues   KEYS[3] ackfirst:lanes   KEYS[4] ackfirst:bell   KEYS[5] ackfirst:ready   KEYS[6] ackfirst:record
-- ARGV[1] the cursor from which the events were read, '' for the beginning   ARGV[2] when the replay was created, as RQ
-- writes times   ARGV[3] prefix of job keys   ARGV[4] prefix of the keys of lanes' lists   ARGV[5] prefix of lane names in
-- RQ   ARGV[6] and ARGV[7] prefixes of the sorted sets of dead letters and of finished jobs   ARGV[8] prefix of the keys
-- of marks   ARGV[9] field of the replay   ARGV[10] field of the kills   ARGV[11] seconds for which marks and KEYS[1] are kept
-- ARGV[12] now as RQ writes times   ARGV[13] most tokens in the bell   ARGV[14] '1' if the record is on
-- ARGV[15] number of fields that all jobs share, then as many fields and values
-- then for each event: cursor, id, lane, why it is passed over or '', data or '' to take only a job that exists,
-- description, value of the replay's field, handlers that are to run as a JSON list or 'null', marks of others as a JSON
-- object, its line for the record
--
-- Returns {cursor, moved, reason, count, reason, count, …}. If the cursor is not the expected one, another process has
-- gone on: {the cursor that it has}. A command that Redis refuses ends the call with that error; the events before it are
-- moved, and the cursor is behind them.
local call = redis.call
local cursor = call('HGET', KEYS[1], 'cursor') or ''
if cursor ~= ARGV[1] then
  return {cursor}
end
local first = 16 + 2 * tonumber(ARGV[15])
local to = {queues = KEYS[2], lanes = KEYS[3], ready = KEYS[5], job = ARGV[3], list = ARGV[4], name = ARGV[5],
  now = ARGV[12], shared = {unpack(ARGV, 16, first - 1)}, known = {}}
local FAILED = {failed = true, stopped = true}
local ENDED = {finished = true, canceled = true}

local function clear_marks(marks, handlers)
  if type(handlers) == 'table' then
    if #handlers > 0 then
      call('HDEL', marks, unpack(handlers))
    end
    return
  end
  -- All that are not finished: a job that was killed too often may have marks of retries that are due in hours.
  local found = call('HGETALL', marks)
  for index = 1, #found, 2 do
    local read, mark = pcall(cjson.decode, found[index + 1])
    if not (read and type(mark) == 'table' and (mark.s == 'done' or mark.s == 'discarded')) then
      call('HDEL', marks, found[index])
    end
  end
end

local function keep_marks(marks, json)
  local kept = {}
  for handler, mark in pairs(cjson.decode(json)) do
    kept[#kept + 1] = handler
    kept[#kept + 1] = mark
  end
  if #kept > 0 then
    call('HSET', marks, unpack(kept))
  end
  call('EXPIRE', marks, ARGV[11])
end

-- Returns 1 when the event was queued, or the reason why it was passed over.
local function move(at)
  local id, lane, reason, data = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  if reason ~= '' then
    return reason
  end
  local job, marks = ARGV[3] .. id, ARGV[8] .. id
  local status, ended_at, origin = unpack(call('HMGET', job, 'status', 'ended_at', 'origin'))
  if ended_at and ended_at > ARGV[2] and (FAILED[status] or ENDED[status]) then
    return 'ended_since'
  end
  if FAILED[status] then
    if origin and string.sub(origin, 1, #ARGV[5]) == ARGV[5] then
      lane = string.sub(origin, #ARGV[5] + 1)
    end
    open_lane(to, lane)
    clear_marks(marks, cjson.decode(ARGV[at + 7]))
    keep_marks(marks, ARGV[at + 8])
    local pushed = redis.pcall('RPUSH', to.list .. lane, id)
    if type(pushed) == 'table' then
      return pushed -- nothing else has changed: it is a dead letter still
    end
    call('HDEL', job, 'ended_at', 'exc_info', ARGV[10])
    call('HSET', job, 'status', 'queued', 'enqueued_at', ARGV[12], 'worker_name', '', ARGV[9], ARGV[at + 6],
      unpack(to.shared))
    call('PERSIST', job)
    redis.pcall('ZREM', ARGV[6] .. lane, id)
    return 1
  elseif status and not ENDED[status] then
    return 'under_way'
  elseif data == '' then
    return 'gone'
  end
  call('DEL', job, marks)
  redis.pcall('ZREM', ARGV[7] .. lane, id)
  local result = queue_job(to, lane, id, data, ARGV[at + 5])
  if result == 1 then
    call('HSET', job, ARGV[9], ARGV[at + 6])
    keep_marks(marks, ARGV[at + 8])
  end
  return result
end

local moved, lines, reasons, refusal = 0, {}, {}, nil
for at = first, #ARGV, 10 do
  local done, result = pcall(move, at)
  if done and result == 1 then
    moved = moved + 1
    lines[moved] = ARGV[at + 9]
  elseif done and type(result) == 'string' then
    reasons[result] = (reasons[result] or 0) + 1
  else
    local message = type(result) == 'table' and result.err or tostring(result)
    if not string.find(message, 'WRONGTYPE', 1, true) then
      refusal = message
      break
    end
    reasons.foreign = (reasons.foreign or 0) + 1 -- another program's key in the place of one of the event's
  end
  cursor = ARGV[at]
end

call('HSET', KEYS[1], 'cursor', cursor)
call('EXPIRE', KEYS[1], ARGV[11])
call('HINCRBY', KEYS[1], 'moved', moved)
local reply = {cursor, moved}
for reason, count in pairs(reasons) do
  call('HINCRBY', KEYS[1], reason, count)
  reply[#reply + 1] = reason
  reply[#reply + 1] = count
end
if moved > 0 then
  ring(KEYS[4], moved, tonumber(ARGV[13]))
  if ARGV[14] == '1' then
    redis.pcall('XADD', KEYS[6], '*', 'o', '[' .. table.concat(lines, ',') .. ']')
  end
end
if refusal then
  return redis.error_reply(refusal)
end
return reply
