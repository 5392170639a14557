-- Take an entry that no worker can run out of its list or sorted set, and keep a record of it.
--
-- KEYS[1] ackfirst:rejects   stream of such entries
-- KEYS[2] the list or sorted set   KEYS[3] ackfirst:in-flight:<engine>   hash of the jobs that the engine has taken
-- KEYS[4] rq:job:<id>      the job key, whatever it holds
-- ARGV[1] the entry, any bytes   ARGV[2] the job that the engine has in hand, '' for none
-- ARGV[3] lane   ARGV[4] place   ARGV[5] reason   ARGV[6] most entries in the stream
-- ARGV[7] characters of an entry that are kept in it   ARGV[8] seconds for which the job key stays
--
-- Returns 1 when it was there, else 0: another call has moved it. The job hash stays for a while as it is.
local kind = redis.call('TYPE', KEYS[2]).ok
local removed = 0
if kind == 'list' then
  removed = redis.call('LREM', KEYS[2], 1, ARGV[1])
elseif kind == 'zset' then
  removed = redis.call('ZREM', KEYS[2], ARGV[1])
end
if ARGV[2] ~= '' then
  redis.call('HDEL', KEYS[3], ARGV[2])
end
if removed == 0 then
  return 0
end
if redis.call('TTL', KEYS[4]) == -1 then
  redis.call('EXPIRE', KEYS[4], ARGV[8])
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[6], '*', 'lane', ARGV[3], 'place', ARGV[4],
  'entry', string.sub(ARGV[1], 1, tonumber(ARGV[7])), 'reason', ARGV[5])
return 1
