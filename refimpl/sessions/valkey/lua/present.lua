-- Who is in a room. KEYS meta members
return {tonumber(redis.call('HGET', KEYS[1], 'presence') or 0), redis.call('HGETALL', KEYS[2])}
