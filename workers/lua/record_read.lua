-- Read the calls of jobs whose events are to be recorded.
--
-- ARGV[1] prefix of job keys   ARGV[2] field of a job whose arrival is in the stream   ARGV[3] number of arrivals
-- then their ids, then ids of events that have ended
--
-- Returns for each id the job's data; false where there is no such job, and for an event that has ended and whose arrival
-- is in the stream: that one is recorded already. The others were queued while the record was off.
local last_arrival = 3 + tonumber(ARGV[3])
local reply = {}
for at = 4, #ARGV do
  local job = ARGV[1] .. ARGV[at]
  if at <= last_arrival then
    local data = redis.pcall('HGET', job, 'data')
    reply[#reply + 1] = type(data) == 'string' and data or false
  else
    local fields = redis.pcall('HMGET', job, ARGV[2], 'data')
    reply[#reply + 1] = not fields.err and not fields[1] and fields[2] or false
  end
end
return reply
