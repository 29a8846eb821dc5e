-- Which life of a node holds its lease now: its epoch, or 0. KEYS node
local held = redis.call('HMGET', KEYS[1], 'epoch', 'until', 'dead')
if not held[1] or tonumber(held[2]) < now() then return 0 end
if held[3] and tonumber(held[3]) >= tonumber(held[1]) then return 0 end
return tonumber(held[1])
