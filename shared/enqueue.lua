-- Queue one event if it is new. Atomic, and idempotent under repetition (a lost reply, a drain, a provider's retry).
--
-- KEYS[1] rq:job:<id>          the job hash
-- KEYS[2] rq:queue:<name>      the lane's list of waiting jobs
-- KEYS[3] rq:queues            RQ's set of queue keys
-- KEYS[4] ackfirst:lanes       set of lanes that workers discover
-- KEYS[5] ackfirst:bell        list of tokens that wake idle workers
-- ARGV[1] prefix of the sets of ids that were seen before   ARGV[2] their bucket   ARGV[3] the member (shared/dedupe.py)
-- ARGV[4] seconds of a period   ARGV[5] job id   ARGV[6] lane   ARGV[7] most tokens in the bell
-- ARGV[8..] fields and values of the job hash
--
-- Returns 1 when it was queued, 0 when it was seen before.
--
-- A job that still exists counts as seen, because a dead letter outlives the dedupe window. Redis does not undo what came
-- before a command that fails (a key of another type, a command that an ACL forbids), so a hash whose id could not be
-- pushed is taken back: otherwise the next attempt would take the event for one that is queued.
local period = tonumber(ARGV[4])
local current = math.floor(tonumber(redis.call('TIME')[1]) / period)
local prefix, suffix, member = ARGV[1], ':' .. ARGV[2], ARGV[3]
local call = redis.call
if call('EXISTS', KEYS[1]) == 1 then
  return 0
end
for number = current + 1, current - 3, -1 do
  if call('SISMEMBER', prefix .. number .. suffix, member) == 1 then
    return 0
  end
end
redis.call('SADD', KEYS[3], KEYS[2])
redis.call('SADD', KEYS[4], ARGV[6])
redis.call('HSET', KEYS[1], unpack(ARGV, 8))
local pushed = redis.pcall('RPUSH', KEYS[2], ARGV[5])
if type(pushed) == 'table' then
  redis.call('DEL', KEYS[1])
  return pushed
end
local set = prefix .. current .. suffix
call('SADD', set, member)
if call('SCARD', set) == 1 then
  call('EXPIREAT', set, (current + 4) * period)
end
if redis.call('LLEN', KEYS[5]) < tonumber(ARGV[7]) then
  redis.call('RPUSH', KEYS[5], '1')
end
return 1
