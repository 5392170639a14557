-- Put a redacted envelope into a job, and results without texts. Only while no worker has the job: RQ writes the whole
-- hash again when a run fails, from what it read before, and the old data would be back.
--
-- KEYS[1] rq:job:<id>       hash
-- KEYS[2] rq:results:<id>   stream
-- ARGV[1] the data that was read   ARGV[2] the data to write
-- then for each result: its id, the number of its fields and values, and these
--
-- Returns 'done', 'running', or 'changed' when the job is gone or not as it was read.
local status, data = unpack(redis.call('HMGET', KEYS[1], 'status', 'data'))
if data ~= ARGV[1] then
  return 'changed'
elseif status == 'started' then
  return 'running'
end
redis.call('HSET', KEYS[1], 'data', ARGV[2])
redis.call('HDEL', KEYS[1], 'exc_info', 'result', 'meta')
local expires = redis.call('PTTL', KEYS[2])
if expires ~= -2 then
  redis.call('DEL', KEYS[2])
  local at = 3
  while ARGV[at] do
    local fields = tonumber(ARGV[at + 1])
    redis.call('XADD', KEYS[2], ARGV[at], unpack(ARGV, at + 2, at + 1 + fields))
    at = at + 2 + fields
  end
  if expires > 0 then
    redis.call('PEXPIRE', KEYS[2], expires)
  end
end
return 'done'
