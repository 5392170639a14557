-- Take the first waiting job from the first lane that has one.
--
-- KEYS[1..n]    rq:queue:<name>               lists of waiting jobs, in the order of this turn
-- KEYS[n+1..2n] rq:queue:<name>:intermediate  lists of jobs that are taken but not started, in the same order
-- KEYS[2n+1]    ackfirst:hands                hash engine -> ["<lane>","<job id>"]
-- ARGV[1] prefix of job keys   ARGV[2] the engine that takes   ARGV[3..] the lanes, in the same order
--
-- Returns false when nothing waits, else {position of the lane from 1, job id, the job hash as a flat list}.
--
-- An engine asks when its hands are empty. If they are not, the reply to an earlier call was lost: then it gets that job.
local lanes = (#KEYS - 1) / 2
local hands = KEYS[#KEYS]
local held = redis.call('HGET', hands, ARGV[2])
if held then
  local lane, id = unpack(cjson.decode(held))
  for position = 1, lanes do
    if ARGV[2 + position] == lane and redis.call('LPOS', KEYS[lanes + position], id)
        and redis.call('HGET', ARGV[1] .. id, 'worker_name') == ARGV[2] then
      return {position, id, redis.call('HGETALL', ARGV[1] .. id)}
    end
  end
end
for position = 1, lanes do
  local id = redis.call('LMOVE', KEYS[position], KEYS[lanes + position], 'LEFT', 'RIGHT')
  if id then
    local fields = redis.call('HGETALL', ARGV[1] .. id)
    redis.call('HSET', hands, ARGV[2], cjson.encode({ARGV[2 + position], id}))
    if #fields > 0 then
      redis.call('HSET', ARGV[1] .. id, 'worker_name', ARGV[2])
    end
    return {position, id, fields}
  end
end
if held then
  redis.call('HDEL', hands, ARGV[2])
end
return false
