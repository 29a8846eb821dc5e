-- A node leaves in good order. KEYS node. ARGV epoch remember_ms
local held = redis.call('HMGET', KEYS[1], 'epoch', 'dead')
if held[2] and tonumber(held[2]) >= tonumber(ARGV[1]) then return 'DEAD' end
redis.call('HSET', KEYS[1], 'v', VERSION, 'dead', ARGV[1])
if not held[1] or tonumber(held[1]) <= tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 'DEAD'
