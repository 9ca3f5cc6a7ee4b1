-- Owners have seen their logs up to there; what is older than that which is known changes nothing.
-- KEYS: heads, marks, then the logs. ARGV: for each log: offset, epoch.
for i = 3, #KEYS do
  local log, offset, epoch = KEYS[i], ARGV[2 * i - 5], ARGV[2 * i - 4]
  local text = call('HGET', KEYS[1], log)
  if text then
    local current, head, _, _, _, _, _, _, _, _, eras = read_head(text)
    local list = eras_of(eras, current)
    local now, last = find_era(list, epoch, head)
    -- Some owners tell it themselves: nobody has seen what is not there.
    local newer = now and tonumber(offset) <= tonumber(last)
    local known = call('HGET', KEYS[2], log)
    if newer and known then
      local known_offset, known_epoch = string.match(known, '^(%d+)-(%d+)$')
      -- An era that is forgotten is older than all that are not.
      local before = find_era(list, known_epoch, head) or 0
      newer = now > before or (now == before and tonumber(offset) > tonumber(known_offset))
    end
    if newer then call('HSET', KEYS[2], log, offset .. '-' .. epoch) end
  end
end
return 'OK'
