-- Prepended to every script that writes jobs (behind ready.lua).
--
-- ``to`` says where: {queues = rq:queues, lanes = ackfirst:lanes, ready = ackfirst:ready, job, list and name = the prefixes
-- of job keys, of the keys of lanes' lists and of lane names in RQ, now = now as RQ writes times, shared = fields and values
-- that all jobs share, known = {} for the lanes that the script has seen}.

-- Make a lane one that workers and RQ know.
local function open_lane(to, lane)
  if not to.known[lane] then
    redis.call('SADD', to.queues, to.list .. lane)
    redis.call('SADD', to.lanes, lane)
    make_ready(to.ready, lane)
    to.known[lane] = true
  end
end

-- Write the job of an event and put it into its lane; returns 1, or Redis's error. Redis does not undo what came before a
-- command that fails (a key of another type, a command that an ACL forbids), so a hash whose id could not be pushed is
-- taken back: otherwise the next attempt would take the event for one that is queued.
local function queue_job(to, lane, id, data, description)
  open_lane(to, lane)
  local job = to.job .. id
  redis.call('HSET', job, 'status', 'queued', 'origin', to.name .. lane, 'data', data, 'description', description,
    'created_at', to.now, 'enqueued_at', to.now, unpack(to.shared))
  local pushed = redis.pcall('RPUSH', to.list .. lane, id)
  if type(pushed) == 'table' then
    redis.call('DEL', job)
    return pushed
  end
  return 1
end

-- Wake as many idle workers as there are new jobs.
local function ring(bell, jobs, most)
  for _ = 1, math.min(jobs, most - redis.call('LLEN', bell)) do
    redis.call('RPUSH', bell, '1')
  end
end
