-- Appends messages in order, each once by its key, and announces the heads. Of several buckets at once, where all are on one server:
-- a call of a script costs as much as some messages.
-- KEYS: for each bucket its heads, then its logs.
-- ARGV: PUBLISH or SPUBLISH; the rules, each `entries_max age_max bytes_max` in 3 x 8 bytes (ms); the plan; then for each message its
-- key (from\0session\0seq, or '' if it has none) and its entry, as they are kept.
-- The plan is binary: for each bucket the run in 8 bytes, the epoch for what is new in 4, and how many logs in 2; for each of those which
-- rule, from 0, in 2, and how many messages in 2.
-- Returns for each bucket an error if nothing of it was done, or parts of 23 bytes, in the order of the arguments: what, how many in 2,
-- epoch in 4, offset in 8, time in 8. What is 0 for so many new ones from that place on, 1 for one that is there already, and 2 for so
-- many that found too many logs. What is announced of a log is such a part, too: that its head is new.
-- A log takes three calls of Redis from here, however many messages are for it; each costs as much as ten lines.

-- However little a log keeps, so many of its entries stay for so many ms, for nodes that have just heard of them.
local WINDOW, WINDOW_MS = 256, 60000
-- What a log may take, whatever the rule says: less is hardly more than an empty one.
local BYTES_MIN = 65536
-- What an entry and a key take in a hash beside their texts.
local ENTRY_BYTES, KEY_BYTES = 64, 56
-- In a bucket: over all 16 of them, a million.
local LOGS_MAX = 65536
-- At most so many entries go at a time, read in parts of so many and of about so many bytes.
local GONE_MAX, PART_MAX, PART_BYTES = 2048, 128, 262144
-- A part of what is returned.
local PART = '<BI2I4I8I8'
-- What a log's field '' says.
local MARK = 'tidewire log ' .. VERSION .. string.rep(' ', 64)

local publish, now = ARGV[1], now_ms()

local rules = {}
for at = 1, #ARGV[2], 24 do
  local entries_max, age_max, bytes_max = unpack_bytes('<I8I8I8', ARGV[2], at)
  rules[#rules + 1] = {
    entries = entries_max, age = age_max, bytes = bytes_max, text = string.sub(ARGV[2], at, at + 23),
  }
end

-- The offsets of a part of a log that may go, as fields: those that are sure to, or twice as many as have gone by their age before.
local function part(oldest, head, sure, aged, bytes)
  local size = math.max(1, sure, 2 * aged)
  local fitting = math.max(1, math.floor(PART_BYTES * (head - oldest + 1) / math.max(1, bytes)))
  size = math.min(size, PART_MAX, fitting, head - oldest)
  local fields = {}
  for nth = 1, size do fields[nth] = pack_offset(oldest + nth - 1) end
  return fields
end

