-- Take the first waiting job from the first lane that has one.
--
-- KEYS[1..n]    rq:queue:<name>               lists of waiting jobs, in the order of this turn
-- KEYS[n+1..2n] rq:queue:<name>:intermediate  lists of jobs that are taken but not started, in the same order
-- ARGV[1] prefix of job keys
--
-- Returns false when nothing waits, else {position of the lane from 1, job id, the job hash as a flat list}.
local lanes = #KEYS / 2
for position = 1, lanes do
  local id = redis.call('LMOVE', KEYS[position], KEYS[lanes + position], 'LEFT', 'RIGHT')
  if id then
    return {position, id, redis.call('HGETALL', ARGV[1] .. id)}
  end
end
return false
