-- A node has seen these logs up to there. Those that have lost something of it begin a new era, once in a run.
-- KEYS: heads, then the logs. ARGV: run, epoch, PUBLISH or SPUBLISH, then for each log: offset, epoch.
-- Returns the numbers of those that have lost something, from 1.
local heads, wanted = KEYS[1], tonumber(ARGV[2])
local run = read_run(call('HGET', heads, ''))
if not run or run.number ~= tonumber(ARGV[1]) then
  return redis.error_reply('STALE this is another run of Redis')
end
local broken = {}
for l = 1, #KEYS - 1 do
  local log, seen_offset, seen_epoch = KEYS[l + 1], tonumber(ARGV[2 * l + 2]), ARGV[2 * l + 3]
  local text = call('HGET', heads, log)
  local lost, record
  if text then
    local epoch, offset, _, begun, oldest, bytes, touch, entries_max, age_max, bytes_max, eras = read_head(text)
    local index, last, newest = find_era(eras_of(eras, epoch), seen_epoch, offset)
    lost = not index or seen_offset > last
    -- What an older era has lost is told by the one that came behind it, and one that began in this run has lost nothing.
    if lost and begun ~= run.number and (newest or not index) then
      epoch, eras = begin_era(eras, epoch, offset, wanted)
      record = write_head(
        eras, epoch, offset, run.number, run.number, oldest, bytes, touch, entries_max, age_max, bytes_max)
    end
  elseif seen_offset > 0 then
    lost = true
    call('UNLINK', log)
    record = write_head('', wanted, 0, run.number, run.number, 1, 0, 0, 0, 0, 0)
  end
  if record then
    call('HSET', heads, log, record)
    call(ARGV[3], log, 'broken')
  end
  if lost then broken[#broken + 1] = l end
end
return broken
