-- The messages behind a place in a room's history. KEYS meta stream
-- ARGV epoch number id count. Of another history all that is kept is given.
local held = redis.call('HMGET', KEYS[1], 'v', 'epoch', 'number', 'id')
if held[1] and tonumber(held[1]) > VERSION then return 'VERSION' end
if not held[2] then return {'', 0, '', 0, {}} end
local from, last = tonumber(ARGV[2]), tonumber(held[3])
local same = held[2] == ARGV[1] and from <= last
if same and ARGV[3] ~= '' and from > 0 then
  local id = string.format('%d-0', from)
  local entry = redis.call('XRANGE', KEYS[2], id, id)[1]
  same = not entry or entry[2][2] == ARGV[3]
end
local start = same and string.format('(%d-0', from) or '-'
local entries = redis.call('XRANGE', KEYS[2], start, '+', 'COUNT', ARGV[4])
return {held[2], last, held[4], same and 1 or 0, entries}
