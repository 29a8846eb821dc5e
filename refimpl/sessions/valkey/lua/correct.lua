-- A node has seen what this history lacks: give it a new epoch. KEYS meta stream ids
-- ARGV known_epoch known_number known_id new_epoch channel
local found = head(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[4])
if not found then return 'VERSION' end
if found[1] == ARGV[1] and ARGV[3] ~= '' and tonumber(ARGV[2]) > 0 then
  local id = string.format('%d-0', tonumber(ARGV[2]))
  local entry = redis.call('XRANGE', KEYS[2], id, id)[1]
  if entry and entry[2][2] ~= ARGV[3] then
    redis.call('HSET', KEYS[1], 'epoch', ARGV[4])
    found[1] = ARGV[4]
  end
end
if found[1] == ARGV[4] then redis.call('SPUBLISH', ARGV[5], 'e1 ' .. found[1]) end
return found
