-- Is a life of a node over? KEYS node. ARGV epoch lease_ms grace_ms remember_ms
-- Dead is who was late at one look, and has still not come a grace later, with the lease over: after
-- an outage of the store itself everybody is late, and gets that grace to come back.
local held = redis.call('HMGET', KEYS[1], 'epoch', 'until', 'dead', 'suspect')
local epoch, time = tonumber(ARGV[1]), now()
local lease, grace = tonumber(ARGV[2]), tonumber(ARGV[3])
if held[3] and tonumber(held[3]) >= epoch then return 'DEAD' end
if held[1] and tonumber(held[1]) > epoch then
  redis.call('HSET', KEYS[1], 'dead', ARGV[1])
  return 'DEAD'
end
if not held[1] or tonumber(held[1]) < epoch then
  redis.call('HSET', KEYS[1], 'v', VERSION, 'epoch', ARGV[1], 'until', time + lease, 'suspect', time)
  return 'ALIVE'
end
local deadline = tonumber(held[2])
if deadline - time > lease - 1.5 * grace then return 'ALIVE' end
if not held[4] then
  redis.call('HSET', KEYS[1], 'suspect', time)
  return 'ALIVE'
end
if time <= deadline or time - tonumber(held[4]) < grace then return 'ALIVE' end
redis.call('HSET', KEYS[1], 'dead', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 'DEAD'
