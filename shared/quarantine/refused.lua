-- Note callbacks that were refused and are kept nowhere.
--
-- KEYS[1] ackfirst:last-unconfirmed   hash application -> unix seconds of its last callback that was not confirmed
-- KEYS[2] ackfirst:record             stream of what happened
-- ARGV[1] most fields of KEYS[1]   ARGV[2] most entries of KEYS[2]   ARGV[3] number of applications
-- then for each application: its field in KEYS[1], unix seconds; then the JSON objects for the record
local first_object = 4 + 2 * tonumber(ARGV[3])
for at = 4, first_object - 1, 2 do
  note_unconfirmed(KEYS[1], ARGV[at], ARGV[at + 1], ARGV[1])
end
if #ARGV >= first_object and redis.call('XLEN', KEYS[2]) < tonumber(ARGV[2]) then
  for at = first_object, #ARGV do
    redis.call('XADD', KEYS[2], '*', 'r', ARGV[at])
  end
end
