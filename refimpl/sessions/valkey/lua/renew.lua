-- A node lives on. KEYS node [holdings]. ARGV epoch lease_ms [field value ...]
-- Before a node writes to a user or a room it notes here that it will: whoever sweeps finds it.
-- NEW where the store had forgotten the node, which then has to register all it holds again.
local held = redis.call('HMGET', KEYS[1], 'epoch', 'dead')
local epoch = tonumber(ARGV[1])
if held[2] and tonumber(held[2]) >= epoch then return 'FENCED' end
if held[1] and tonumber(held[1]) > epoch then return 'FENCED' end
redis.call('HDEL', KEYS[1], 'suspect') -- first: after it a full server lets the rest write too
redis.call('HSET', KEYS[1], 'v', VERSION, 'epoch', ARGV[1], 'until', now() + ARGV[2])
if #ARGV > 2 then redis.call('HSET', KEYS[2], unpack(ARGV, 3)) end
if held[1] and tonumber(held[1]) == epoch then return 'OK' end
redis.call('PERSIST', KEYS[1])
return 'NEW'
