-- Reads a part of a log, as much as fits, and what is needed to tell what is missing before it.
-- KEYS: heads, marks, log. ARGV: epoch, where (behind, mark, oldest, head or before), its offset, most entries, most bytes of
-- content.
-- Returns the eras, the oldest offset, the head's, the mark's id or '', 1 if there are more, the offset of the first entry, and the entries:
-- offsets go up from that, or down for `before`, which has the newest first.
local log, where, limit, room = KEYS[3], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
-- Entries that are read at a time.
local READ_MAX = 128

local got = call('HMGET', KEYS[1], '', log)
if not got[2] then
  local run = read_run(got[1])
  local epoch = ARGV[1]
  if run then
    -- Who follows a log before there is one is at the position that its first message comes behind.
    if run.fresh == '-' then
      run.fresh = epoch
      write_run(KEYS[1], run)
    end
    epoch = run.fresh
  end
  return { '1:' .. epoch, 1, 0, '', 0, 1 }
end

local epoch, head, _, _, kept, _, _, entries_max, _, _, eras = read_head(got[2])
local list = eras_of(eras, epoch)
local mark = call('HGET', KEYS[2], log) or ''
if call('HEXISTS', log, '') == 0 then kept = head + 1 end
-- Of eras that are forgotten nothing is shown.
kept = math.max(kept, tonumber(string.match(list, '^%d+')))
-- More is kept than is shown as history: it is for who has been there.
local oldest = math.max(kept, head - entries_max + 1)

local from = oldest
if where == 'behind' then
  from, oldest = ARGV[3] + 1, kept
elseif where == 'mark' and mark ~= '' then
  local offset, of = string.match(mark, '^(%d+)-(%d+)$')
  local index, last = find_era(list, of, head)
  if index then from, oldest = math.min(offset, last) + 1, kept end
end
from = math.max(from, oldest)

local back = where == 'before'
local at = from
if back then
  at = head
  if ARGV[3] ~= '' then at = math.min(head, ARGV[3] - 1) end
end
local page = { list, oldest, head, mark, 0, math.max(0, math.min(at, head + 1)) }
if where == 'head' or limit == 0 then return page end

-- The offsets of the next entries, so many at most, as fields.
local function next_fields(most)
  local fields, step = {}, back and -1 or 1
  local left = back and at - oldest + 1 or head - at + 1
  for nth = 1, math.min(most, left) do fields[nth] = pack_offset(at + step * (nth - 1)) end
  return fields
end

local taken, chunk, is_full = 0, 8, false
while taken < limit and room >= 0 and at >= oldest and at <= head and not is_full do
  local entries = call('HMGET', log, unpack(next_fields(math.min(limit - taken, chunk))))
  local before = room
  for nth = 1, #entries do
    local entry = entries[nth]
    -- Behind its time and key.
    local content = entry and string.match(entry, '^%Z*%z%Z*%z%Z*%z()')
    if content then room = room - #entry + content - 1 end
    -- One that is missing is a hole, which its reader is to find.
    is_full = not content or (taken > 0 and room < 0)
    if is_full then break end
    page[#page + 1] = entry
    taken = taken + 1
    if back then at = at - 1 else at = at + 1 end
  end
  -- As many at a time as will fit, if they are like those.
  chunk = math.max(1, math.min(READ_MAX, math.floor(room * #entries / math.max(1, before - room)) + 1))
end
if at >= oldest and at <= head then page[5] = 1 end
return page