-- Lets go of what is too much, but for the head. Returns the offset of the oldest entry that is left, and the bytes.
local function trim(key, oldest, head, bytes, rule)
  local too_many = head - math.max(rule.entries, WINDOW)
  local only_window = rule.entries < WINDOW and head - rule.entries or 0
  local bytes_most = math.max(rule.bytes, BYTES_MIN)
  local gone, aged, stays = 0, 0, false
  while oldest < head and gone < GONE_MAX and not stays do
    local sure = too_many - oldest + 1
    local fields = part(oldest, head, sure, aged, bytes)
    local entries, keys, last = call('HMGET', key, unpack(fields)), {}, #fields
    for nth = 1, #fields do
      local entry, at = entries[nth], oldest + nth - 1
      if entry and at > too_many and bytes <= bytes_most then
        local time = tonumber(string.match(entry, '^%d+'))
        stays = time >= now - rule.age and (at > only_window or time >= now - WINDOW_MS)
      end
      if stays then
        last = nth - 1
        break
      end
      if entry then
        bytes = bytes - #entry - ENTRY_BYTES
        local name = string.match(entry, '^%d+ (%Z+%z%Z*%z%Z+)%z')
        if name then
          keys[#keys + 1] = name
          bytes = bytes - #name - KEY_BYTES
        end
      end
    end
    if last > 0 then call('HDEL', key, unpack(fields, 1, last)) end
    if #keys > 0 then call('HDEL', key, unpack(keys)) end
    oldest, gone = oldest + last, gone + last
    aged = sure < 1 and last or 0
  end
  return oldest, math.max(0, bytes)
end

-- Forgets some logs of which no entry is left, of those that are looked at: names are cheap to invent. Another one of that name is
-- no longer the same log, so all that are new get another epoch.
local function forget(heads, run)
  local marks, gone = string.sub(heads, 1, -6) .. 'marks', false
  for _, name in ipairs(call('HRANDFIELD', heads, 32)) do
    if name ~= '' and call('EXISTS', name) == 0 then
      call('HDEL', heads, name)
      call('HDEL', marks, name)
      gone = true
    end
  end
  if gone then run.fresh = '-' end
end

-- The epoch of a log that is new; nil if there are too many.
local function epoch_of_new(heads, wanted)
  local run = read_run(call('HGET', heads, ''))
  -- One field is the run.
  if call('HLEN', heads) > LOGS_MAX then
    forget(heads, run)
    if call('HLEN', heads) > LOGS_MAX then return nil end
  end
  if run.fresh == '-' then
    run.fresh = wanted
    write_run(heads, run)
  end
  return tonumber(run.fresh)
end

-- The names of the keys of these messages, behind '', and how many.
local function names_of(first, last)
  local names, n = { '' }, 1
  for m = first, last, 2 do
    local name = ARGV[m]
    if name ~= '' then
      n = n + 1
      names[n] = name
    end
  end
  return names, n
end

-- When a message came that is there already, or is before it in the batch.
local function time_of(key, at, fields)
  local field = pack_offset(at)
  for nth = 1, #fields, 2 do
    if fields[nth] == field then return string.match(fields[nth + 1], '^%d+') end
  end
  return string.match(call('HGET', key, field), '^%d+')
end

local function append(run, heads, key, text, rule, first, last, parts, records)
  local epoch, offset, wrote, begun, oldest, bytes, touch, entries_max, age_max, bytes_max, eras
  if text then
    epoch, offset, wrote, begun, oldest, bytes, touch, entries_max, age_max, bytes_max, eras = read_head(text)
  else
    epoch = epoch_of_new(heads, run.epoch)
    if not epoch then
      parts[#parts + 1] = pack(PART, 2, (last - first) / 2 + 1, 0, 0, 0)
      return
    end
    offset, wrote, begun, oldest, bytes, touch, eras = 0, run.number, run.number, 1, 0, 0, ''
    -- Left behind if the heads alone were deleted.
    call('UNLINK', key)
  end
  local names, n = names_of(first, last)
  local known, fields, f = call('HMGET', key, unpack(names)), {}, 0
  if not known[1] then
    -- Nothing is left of it.
    oldest, bytes, touch = offset + 1, 0, 0
    fields[1], fields[2], f = '', MARK, 2
  end
  local places = {}
  for i = 2, n do
    if known[i] then places[names[i]] = unpack_bytes('>I8', known[i]) end
  end

  local before, from = offset, nil
  for m = first, last, 2 do
    local name = ARGV[m]
    local place = places[name]
    if place then
      if from then parts[#parts + 1] = pack(PART, 0, offset - from + 1, epoch, from, 0) end
      from = nil
      parts[#parts + 1] = pack(
        PART, 1, 1, epoch_at(eras, epoch, place), place, tonumber(time_of(key, place, fields)))
    else
      if wrote ~= run.number and wrote < run.doubt then
        epoch, eras = begin_era(eras, epoch, offset, run.epoch)
        begun = run.number
      end
      wrote, offset = run.number, offset + 1
      from = from or offset
      local field, entry = pack_offset(offset), ARGV[m + 1]
      fields[f + 1], fields[f + 2], f = field, entry, f + 2
      bytes = bytes + #entry + ENTRY_BYTES
      if name ~= '' then
        places[name] = offset
        fields[f + 1], fields[f + 2], f = name, field, f + 2
        bytes = bytes + #name + KEY_BYTES
      end
    end
  end
  if offset == before then
    -- Nothing is new; but WAIT counts what this link has written, and the answer says that these are there.
    call('HSET', heads, key, text)
    return
  end
  if from then parts[#parts + 1] = pack(PART, 0, offset - from + 1, epoch, from, 0) end
  call('HSET', key, unpack(fields, 1, f))

  local renew = now >= touch or entries_max ~= rule.entries or age_max ~= rule.age or bytes_max ~= rule.bytes
  if renew then
    local ttl = math.max(rule.age, WINDOW_MS)
    -- Somewhat longer than it must be, so that this is seldom.
    local more = math.floor(ttl / 16)
    touch = now + more
    call('PEXPIRE', key, ttl + more)
  end
  if renew or math.floor(offset / 64) ~= math.floor(before / 64) then
    oldest, bytes = trim(key, oldest, offset, bytes, rule)
  end
  local r = #records
  records[r + 1] = key
  records[r + 2] = write_head(
    eras, epoch, offset, wrote, begun, oldest, bytes, touch, rule.entries, rule.age, rule.bytes)
  call(publish, key, pack(PART, 0, 1, epoch, offset, 0))
end

-- One message for a log that is in the midst of its life: what `append` does, and nothing that is not needed for it. False if it is
-- not that simple; then nothing was done. Before `touch` the log's key is there: its time to live is over later than that. If somebody has
-- deleted it all the same, what comes until `append` finds that out, at 64 messages, is not shown, and whoever follows is told of a gap.
local function append_one(run, key, text, rule, name, entry, parts, records)
  local version, epoch, offset, wrote, bytes, touch = unpack_bytes(HOT, text)
  if version ~= VERSION or wrote ~= run.number or now >= touch or offset % 64 == 63
    or string.sub(text, RULE_FROM, RECORD_BYTES) ~= rule.text
  then
    return false
  end
  offset, bytes = offset + 1, bytes + #entry + ENTRY_BYTES
  local field = pack('>I8', offset)
  if name ~= '' then
    if call('HSETNX', key, name, field) == 0 then return false end
    bytes = bytes + #name + KEY_BYTES
  end
  call('HSET', key, field, entry)
  local r = #records
  records[r + 1] = key
  records[r + 2] = pack(HOT, VERSION, epoch, offset, wrote, bytes, touch) .. string.sub(text, HOT_BYTES + 1)
  local part = pack(PART, 0, 1, epoch, offset, 0)
  parts[#parts + 1] = part
  call(publish, key, part)
  return true
end

-- Where the rest is: of the plan, of KEYS and of messages; and logs of the bucket.
local plan, at, k, m, logs = ARGV[3], 1, 1, 4, 0

-- The rule of the bucket's next log, and how many arguments its messages are.
local function next_log()
  local rule, count
  rule, count, at = unpack_bytes('<I2I2', plan, at)
  k, m, logs = k + 1, m + 2 * count, logs - 1
  return rules[rule + 1], 2 * count
end

-- The messages of one bucket.
local function append_all(heads, number, epoch, records)
  local got = call('HMGET', heads, '', unpack(KEYS, k + 1, k + logs))
  local current, state, doubt = string.match(got[1] or '', '^(%d+) (%a) (%d+)')
  if tonumber(current) ~= number or state == 'p' then
    return redis.error_reply('STALE this is another run of Redis')
  end
  local run, parts = { number = number, epoch = epoch, doubt = tonumber(doubt) }, {}
  for l = 2, logs + 1 do
    local rule, args = next_log()
    local key, text = KEYS[k], got[l]
    local is_done = args == 2 and text
      and append_one(run, key, text, rule, ARGV[m - 2], ARGV[m - 1], parts, records)
    if not is_done then append(run, heads, key, text, rule, m - args, m - 2, parts, records) end
  end
  return table.concat(parts)
end

local replies = {}
while at <= #plan do
  local number, epoch
  number, epoch, logs, at = unpack_bytes('<I8I4I2', plan, at)
  local heads, records = KEYS[k], {}
  local done, reply = pcall(append_all, heads, number, epoch, records)
  -- Also where one log was refused: the others have what was appended to them.
  if #records > 0 then call('HSET', heads, unpack(records)) end
  if not done then
    -- What Redis says begins with a word in capitals; what Lua says does not.
    reply = type(reply) == 'table' and reply.err or tostring(reply)
    reply = redis.error_reply(string.match(reply, '^%-?%u+ ') and reply or 'ERR ' .. reply)
  end
  replies[#replies + 1] = reply
  while logs > 0 do next_log() end
  k = k + 1
end
return replies
