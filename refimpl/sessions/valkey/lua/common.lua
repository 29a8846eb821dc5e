-- Stands before every script. VERSION is of the layout of keys and records: a release that finds a
-- newer one than its own does not publish, enter or open there. Time is the server's, in ms.
local VERSION = 1

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether this life of a node was declared dead in this slot.
local function fenced(dead_key, node, epoch)
  local dead = redis.call('HGET', dead_key, node)
  return dead and tonumber(dead) >= tonumber(epoch)
end

-- The room's head {epoch, number, id}; a history that lost its end, or all of itself, gets a new
-- epoch here, and its numbers go on behind the last one that the asking node has seen.
local function head(meta, stream, ids, known_epoch, known_number, new_epoch)
  local held = redis.call('HMGET', meta, 'v', 'epoch', 'number', 'id')
  if held[1] and tonumber(held[1]) > VERSION then return nil end
  known_number = tonumber(known_number)
  if not held[2] then
    redis.call('DEL', stream, ids)
    redis.call('HSET', meta, 'v', VERSION, 'epoch', new_epoch, 'number', known_number, 'id', '')
    return {new_epoch, known_number, ''}
  end
  local number = tonumber(held[3])
  if held[2] == known_epoch and number < known_number then
    redis.call('HSET', meta, 'epoch', new_epoch, 'number', known_number, 'id', '')
    return {new_epoch, known_number, ''}
  end
  return {held[2], number, held[4]}
end

-- Let connections out of a room, and tell of each user whose last one it was. Returns how many users.
-- keys: meta stream ids members users
local function let_out(keys, connections, channel, idle)
  local gone = 0
  for _, connection in ipairs(connections) do
    local user = redis.call('HGET', keys[4], connection)
    if user then
      redis.call('HDEL', keys[4], connection)
      if redis.call('HINCRBY', keys[5], user, -1) <= 0 then
        redis.call('HDEL', keys[5], user)
        local version = redis.call('HINCRBY', keys[1], 'presence', 1)
        redis.call('SPUBLISH', channel, 'p1 ' .. version .. ' - ' .. user)
        gone = gone + 1
      end
    end
  end
  if redis.call('EXISTS', keys[4]) == 0 then
    for index = 1, 5 do redis.call('PEXPIRE', keys[index], idle) end
  end
  return gone
end

-- Let none of a dead life back into this slot.
local function fence(dead_key, node, epoch, remember)
  if not fenced(dead_key, node, epoch) then redis.call('HSET', dead_key, node, epoch) end
  redis.call('PEXPIRE', dead_key, remember)
end
