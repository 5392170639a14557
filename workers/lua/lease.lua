-- Renew or give back a lease, if it is still ours.
--
-- KEYS[1] the lease   ARGV[1] our token   ARGV[2] milliseconds from now, 0 to give it back
-- Returns 1 when it was ours.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
