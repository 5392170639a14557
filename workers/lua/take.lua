-- Take jobs from lanes in turns, one from each lane that has one, and write in RQ's own keys that they are running.
--
-- KEYS[1..n]    rq:queue:<name>   lists of waiting jobs, in the order of this turn
-- KEYS[n+1..2n] rq:wip:<name>     sorted sets <job id>:<execution id> -> unix second, in the same order
-- KEYS[2n+1]    ackfirst:hands:<engine>         hash job id -> <take> <execution id> <lane>
-- KEYS[2n+2]    rq:worker:<engine>              hash
-- KEYS[2n+3]    rq:worker:<engine>:executions   set of <job id>:<execution id>
-- KEYS[2n+4]    ackfirst:rejects                  stream of entries that no worker can run
-- KEYS[2n+5]    ackfirst:lanes                  set of all lanes
-- ARGV[1] the engine   ARGV[2] how many jobs it knows to be in its hands   ARGV[3] name of this take, the same when it
-- is repeated   ARGV[4] most jobs   ARGV[5] seconds of work that they may be together   ARGV[6] now, unix seconds
-- ARGV[7] now as RQ writes times   ARGV[8] seconds for a job without a timeout   ARGV[9] field of the kills
-- ARGV[10] prefix of job keys   ARGV[11] prefix of the keys of marks   ARGV[12] most entries in the stream
-- ARGV[13] characters of an entry that are kept in it   ARGV[14] seconds without a sign of life after which RQ forgets
-- the engine   ARGV[15..] lane, most jobs of it, seconds of work of one of them
--
-- Returns {what stopped it, number of all lanes, job, job, …}. What stopped it is the position of a lane whose next job
-- must wait until the engine's hands are empty, or 'more' when so much had to be set aside that others should have their
-- turn at Redis, or 'full' when they are as many as were wanted, else ''. A job is {position of its lane from 1, id, execution id, data, timeout, result_ttl, field of the
-- kills, marks as a flat list}.
--
-- Ids leave their lists last: a script that is refused in the middle (memory, a command) has lost nothing. A job that
-- has killed a worker is taken alone, so that only the guilty one collects kills. When hands hold more than the engine
-- knows, the reply to this very take was lost: it gets those jobs. What stands in a lane and is no job goes aside at
-- once. A lane whose keys are of another type has nothing to take. A call of a command costs more than most commands:
-- what can be done for many jobs at once is.
local MOST_ASIDE = 100
local GRACE = 60
local call = redis.call
local lanes = (#KEYS - 5) / 2
local hands, worker, executions, stream = KEYS[#KEYS - 4], KEYS[#KEYS - 3], KEYS[#KEYS - 2], KEYS[#KEYS - 1]
local engine, have, take = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local most, budget, now = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local reply = {'', call('SCARD', KEYS[#KEYS])}

local function lane_at(position)
  local first = 12 + 3 * position
  return ARGV[first], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
end

local function look_at(id)
  return redis.pcall('HMGET', ARGV[10] .. id, 'status', 'data', 'timeout', 'result_ttl', ARGV[9], 'started_at',
    'ended_at', 'ttl')
end

local function give(position, id, execution, fields)
  local marks = fields[6] and redis.pcall('HGETALL', ARGV[11] .. id) or {} -- none before the first start
  local data, timeout, result_ttl, kills = fields[2] or false, fields[3] or false, fields[4] or false, fields[5] or false
  reply[#reply + 1] = {position, id, execution, data, timeout, result_ttl, kills, marks.err and {} or marks}
end

local held = call('HLEN', hands)
if held > have then
  local position_of = {}
  for position = 1, lanes do
    position_of[lane_at(position)] = position
  end
  local notes = call('HGETALL', hands)
  for index = 1, #notes, 2 do
    local taken_by, execution, lane = string.match(notes[index + 1], '^(%S+) (%S+) (.*)$')
    if taken_by == take and position_of[lane] then
      give(position_of[lane], notes[index], execution, look_at(notes[index]))
    end
  end
  if #reply > 2 then
    return reply
  end
end

local open = {}
for position = 1, lanes do
  local kind = call('TYPE', KEYS[lanes + position]).ok
  local name, room, seconds = lane_at(position)
  if (kind == 'zset' or kind == 'none') and room > 0 then
    open[#open + 1] = {position = position, name = name, room = room, seconds = seconds, ids = {}, at = 1, gone = 0}
  end
end
local served = open

-- The id at the head of a lane, behind those that are done with; read in pieces.
local function head_of(lane)
  if lane.at > #lane.ids then
    local piece = math.max(1, math.ceil(math.min(most, budget / lane.seconds) / #open))
    local ids = redis.pcall('LRANGE', KEYS[lane.position], lane.gone, lane.gone + piece - 1)
    if ids.err or #ids == 0 then
      return nil
    end
    lane.ids, lane.at = ids, 1
    lane.held = held > 0 and call('HMGET', hands, unpack(ids)) or {}
  end
  return lane.ids[lane.at], lane.held[lane.at]
end

local function pass(lane)
  lane.at = lane.at + 1
  lane.gone = lane.gone + 1
end

local moved_aside = 0
local function set_aside(lane, id, reason)
  call('XADD', stream, 'MAXLEN', '~', ARGV[12], '*', 'lane', lane.name, 'place', 'waiting',
    'entry', string.sub(id, 1, tonumber(ARGV[13])), 'reason', reason)
  moved_aside = moved_aside + 1
end

local longest = 0
local started = {}
local noted = {}
local is_started = {}

-- The name of the job's execution, which begins; or nil and the reason to set the job aside.
local function start(lane, id, fields)
  local execution = take .. string.format('%08x', #started + 1)
  local composite = id .. ':' .. execution
  local seconds = tonumber(fields[3]) or tonumber(ARGV[8])
  if not (seconds >= 0 and seconds < 1e9) then -- also what is no number: such a time would be refused
    seconds = tonumber(ARGV[8])
  end
  seconds = math.floor(seconds) + GRACE
  local due = string.format('%.6f', now + seconds)
  local registry, key, job = 'rq:executions:' .. id, 'rq:execution:' .. composite, ARGV[10] .. id
  local added = redis.pcall('ZADD', registry, now + seconds + GRACE, execution)
  if type(added) == 'table' then
    if call('TYPE', registry).ok ~= 'zset' then
      return nil, 'its executions are of another type'
    end
    call('ZADD', registry, now + seconds + GRACE, execution) -- raises it as it is
  end
  call('EXPIRE', registry, seconds + GRACE)
  call('HSET', key, 'id', execution, 'job_id', id, 'created_at', now, 'last_heartbeat', now, 'worker_name', engine)
  call('EXPIRE', key, seconds)
  call('HSET', job, 'status', 'started', 'started_at', ARGV[7], 'last_heartbeat', ARGV[7], 'worker_name', engine)
  if fields[7] or fields[8] then -- only what has ended before, or was given a life, expires
    call('PERSIST', job)
  end
  lane.running = lane.running or {}
  lane.running[#lane.running + 1] = due
  lane.running[#lane.running + 1] = composite
  noted[#noted + 1] = id
  noted[#noted + 1] = take .. ' ' .. execution .. ' ' .. lane.name
  started[#started + 1] = composite
  is_started[id] = true
  longest = math.max(longest, seconds)
  return execution
end

local function fault_of(id, fields)
  if #id > 512 or not string.find(id, '^[%w_%-%.]+$') then
    return 'no job id'
  elseif fields.err then
    return 'the job key holds no hash'
  elseif not fields[1] and not fields[2] and call('EXISTS', ARGV[10] .. id) == 0 then
    return 'no job hash'
  end
end

local function take_one(lane)
  while moved_aside < MOST_ASIDE do
    local id, note = head_of(lane)
    if not id then
      return 'empty'
    end
    local fields = #id > 512 and {} or look_at(id)
    local reason = fault_of(id, fields)
    if reason then
      set_aside(lane, id, reason)
      pass(lane)
    elseif fields[1] == 'finished' or note or is_started[id] then
      pass(lane) -- its id was pushed twice, by a repeated write
    elseif fields[5] and (have > 0 or #reply > 2) then
      return 'lonely'
    else
      local execution
      execution, reason = start(lane, id, fields)
      pass(lane)
      if execution then
        give(lane.position, id, execution, fields)
        return fields[5] and 'alone' or 'taken'
      end
      set_aside(lane, id, reason)
    end
  end
  return 'more'
end

local function go()
  while #open > 0 do
    local still = {}
    for _, lane in ipairs(open) do
      local came = take_one(lane)
      if came == 'alone' or came == 'more' then
        return came == 'more' and 'more' or ''
      elseif came == 'lonely' then
        reply[1] = lane.position
      elseif came == 'taken' then
        budget = budget - lane.seconds
        lane.room = lane.room - 1
        if #reply - 2 >= most or budget <= 0 then
          return reply[1] == '' and 'full' or reply[1]
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
  call('HSET', hands, unpack(noted))
  call('SADD', executions, unpack(started))
  call('HSET', worker, 'state', 'busy', 'last_heartbeat', ARGV[7])
  local life = math.max(longest, tonumber(ARGV[14]))
  call('EXPIRE', worker, life)
  call('EXPIRE', executions, life)
end
for _, lane in ipairs(served) do
  if lane.running then
    call('ZADD', KEYS[lanes + lane.position], unpack(lane.running))
  end
  if lane.gone > 0 then
    call('LTRIM', KEYS[lane.position], lane.gone, -1)
  end
end
return reply
