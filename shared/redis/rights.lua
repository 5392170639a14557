-- Try commands that change nothing, and report those that the user's rights (ACL) forbid.
--
-- The key names come as arguments: of a forbidden name among KEYS, Redis would refuse the whole call without saying which.
--
-- ARGV[1] name of a key that the script may create and delete   ARGV[2] a text that is no member of any set of RQ's
-- ARGV[3..] prefixes of key names, which end in a colon, and whole names of sets
--
-- Returns the forbidden commands, each as '!' and its name, and those of ARGV[3..] that may not be read and written.
local missing = {}

local function is_forbidden(...)
  local reply = redis.pcall(...)
  local message = type(reply) == 'table' and reply.err or ''
  return string.find(message, 'NOPERM', 1, true) ~= nil or string.find(message, 'ACL failure', 1, true) ~= nil
    or string.find(message, 'user executing the script', 1, true) ~= nil
end

for at = 3, #ARGV do
  local name = ARGV[at]
  if string.sub(name, -1) == ':' then
    name = name .. ARGV[2]
  end
  if is_forbidden('EXISTS', name) or is_forbidden('SREM', name, ARGV[2]) then
    missing[#missing + 1] = ARGV[at]
  end
end

local key = ARGV[1]
local trials = {
  {'SET', key, '1'}, {'GET', key}, {'INCRBY', key, '1'}, {'DEL', key},
  {'HSET', key, 'a', '1'}, {'HINCRBYFLOAT', key, 'a', '1'}, {'HGETALL', key}, {'EXPIRE', key, '60'}, {'PERSIST', key},
  {'TYPE', key}, {'DEL', key},
  {'RPUSH', key, 'a'}, {'LRANGE', key, '0', '-1'}, {'LREM', key, '0', 'a'}, {'DEL', key},
  {'SADD', key, 'a'}, {'SISMEMBER', key, 'a'}, {'DEL', key},
  {'ZADD', key, '1', 'a'}, {'ZRANGEBYSCORE', key, '0', '1'}, {'DEL', key},
  {'XADD', key, '*', 'a', '1'}, {'XRANGE', key, '-', '+'}, {'DEL', key},
  {'TIME'},
}
for _, command in ipairs(trials) do
  if is_forbidden(unpack(command)) then
    missing[#missing + 1] = '!' .. command[1]
  end
end
return missing
