-- Number a message, keep it, send it on. KEYS meta stream ids
-- ARGV node epoch known_epoch known_number new_epoch channel id data keep remember
local registered = redis.call('HGET', KEYS[1], 'n:' .. ARGV[1])
if registered ~= ARGV[2] then return 'UNKNOWN' end
local found = head(KEYS[1], KEYS[2], KEYS[3], ARGV[3], ARGV[4], ARGV[5])
if not found then return 'VERSION' end
local epoch = found[1]
local before = redis.call('ZSCORE', KEYS[3], ARGV[7])
if before then return {epoch, tonumber(before), 0} end
local number = found[2] + 1
local text = string.format('%d', number)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[9], text .. '-0', 'i', ARGV[7], 'd', ARGV[8])
redis.call('HSET', KEYS[1], 'number', text, 'id', ARGV[7])
redis.call('ZADD', KEYS[3], text, ARGV[7])
if number % 64 == 0 then redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[10]) end
redis.call('SPUBLISH', ARGV[6], 'm1 ' .. epoch .. ' ' .. text .. ' ' .. ARGV[7] .. '\n' .. ARGV[8])
return {epoch, number, 1}
