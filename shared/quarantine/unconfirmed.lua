-- Prepended to every script that notes a callback which could not be confirmed.
--
-- Write when an application's last such callback came. Any sender may claim any name, so the hash is bounded: where it is
-- full, a field chosen at random makes room. An application that goes on sending is back with its next callback.
local function note_unconfirmed(hash, application, at, most)
  local size = redis.pcall('HLEN', hash)
  if type(size) == 'number' and size >= tonumber(most) and redis.pcall('HEXISTS', hash, application) == 0 then
    redis.pcall('HDEL', hash, redis.pcall('HRANDFIELD', hash))
  end
  redis.pcall('HSET', hash, application, at)
end
