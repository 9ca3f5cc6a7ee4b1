-- Appends messages of one bucket in order, each once by its key, and announces the heads.
-- KEYS: heads, marks, then for each log its stream, its new keys and its old ones.
-- ARGV: run, epoch, PUBLISH or SPUBLISH, then for each log: name, `entries_max age_max bytes_max` (ms), how many messages, and for each
-- of those: from\0session\0seq (no seq: it has no key), and `time content`. These two are the one field of its entry.
-- Returns, in the order of the arguments: +id count for so many new ones from that id on, =id time for one that is there already, and
-- !count for so many that found too many logs; with commas between.
-- What is done for each message is next to nothing but XADD: a call of Redis from here costs as much as ten lines.
local heads = KEYS[1]

-- However little a log keeps, so many of its entries stay for so many ms, for nodes that have just heard of them.
local WINDOW, WINDOW_MS = 256, 60000
-- What a stream may take, whatever the rule says: less is hardly more than an empty one.
local BYTES_MIN = 65536
-- 256 buckets, and a million logs.
local LOGS_MAX = 4096

-- The first offset from `low` on whose entry is not older than that: times are about in order.
local function first_since(stream, low, high, time)
  -- Mostly it is the first.
  local middle = low
  while low < high do
    local entry = redis.call('XRANGE', stream, middle, middle, 'COUNT', 1)[1]
    if entry and tonumber(string.match(entry[2][2], '^%d+')) < time then low = middle + 1 else high = middle end
    middle = math.floor((low + high) / 2)
  end
  return low
end

-- Lets go of what is too much. Returns the offset of the oldest entry that is left.
local function trim(stream, head, entries_max, age_max, bytes_max)
  local kept = redis.call('XLEN', stream)
  local oldest, now = head - kept + 1, now_ms()
  local by_count = math.max(oldest, head - math.max(entries_max, WINDOW) + 1)
  local bytes = redis.call('MEMORY', 'USAGE', stream, 'SAMPLES', 32) or 0
  if bytes > bytes_max and bytes > BYTES_MIN then
    by_count = math.max(by_count, head - math.floor(kept * math.max(bytes_max, BYTES_MIN) / bytes) + 1)
  end
  by_count = math.min(by_count, head)
  local by_age = first_since(stream, oldest, head, now - age_max)
  if entries_max < WINDOW then
    by_age = math.max(by_age, math.min(first_since(stream, oldest, head, now - WINDOW_MS), head - entries_max + 1))
  end
  if by_count > oldest then
    -- Whole nodes of the stream are cheap to drop.
    redis.call('XTRIM', stream, 'MINID', '~', by_count)
  end
  if by_age > oldest then
    redis.call('XTRIM', stream, 'MINID', by_age)
  end
  return head - redis.call('XLEN', stream) + 1
end

-- Forgets some logs of which no entry is left, of those that are looked at: names are cheap to invent. Another one of that name is
-- no longer the same log, so all that are new get another epoch.
local function forget(run)
  local base = string.sub(heads, 1, -6) .. 'log:'
  local gone = false
  for _, name in ipairs(redis.call('HRANDFIELD', heads, 32)) do
    if name ~= '' and redis.call('EXISTS', base .. name) == 0 then
      redis.call('HDEL', heads, name)
      redis.call('HDEL', KEYS[2], name)
      gone = true
    end
  end
  if gone then run.fresh = '-' end
end

-- The epoch of a log that is new; nil if there are too many.
local function epoch_of_new()
  local run = read_run(redis.call('HGET', heads, ''))
  -- One field is the run.
  if redis.call('HLEN', heads) > LOGS_MAX then
    forget(run)
    if redis.call('HLEN', heads) > LOGS_MAX then return nil end
  end
  if run.fresh == '-' then
    run.fresh = ARGV[2]
    write_run(heads, run)
  end
  return run.fresh
end

