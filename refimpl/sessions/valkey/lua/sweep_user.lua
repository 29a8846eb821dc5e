-- Remove what a dead life left with a user, and let none of it back. KEYS connections dead
-- ARGV node epoch remember_ms id...
fence(KEYS[2], ARGV[1], ARGV[2], ARGV[3])
return redis.call('HDEL', KEYS[1], unpack(ARGV, 4))
