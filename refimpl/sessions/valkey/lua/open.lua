-- Write a user's connection, or renew it. KEYS connections dead. ARGV node epoch id device
if fenced(KEYS[2], ARGV[1], ARGV[2]) then return 'FENCED' end
local time = now()
local opened = time
local held = redis.call('HGET', KEYS[1], ARGV[3])
if held then
  local record = cjson.decode(held)
  if record.v > VERSION then return 'VERSION' end
  opened = record.opened
end
local record = {v = VERSION, opened = opened, active = time, device = ARGV[4]}
redis.call('HSET', KEYS[1], ARGV[3], cjson.encode(record))
return {opened, time}