local asked, at = { '' }, 4
for l = 2, (#KEYS + 1) / 3 do
  asked[l] = ARGV[at]
  at = at + 3 + 2 * ARGV[at + 2]
end
local got = redis.call('HMGET', heads, unpack(asked))
local number, state, doubt = string.match(got[1] or '', '^(%d+) (%a) (%d+)')
if number ~= ARGV[1] or state == 'p' then
  return redis.error_reply('STALE this is another run of Redis')
end
doubt = tonumber(doubt)

local records, replies = {}, {}

local function append(l, from, to)
  local name, rule = asked[l], ARGV[from - 2]
  local stream, keys, old_keys = KEYS[3 * l - 3], KEYS[3 * l - 2], KEYS[3 * l - 1]
  local epoch, offset, wrote, begun, touch, keyed, turned, eras, old_rule
  if got[l] then
    epoch, offset, wrote, begun, touch, keyed, turned, eras, old_rule = read_head(got[l])
    offset = tonumber(offset)
  else
    epoch = epoch_of_new()
    if not epoch then
      replies[#replies + 1] = '!' .. ARGV[from - 1]
      return
    end
    offset, wrote, begun, touch, keyed, turned, eras = 0, number, number, 0, '0', 1, '-'
    -- Left behind if the heads alone were deleted.
    redis.call('UNLINK', stream, keys, old_keys)
  end
  -- The sender's clock: it is a matter of a sixteenth of the age.
  local renew = rule ~= old_rule or tonumber(string.match(ARGV[to], '^%d+')) >= tonumber(touch)
  if renew and keyed ~= '0' and redis.call('EXISTS', keys, old_keys) == 0 then keyed = '0' end

  local first, wanted = {}, {}
  for m = from, to, 2 do
    local key = ARGV[m]
    if string.byte(key, -1) ~= 0 then wanted[#wanted + 1] = key end
  end
  if keyed ~= '0' and #wanted > 0 then
    local new = redis.call('HMGET', keys, unpack(wanted))
    local old = turned == '1' and {} or redis.call('HMGET', old_keys, unpack(wanted))
    for i = 1, #wanted do
      local id = new[i] or old[i]
      if id then first[wanted[i]] = id end
    end
  end

  local before, run_from, id, suffix, fields = offset, nil, nil, '-' .. epoch, {}
  for m = from, to, 2 do
    local key = ARGV[m]
    local same = first[key]
    -- Keys are kept somewhat longer than their entries.
    same = same and redis.call('XRANGE', stream, same, same, 'COUNT', 1)[1]
    if same then
      if run_from then replies[#replies + 1] = '+' .. run_from .. suffix .. ' ' .. (offset - run_from + 1) end
      run_from = nil
      replies[#replies + 1] = '=' .. same[1] .. ' ' .. string.match(same[2][2], '^%d+')
    else
      if wrote ~= number and tonumber(wrote) < doubt then
        epoch, eras = begin_era(eras, epoch, offset, ARGV[2])
        wrote, begun, suffix = number, number, '-' .. epoch
      end
      offset = offset + 1
      id = offset .. suffix
      redis.call('XADD', stream, id, key, ARGV[m + 1])
      run_from = run_from or offset
      if string.byte(key, -1) ~= 0 then
        first[key] = id
        local n = #fields
        fields[n + 1], fields[n + 2] = key, id
      end
    end
  end
  if offset == before then
    -- Nothing is new; but WAIT counts what this link has written, and the answer says that these are there.
    redis.call('HSET', heads, name, got[l])
    return
  end
  if run_from then replies[#replies + 1] = '+' .. run_from .. suffix .. ' ' .. (offset - run_from + 1) end

  if #fields > 0 then
    redis.call('HSET', keys, unpack(fields))
    -- It has no time to live yet.
    if keyed ~= '1' then keyed, renew = '1', true end
  end
  if renew or math.floor(offset / 64) ~= math.floor(before / 64) then
    local entries_max, age_max, bytes_max = string.match(rule, '^(%d+) (%d+) (%d+)$')
    if renew then
      local ttl = math.max(age_max, WINDOW_MS)
      -- Somewhat longer than it must be, so that this is seldom.
      local more = math.floor(ttl / 16)
      touch = now_ms() + more
      redis.call('PEXPIRE', stream, ttl + more)
      redis.call('PEXPIRE', keys, ttl + more)
      redis.call('PEXPIRE', old_keys, ttl + more)
    end
    local oldest = trim(stream, offset, tonumber(entries_max), tonumber(age_max), tonumber(bytes_max))
    if keyed == '1' and tonumber(turned) <= oldest and offset - turned >= 64 then
      -- No entry is left of those that have the old keys.
      redis.call('UNLINK', old_keys)
      redis.call('RENAME', keys, old_keys)
      keyed, turned = '2', offset + 1
    end
  end
  local n = #records
  records[n + 1] = name
  records[n + 2] = epoch .. ' ' .. offset .. ' ' .. number .. ' ' .. begun .. ' ' .. touch .. ' ' .. keyed .. ' '
    .. turned .. ' ' .. eras .. ' ' .. rule
  redis.call(ARGV[3], stream, id)
end

at = 4
for l = 2, #asked do
  local count = tonumber(ARGV[at + 2])
  append(l, at + 3, at + 2 + 2 * count)
  at = at + 3 + 2 * count
end
if #records > 0 then redis.call('HSET', heads, unpack(records)) end
return table.concat(replies, ',')
