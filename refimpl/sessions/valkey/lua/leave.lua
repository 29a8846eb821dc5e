-- A connection leaves a room; without one, the node takes no part in it any more.
-- KEYS meta stream ids members users. ARGV node epoch channel idle_ms [connection]
local field = 'n:' .. ARGV[1]
if not ARGV[5] and redis.call('HGET', KEYS[1], field) == ARGV[2] then
  redis.call('HDEL', KEYS[1], field)
end
return let_out(KEYS, {ARGV[5]}, ARGV[3], ARGV[4])
