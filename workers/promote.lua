-- Put the retries of one lane that are due back into its list.
--
-- KEYS[1] rq:scheduled:<name>  sorted set job id -> unix second
-- KEYS[2] rq:queue:<name>      list of waiting jobs
-- KEYS[3] ackfirst:bell        list of tokens that wake idle workers
-- ARGV[1] now, unix seconds   ARGV[2] most jobs in one call   ARGV[3] most tokens in the bell
-- ARGV[4] prefix of job keys   ARGV[5] now as RQ writes times
--
-- Returns {how many were promoted, ids without a job hash...}. An entry whose job is not scheduled is a left-over: the
-- job is where its status says, so the entry alone goes.
local promoted = 0
local reply = {0}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
  local status = redis.call('HGET', ARGV[4] .. id, 'status')
  if status == 'scheduled' then
    redis.call('HSET', ARGV[4] .. id, 'status', 'queued', 'enqueued_at', ARGV[5])
    redis.call('RPUSH', KEYS[2], id)
    promoted = promoted + 1
  elseif not status then
    reply[#reply + 1] = id
  end
  redis.call('ZREM', KEYS[1], id)
end
local room = tonumber(ARGV[3]) - redis.call('LLEN', KEYS[3])
for _ = 1, math.min(promoted, room) do
  redis.call('RPUSH', KEYS[3], '1')
end
reply[1] = promoted
return reply
