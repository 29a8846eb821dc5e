-- Number a message, keep it, send it on. KEYS meta stream ids
-- ARGV node epoch known_epoch known_number channel id data keep remember
-- UNKNOWN if the node has not entered the room, or is ahead of the store: enter again, then publish
-- again.
local held = redis.call('HMGET', KEYS[1], 'v', 'epoch', 'number', 'n:' .. ARGV[1])
if held[1] and tonumber(held[1]) > VERSION then return 'VERSION' end
if not held[2] or held[4] ~= ARGV[2] then return 'UNKNOWN' end
local epoch, last = held[2], tonumber(held[3])
if epoch == ARGV[3] and last < tonumber(ARGV[4]) then return 'UNKNOWN' end
local before = redis.call('ZSCORE', KEYS[3], ARGV[6])
if before then return {epoch, tonumber(before), 0} end
local number = string.format('%d', last + 1)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[8], number .. '-0', 'i', ARGV[6], 'd', ARGV[7])
redis.call('HSET', KEYS[1], 'number', number, 'id', ARGV[6])
redis.call('ZADD', KEYS[3], number, ARGV[6])
if last % 64 == 0 then redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[9]) end
redis.call('SPUBLISH', ARGV[5], 'm1 ' .. epoch .. ' ' .. number .. ' ' .. ARGV[6] .. '\n' .. ARGV[7])
return {epoch, last + 1, 1}
