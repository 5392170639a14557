-- Take jobs from lanes in turns, one from each lane that has one, and write in RQ's own keys that they are running.
--
-- KEYS[1] ackfirst:in-flight:<engine>         hash job id -> <take> <execution id> <lane>
-- KEYS[2] rq:worker:<engine>              hash
-- KEYS[3] rq:worker:<engine>:executions   set of <job id>:<execution id>
-- KEYS[4] ackfirst:rejects                stream of entries that no worker can run
-- KEYS[5] ackfirst:ready                  sorted set lane -> turn: the lanes that have work
-- KEYS[6] ackfirst:paused                 hash lane -> since when and by whom: no job of these is taken
-- ARGV[1] what is asked for, a JSON object:
--   engine, have (jobs that it knows to be in flight), take (name of this take, the same when it is repeated),
--   most (jobs), budget (seconds of work that they may be together), now (unix seconds), time (now as RQ writes it),
--   room and seconds (most jobs of a lane that is not in known, and seconds of work of one of them),
--   known (lane -> the same two), pinned (list of lanes; empty to serve all lanes)
-- ARGV[2] what is the same in every take, a JSON object:
--   timeout (seconds for a job without one), life (seconds without a heartbeat after which RQ forgets the engine),
--   kills and replay (fields of a job), rejects (most entries in KEYS[4]), entry (characters of an entry that are kept there),
--   prefixes of keys: job, marks, list (of a lane's waiting jobs), running (sorted set of its running ones)
--
-- Returns {what stopped it, job, job, …}. What stopped it is 'lonely' when the next job of a lane must wait until the
-- engine has nothing in flight (that lane then comes first), 'more' when the call should be repeated, because so much was
-- set aside, or lanes turned out to be empty, that others should have their turn at Redis, 'full' when the jobs are as
-- many as were wanted, else ''. A job is {lane, id, execution id, data, timeout, result_ttl, field of the kills, marks as
-- a flat list, field of the replay}.
--
-- Only lanes of the ready set are looked at, in the order of their turns, and no more of them than can give a job: ten
-- thousand lanes cost a take as much as one. A lane that gave a job goes behind all others; a lane without jobs leaves
-- the set. Enqueuing adds it again in the same script as the job, so that no crash comes between.
--
-- Ids leave their lists last: a script that is refused in the middle (memory, a command) has lost nothing. A job that
-- has killed a worker is taken alone, so that only the guilty one collects kills. When this very take was
-- carried out before, its reply was lost: the engine gets those jobs. What stands in a lane and is no job goes aside at
-- once. A lane whose keys are of another type has nothing to take. A call of a command costs more than most commands:
-- what can be done for many jobs at once is.
local MOST_ASIDE = 100
local MOST_LOOKED_AT = 1000
local GRACE = 60
local call = redis.call
local in_flight, worker, executions, stream, ready, pauses = unpack(KEYS)
local ask, fixed = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local take, most, budget = ask.take, ask.most, ask.budget
local reply = {''}

local function look_at(id)
  return redis.pcall('HMGET', fixed.job .. id, 'status', 'data', 'timeout', 'result_ttl', fixed.kills, 'started_at',
    'ended_at', 'ttl', fixed.replay)
end

local function give(lane, id, execution, fields)
  -- None before the first start, except those that a replay has restored.
  local marks = (fields[6] or fields[9]) and redis.pcall('HGETALL', fixed.marks .. id) or {}
  local data, timeout, result_ttl, kills = fields[2] or false, fields[3] or false, fields[4] or false, fields[5] or false
  reply[#reply + 1] = {lane, id, execution, data, timeout, result_ttl, kills, marks.err and {} or marks,
    fields[9] or false}
end

local held = call('HLEN', in_flight)
if redis.pcall('HGET', worker, 'ackfirst_take') == take then
  local notes = call('HGETALL', in_flight)
  for index = 1, #notes, 2 do
    local taken_by, execution, lane = string.match(notes[index + 1], '^(%S+) (%S+) (.*)$')
    if taken_by == take then
      give(lane, notes[index], execution, look_at(notes[index]))
    end
  end
  if #reply > 1 then
    return reply
  end
end

local is_paused = {}
local paused = redis.pcall('HKEYS', pauses)
for _, name in ipairs(paused.err and {} or paused) do
  is_paused[name] = true
end

local open = {}
local function open_lanes(names)
  for _, name in ipairs(names) do
    local room, seconds = unpack(ask.known[name] or {ask.room, ask.seconds})
    if room > 0 and not is_paused[name] then
      open[#open + 1] = {name = name, list = fixed.list .. name, running_key = fixed.running .. name, room = room,
        seconds = seconds, ids = {}, at = 1, gone = 0, turn = 0}
    end
  end
end

-- Pinned lanes are looked at whether they are in the ready set or not: they are few.
local function pinned_in_turn()
  local scores = redis.pcall('ZMSCORE', ready, unpack(ask.pinned))
  local turns = {}
  for index, name in ipairs(ask.pinned) do
    turns[name] = tonumber(scores[index] or nil) or math.huge
  end
  table.sort(ask.pinned, function(one, other) return turns[one] < turns[other] end)
  return ask.pinned
end

if #ask.pinned > 0 then
  open_lanes(pinned_in_turn())
else
  -- Some lanes may have no room: look further, in growing steps, but not through all of them.
  local wanted = math.min(most, math.max(1, math.ceil(budget / ask.seconds)))
  local from, step = 0, wanted
  while #open < wanted and from < MOST_LOOKED_AT do
    local names = redis.pcall('ZRANGE', ready, from, from + step - 1)
    if names.err or #names == 0 then
      break
    end
    open_lanes(names)
    from, step = from + #names, 2 * step
  end
end
local served = open

-- All at once: with one job a lane, to ask for each of them would be a command a job.
local in_hands = {}
for _, id in ipairs(held > 0 and call('HKEYS', in_flight) or {}) do
  in_hands[id] = true
end

-- The id at the head of a lane, behind those that are done with; read in pieces.
local function head_of(lane)
  if lane.at > #lane.ids then
    local piece = math.max(1, math.ceil(math.min(most, budget / lane.seconds) / #open))
    local ids = redis.pcall('LRANGE', lane.list, lane.gone, lane.gone + piece) -- one more, to see the end of the list
    if ids.err or #ids == 0 then
      lane.is_spent = true
      return nil
    end
    lane.has_more = #ids > piece
    if lane.has_more then
      ids[#ids] = nil
    end
    lane.ids, lane.at = ids, 1
  end
  return lane.ids[lane.at], in_hands[lane.ids[lane.at]]
end

local function pass(lane)
  lane.at = lane.at + 1
  lane.gone = lane.gone + 1
end

local moved_aside = 0
local function set_aside(lane, id, reason)
  call('XADD', stream, 'MAXLEN', '~', fixed.rejects, '*', 'lane', lane.name, 'place', 'waiting',
    'entry', string.sub(id, 1, fixed.entry), 'reason', reason)
  moved_aside = moved_aside + 1
end

local began = string.format('%.6f', ask.now)
local longest = 0
local started = {}
local noted = {}
local is_started = {}

-- Write the first job of a lane into the lane's registry of running jobs; false when that is of another type. The others
-- follow in one call. Should the script end in between, the janitor drops the entry: its job does not run.
local function list_first(lane, due, composite)
  local added = redis.pcall('ZADD', lane.running_key, due, composite)
  if type(added) ~= 'table' then
    return true
  end
  if call('TYPE', lane.running_key).ok == 'zset' then
    call('ZADD', lane.running_key, due, composite) -- raises it as it is
  end
  return false
end

-- The name of the job's execution, which begins; or nil and the reason to set the job aside, if it is the job's.
local function start(lane, id, fields)
  local execution = take .. string.format('%08x', #started + 1)
  local composite = id .. ':' .. execution
  local seconds = tonumber(fields[3]) or fixed.timeout
  if not (seconds >= 0 and seconds < 1e9) then -- also what is no number: such a time would be refused
    seconds = fixed.timeout
  end
  seconds = math.floor(seconds) + GRACE
  local due = string.format('%.6f', ask.now + seconds)
  local registry, key, job = 'rq:executions:' .. id, 'rq:execution:' .. composite, fixed.job .. id
  local added = redis.pcall('ZADD', registry, ask.now + seconds + GRACE, execution)
  if type(added) == 'table' then
    if call('TYPE', registry).ok ~= 'zset' then
      return nil, 'its executions are of another type'
    end
    call('ZADD', registry, ask.now + seconds + GRACE, execution) -- raises it as it is
  end
  if not lane.running and not list_first(lane, due, composite) then
    call('ZREM', registry, execution)
    return nil
  end
  call('EXPIRE', registry, seconds + GRACE)
  call('HSET', key, 'id', execution, 'job_id', id, 'created_at', began, 'last_heartbeat', began, 'worker_name', ask.engine)
  call('EXPIRE', key, seconds)
  call('HSET', job, 'status', 'started', 'started_at', ask.time, 'last_heartbeat', ask.time, 'worker_name', ask.engine)
  if fields[7] or fields[8] then -- only what has ended before, or was given a life, expires
    call('PERSIST', job)
  end
  if lane.running then
    lane.running[#lane.running + 1] = due
    lane.running[#lane.running + 1] = composite
  else
    lane.running = {}
  end
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
  elseif not fields[1] and not fields[2] and call('EXISTS', fixed.job .. id) == 0 then
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
    elseif fields[5] and (ask.have > 0 or #reply > 1) then
      return 'lonely'
    else
      local execution
      execution, reason = start(lane, id, fields)
      if not execution and not reason then
        lane.turn = 1 -- behind the others, so that many such lanes cannot hide one that works
        return 'empty'
      end
      pass(lane)
      if execution then
        give(lane.name, id, execution, fields)
        lane.turn = #reply
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
        lane.is_first = reply[1] ~= 'lonely'
        reply[1] = 'lonely'
      elseif came == 'taken' then
        budget = budget - lane.seconds
        lane.room = lane.room - 1
        if #reply - 1 >= most or budget <= 0 then
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
  call('HSET', in_flight, unpack(noted))
  call('SADD', executions, unpack(started))
  call('HSET', worker, 'state', 'busy', 'last_heartbeat', ask.time, 'ackfirst_take', take)
  local life = math.max(longest, fixed.life)
  call('EXPIRE', worker, life)
  call('EXPIRE', executions, life)
end

local behind, spent, first = {}, {}, nil
for _, lane in ipairs(served) do
  if lane.running and #lane.running > 0 then
    call('ZADD', lane.running_key, unpack(lane.running))
  end
  if lane.gone > 0 then
    call('LTRIM', lane.list, lane.gone, -1)
  end
  if lane.is_spent or (lane.at > #lane.ids and lane.gone > 0 and not lane.has_more) then
    spent[#spent + 1] = lane.name
  elseif lane.is_first then
    first = lane.name
  elseif lane.turn > 0 then
    behind[#behind + 1] = lane
  end
end
if #spent > 0 then
  local removed = redis.pcall('ZREM', ready, unpack(spent))
  if type(removed) == 'number' and removed > 0 and #reply == 1 and reply[1] == '' then
    reply[1] = 'more' -- lanes that others have emptied stood before lanes that may have work
  end
end
if #behind > 0 then
  table.sort(behind, function(one, other) return one.turn < other.turn end)
  local last = redis.pcall('ZREVRANGE', ready, 0, 0, 'WITHSCORES')
  local places = {}
  for index, lane in ipairs(behind) do
    places[2 * index - 1] = (tonumber(last[2]) or 0) + index
    places[2 * index] = lane.name
  end
  redis.pcall('ZADD', ready, unpack(places))
end
if first then
  local head = redis.pcall('ZRANGE', ready, 0, 0, 'WITHSCORES')
  redis.pcall('ZADD', ready, (tonumber(head[2]) or 0) - 1, first)
end
return reply
