-- Take jobs from lanes in turns, one from each lane that has one, and write in RQ's own keys that they are running.
--
-- KEYS[1..n]    rq:queue:<name>   lists of waiting jobs, in the order of this turn
-- KEYS[n+1..2n] rq:wip:<name>     sorted sets <job id>:<execution id> -> unix second, in the same order
-- KEYS[2n+1]    ackfirst:hands:<engine>         hash job id -> <take> <execution id> <lane>
-- KEYS[2n+2]    rq:worker:<engine>              hash
-- KEYS[2n+3]    rq:worker:<engine>:executions   set of <job id>:<execution id>
-- KEYS[2n+4]    ackfirst:aside                  stream of entries that no worker can run
-- KEYS[2n+5]    ackfirst:lanes                  set of all lanes
-- ARGV[1] the engine   ARGV[2] how many jobs it knows to be in its hands   ARGV[3] name of this take, the same when it
-- is repeated   ARGV[4] most jobs   ARGV[5] seconds of work that they may be together   ARGV[6] now, unix seconds
-- ARGV[7] now as RQ writes times   ARGV[8] seconds for a job without a timeout   ARGV[9] field of the kills
-- ARGV[10] prefix of job keys   ARGV[11] prefix of the keys of marks   ARGV[12] most entries in the stream
-- ARGV[13] characters of an entry that are kept in it   ARGV[14] seconds without a sign of life after which RQ forgets
-- the engine   ARGV[15..] lane, most jobs of it, seconds of work of one of them
--
-- Returns {what stopped it, number of all lanes, job, job, …}. What stopped it is the position of a lane whose next job must wait until the engine's hands are
-- empty, or 'more' when so much had to be set aside that others should have their turn at Redis, else ''. A job is {position of its lane
-- from 1, id, execution id, data, timeout, result_ttl, marks as a flat list}.
--
-- The id leaves its list last: a script that is refused in the middle (memory, a command) has lost nothing. A job that
-- has killed a worker is taken alone, so that only the guilty one collects kills. When hands hold more than the engine
-- knows, the reply to this very take was lost: it gets those jobs. What stands in a lane and is no job goes aside at
-- once. A lane whose keys are of another type has nothing to take.
local MOST_ASIDE = 100
local GRACE = 60
local lanes = (#KEYS - 5) / 2
local hands, worker, executions, stream = KEYS[#KEYS - 4], KEYS[#KEYS - 3], KEYS[#KEYS - 2], KEYS[#KEYS - 1]
local engine, have, take = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local most, budget, now = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local reply = {'', redis.call('SCARD', KEYS[#KEYS])}

local function lane_at(position)
  local first = 12 + 3 * position
  return ARGV[first], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
end

local function give(position, id, execution, data, timeout, result_ttl)
  local marks = redis.pcall('HGETALL', ARGV[11] .. id)
  reply[#reply + 1] = {position, id, execution, data, timeout, result_ttl, marks.err and {} or marks}
end

if redis.call('HLEN', hands) > have then
  local position_of = {}
  for position = 1, lanes do
    position_of[lane_at(position)] = position
  end
  local held = redis.call('HGETALL', hands)
  for index = 1, #held, 2 do
    local taken_by, execution, lane = string.match(held[index + 1], '^(%S+) (%S+) (.*)$')
    if taken_by == take and position_of[lane] then
      local data, timeout, result_ttl =
        unpack(redis.call('HMGET', ARGV[10] .. held[index], 'data', 'timeout', 'result_ttl'))
      give(position_of[lane], held[index], execution, data, timeout, result_ttl)
    end
  end
  if #reply > 2 then
    return reply
  end
end

local moved_aside = 0
local function set_aside(position, id, reason)
  redis.call('XADD', stream, 'MAXLEN', '~', ARGV[12], '*', 'lane', (lane_at(position)), 'place', 'waiting',
    'entry', string.sub(id, 1, tonumber(ARGV[13])), 'reason', reason)
  redis.call('LPOP', KEYS[position])
  moved_aside = moved_aside + 1
end

local longest = 0
local numbers = 0
local started = {}

-- Whether the job runs now; else the reason to set it aside, or nothing when another command was refused.
local function start(position, id, timeout)
  numbers = numbers + 1
  local execution = take .. string.format('%08x', numbers)
  local composite = id .. ':' .. execution
  local seconds = (tonumber(timeout) or tonumber(ARGV[8]))
  if seconds < 0 then
    seconds = tonumber(ARGV[8])
  end
  seconds = math.floor(seconds) + GRACE
  local kind = redis.call('TYPE', 'rq:executions:' .. id).ok
  if kind ~= 'none' and kind ~= 'zset' then
    return 'its executions are of another type'
  end
  redis.call('ZADD', 'rq:executions:' .. id, now + seconds + GRACE, execution)
  redis.call('EXPIRE', 'rq:executions:' .. id, seconds + GRACE)
  local key = 'rq:execution:' .. composite
  redis.call('DEL', key)
  redis.call('HSET', key, 'id', execution, 'job_id', id, 'created_at', now, 'last_heartbeat', now, 'worker_name', engine)
  redis.call('EXPIRE', key, seconds)
  redis.call('ZADD', KEYS[lanes + position], now + seconds, composite)
  redis.call('HSET', ARGV[10] .. id, 'status', 'started', 'started_at', ARGV[7], 'last_heartbeat', ARGV[7],
    'worker_name', engine)
  redis.call('PERSIST', ARGV[10] .. id)
  redis.call('HSET', hands, id, take .. ' ' .. execution .. ' ' .. (lane_at(position)))
  redis.call('LPOP', KEYS[position])
  started[#started + 1] = composite
  longest = math.max(longest, seconds)
  return nil, execution
end

local function take_one(position)
  while moved_aside < MOST_ASIDE do
    local id = redis.pcall('LINDEX', KEYS[position], 0)
    if type(id) ~= 'string' then
      return 'empty'
    end
    local fields
    local reason
    if #id > 512 or not string.find(id, '^[%w_%-%.]+$') then
      reason = 'no job id'
    else
      fields = redis.pcall('HMGET', ARGV[10] .. id, 'status', 'data', 'timeout', 'result_ttl', ARGV[9])
      if fields.err then
        reason = 'the job key holds no hash'
      elseif not fields[1] and not fields[2] then
        reason = redis.call('EXISTS', ARGV[10] .. id) == 0 and 'no job hash' or nil
      end
    end
    if reason then
      set_aside(position, id, reason)
    elseif fields[1] == 'finished' or redis.call('HEXISTS', hands, id) == 1 then
      redis.call('LPOP', KEYS[position]) -- its id was pushed twice, by a repeated write
    elseif fields[5] and (have > 0 or #reply > 2) then
      return 'lonely'
    else
      local execution
      reason, execution = start(position, id, fields[3])
      if execution then
        give(position, id, execution, fields[2], fields[3], fields[4])
        return fields[5] and 'alone' or 'taken'
      end
      set_aside(position, id, reason)
    end
  end
  return 'more'
end

local open = {}
for position = 1, lanes do
  local kind = redis.call('TYPE', KEYS[lanes + position]).ok
  if (kind == 'zset' or kind == 'none') then
    local _, room, seconds = lane_at(position)
    if room > 0 then
      open[#open + 1] = {position = position, room = room, seconds = seconds}
    end
  end
end

local function go()
  while #open > 0 do
    local still = {}
    for _, lane in ipairs(open) do
      local came = take_one(lane.position)
      if came == 'alone' or came == 'more' then
        return came == 'more' and 'more' or ''
      elseif came == 'lonely' then
        reply[1] = lane.position
      elseif came == 'taken' then
        budget = budget - lane.seconds
        lane.room = lane.room - 1
        if #reply - 2 >= most or budget <= 0 then
          return reply[1]
        end
        if lane.room > 0 then
          still[#still + 1] = lane
        end
      end
    end
    open = still
  end
  return reply[1]
end

reply[1] = go()
if #started > 0 then
  redis.call('SADD', executions, unpack(started))
  redis.call('HSET', worker, 'state', 'busy', 'last_heartbeat', ARGV[7])
  local life = math.max(longest, tonumber(ARGV[14]))
  redis.call('EXPIRE', worker, life)
  redis.call('EXPIRE', executions, life)
end
return reply
