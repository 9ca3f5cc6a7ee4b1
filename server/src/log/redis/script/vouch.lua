-- A node has seen these logs up to there. Those that have lost something of it begin a new era, once in a run.
-- KEYS: heads, then for each log its stream. ARGV: run, epoch, PUBLISH or SPUBLISH, then for each log: name, offset, epoch.
-- Returns the numbers of those that have lost something, from 1.
local heads = KEYS[1]
local run = read_run(redis.call('HGET', heads, ''))
if not run or run.number ~= tonumber(ARGV[1]) then
  return redis.error_reply('STALE this is another run of Redis')
end
local broken = {}
for l = 1, #KEYS - 1 do
  local name, seen_offset, seen_epoch = ARGV[3 * l + 1], tonumber(ARGV[3 * l + 2]), ARGV[3 * l + 3]
  local stream = KEYS[l + 1]
  local text = redis.call('HGET', heads, name)
  local lost, record
  if text then
    local epoch, offset, wrote, begun, touch, keys, turned, eras, rule = read_head(text)
    local index, last, newest = find_era(eras_of(eras, epoch), seen_epoch, tonumber(offset))
    lost = not index or seen_offset > last
    -- What an older era has lost is told by the one that came behind it, and one that began in this run has lost nothing.
    if lost and tonumber(begun) ~= run.number and (newest or not index) then
      epoch, eras = begin_era(eras, epoch, offset, ARGV[2])
      record = { epoch, offset, run.number, run.number, touch, keys, turned, eras, rule }
    end
  elseif seen_offset > 0 then
    lost = true
    redis.call('UNLINK', stream)
    record = { ARGV[2], 0, run.number, run.number, 0, 0, 1, '-', '0 0 0' }
  end
  if record then
    redis.call('HSET', heads, name, table.concat(record, ' '))
    redis.call(ARGV[3], stream, 'broken')
  end
  if lost then broken[#broken + 1] = l end
end
return broken
