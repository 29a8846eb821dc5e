-- A node starts: a boot epoch above all that it had. KEYS node. ARGV lease_ms after
local held = redis.call('HGET', KEYS[1], 'epoch') or 0
local epoch = math.max(tonumber(held), tonumber(ARGV[2])) + 1
local time = now()
if time > epoch then epoch = time end
redis.call('HSET', KEYS[1], 'v', VERSION, 'epoch', epoch, 'until', time + ARGV[1])
redis.call('HDEL', KEYS[1], 'suspect')
redis.call('PERSIST', KEYS[1])
return epoch
