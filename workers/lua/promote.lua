-- Put the retries of one lane that are due back into its list.
--
-- KEYS[1] rq:scheduled:<name>  sorted set job id -> unix second
-- KEYS[2] rq:queue:<name>      list of waiting jobs
-- KEYS[3] ackfirst:bell        list of tokens that wake idle workers
-- KEYS[4] ackfirst:rejects     stream of entries that no worker can run
-- KEYS[5] ackfirst:ready       sorted set lane -> turn: the lanes that have work
-- ARGV[1] now, unix seconds   ARGV[2] most jobs in one call   ARGV[3] most tokens in the bell
-- ARGV[4] prefix of job keys   ARGV[5] now as RQ writes times
-- ARGV[6] the lane   ARGV[7] most entries in the stream   ARGV[8] characters of an entry that are kept in it
--
-- Returns {how many were promoted, how many entries were looked at}. An entry whose job is not scheduled is a left-over:
-- the job is where its status says, so the entry alone goes. One without a job hash goes aside.
local promoted = 0
local seen = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
  local status = redis.pcall('HGET', ARGV[4] .. id, 'status')
  if status == 'scheduled' then
    redis.call('HSET', ARGV[4] .. id, 'status', 'queued', 'enqueued_at', ARGV[5])
    redis.call('RPUSH', KEYS[2], id)
    promoted = promoted + 1
  elseif not status or type(status) == 'table' then
    redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[7], '*', 'lane', ARGV[6], 'place', 'scheduled',
      'entry', string.sub(id, 1, tonumber(ARGV[8])), 'reason', status and 'the job key holds no hash' or 'no job hash')
  end
  redis.call('ZREM', KEYS[1], id)
  seen = seen + 1
end
if promoted > 0 then
  make_ready(KEYS[5], ARGV[6])
end
local room = tonumber(ARGV[3]) - redis.call('LLEN', KEYS[3])
for _ = 1, math.min(promoted, room) do
  redis.call('RPUSH', KEYS[3], '1')
end
return {promoted, seen}
