-- Remove what a dead life left in a room. KEYS meta stream ids members users dead
-- ARGV node epoch channel idle_ms remember_ms prefix: of the life's connection ids
fence(KEYS[6], ARGV[1], ARGV[2], ARGV[5])
local field, prefix, its = 'n:' .. ARGV[1], ARGV[6], {}
if redis.call('HGET', KEYS[1], field) == ARGV[2] then redis.call('HDEL', KEYS[1], field) end
for _, connection in ipairs(redis.call('HKEYS', KEYS[4])) do
  if string.sub(connection, 1, #prefix) == prefix then its[#its + 1] = connection end
end
return let_out(KEYS, its, ARGV[3], ARGV[4])
