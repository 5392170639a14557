-- Put a job that was set aside back into its lane, if there is a job to be put back.
--
-- KEYS[1] ackfirst:rejects   stream of entries that were set aside   KEYS[2] rq:job:<id>   the job key
-- KEYS[3] rq:queue:<name>  list of waiting jobs                    KEYS[4] ackfirst:lanes   set of lanes
-- KEYS[5] ackfirst:bell    list of tokens that wake idle workers   KEYS[6] rq:queues   RQ's set of queue keys
-- KEYS[7] ackfirst:ready   sorted set lane -> turn: the lanes that have work
-- ARGV[1] the entry's id in the stream   ARGV[2] job id   ARGV[3] lane   ARGV[4] now as RQ writes times
-- ARGV[5] most tokens in the bell
--
-- Returns 'queued', 'gone' (the record is not there), 'no-hash', or the job's status when it is on its way already.
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 'gone'
end
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then
  return 'no-hash'
end
local status = redis.call('HGET', KEYS[2], 'status')
if redis.call('LPOS', KEYS[3], ARGV[2]) then
  redis.call('XDEL', KEYS[1], ARGV[1])
  return status or 'queued'
end
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[2], 'status', 'queued', 'enqueued_at', ARGV[4], 'worker_name', '')
redis.call('SADD', KEYS[4], ARGV[3])
redis.call('SADD', KEYS[6], KEYS[3])
make_ready(KEYS[7], ARGV[3])
redis.call('RPUSH', KEYS[3], ARGV[2])
if redis.call('LLEN', KEYS[5]) < tonumber(ARGV[5]) then
  redis.call('RPUSH', KEYS[5], '1')
end
redis.call('XDEL', KEYS[1], ARGV[1])
return 'queued'
