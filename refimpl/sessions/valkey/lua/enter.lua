-- A node takes part in a room, and a connection enters it. KEYS meta stream ids members users dead
-- ARGV node epoch known_epoch known_number new_epoch channel [connection user]
if fenced(KEYS[6], ARGV[1], ARGV[2]) then return 'FENCED' end
local found = head(KEYS[1], KEYS[2], KEYS[3], ARGV[3], ARGV[4], ARGV[5])
if not found then return 'VERSION' end
redis.call('HSET', KEYS[1], 'n:' .. ARGV[1], ARGV[2])
if redis.call('EXISTS', KEYS[4]) == 0 then
  for index = 1, 5 do redis.call('PERSIST', KEYS[index]) end
end
local first = 0
if ARGV[7] and redis.call('HSETNX', KEYS[4], ARGV[7], ARGV[8]) == 1 then
  if redis.call('HINCRBY', KEYS[5], ARGV[8], 1) == 1 then
    first = 1
    local version = redis.call('HINCRBY', KEYS[1], 'presence', 1)
    redis.call('SPUBLISH', ARGV[6], 'p1 ' .. version .. ' + ' .. ARGV[8])
  end
end
return {first, unpack(found)}
