-- Take the first waiting job from the first lane that has one.
--
-- KEYS[1..n]    rq:queue:<name>               lists of waiting jobs, in the order of this turn
-- KEYS[n+1..2n] rq:queue:<name>:intermediate  lists of jobs that are taken but not started, in the same order
-- KEYS[2n+1]    ackfirst:hands                hash engine -> ["<lane>","<job id>"]
-- KEYS[2n+2]    ackfirst:aside                stream of entries that no worker can run
-- ARGV[1] prefix of job keys   ARGV[2] the engine that takes   ARGV[3] most entries in the stream
-- ARGV[4] characters of an entry that are kept in it   ARGV[5..] the lanes, in the same order
--
-- Returns false when nothing waits, else {position of the lane from 1, job id, the job hash as a flat list}, or 'more'
-- when so much had to be set aside that others should have their turn at Redis.
--
-- An engine asks when its hands are empty. If they are not, the reply to an earlier call was lost: then it gets that job.
-- What stands in a lane and is no job goes aside at once. A lane whose key is no list has nothing to take.
local MOST = 100
local lanes = (#KEYS - 2) / 2
local hands, stream = KEYS[#KEYS - 1], KEYS[#KEYS]

local function fields_of(id)
  if #id > 512 or not string.find(id, '^[%w_%-%.]+$') then
    return nil, 'no job id'
  end
  local fields = redis.pcall('HGETALL', ARGV[1] .. id)
  if fields.err then
    return nil, 'the job key holds no hash'
  end
  if #fields == 0 then
    return nil, 'no job hash'
  end
  return fields
end

local held = redis.call('HGET', hands, ARGV[2])
if held then
  local lane, id = unpack(cjson.decode(held))
  for position = 1, lanes do
    if ARGV[4 + position] == lane and redis.call('LPOS', KEYS[lanes + position], id)
        and redis.call('HGET', ARGV[1] .. id, 'worker_name') == ARGV[2] then
      return {position, id, redis.call('HGETALL', ARGV[1] .. id)}
    end
  end
end

local moved_aside = 0
for position = 1, lanes do
  local id = redis.pcall('LMOVE', KEYS[position], KEYS[lanes + position], 'LEFT', 'RIGHT')
  while type(id) == 'string' do
    local fields, reason = fields_of(id)
    if fields then
      redis.call('HSET', hands, ARGV[2], cjson.encode({ARGV[4 + position], id}))
      redis.call('HSET', ARGV[1] .. id, 'worker_name', ARGV[2])
      return {position, id, fields}
    end
    redis.call('RPOP', KEYS[lanes + position])
    redis.call('XADD', stream, 'MAXLEN', '~', ARGV[3], '*', 'lane', ARGV[4 + position], 'place', 'waiting',
      'entry', string.sub(id, 1, tonumber(ARGV[4])), 'reason', reason)
    moved_aside = moved_aside + 1
    if moved_aside >= MOST then
      return 'more'
    end
    id = redis.pcall('LMOVE', KEYS[position], KEYS[lanes + position], 'LEFT', 'RIGHT')
  end
end
if held then
  redis.call('HDEL', hands, ARGV[2])
end
return false
