-- Remove a lane that holds nothing from the sets of lanes; its next event adds it again.
--
-- KEYS[1] ackfirst:lanes   set of lanes   KEYS[2] rq:queues   RQ's set of queue keys
-- KEYS[3] ackfirst:ready   sorted set lane -> turn   KEYS[4] list of waiting jobs   KEYS[5..] the lane's other keys
-- ARGV[1] the lane
--
-- Returns 1 when it was removed, 0 when the lane holds something again.
if redis.call('EXISTS', unpack(KEYS, 4)) > 0 then
  return 0
end
redis.call('SREM', KEYS[1], ARGV[1])
redis.pcall('SREM', KEYS[2], KEYS[4])
redis.pcall('ZREM', KEYS[3], ARGV[1])
return 1
