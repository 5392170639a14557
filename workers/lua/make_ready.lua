-- Put a lane into the ready set: for a writer whose job goes into the lane by another command of the same transaction.
--
-- KEYS[1] ackfirst:ready   sorted set lane -> turn   ARGV[1] the lane
make_ready(KEYS[1], ARGV[1])
