-- Reads a part of a log, as much as fits, and what is needed to tell what is missing before it.
-- KEYS: heads, marks, stream. ARGV: name, epoch, where (behind, mark, oldest, head or before), its offset, most entries, most
-- bytes of content.
-- Returns the eras, the oldest offset, the head's, the mark's id or '', 1 if there are more, then for each entry its id and its
-- field's two parts: the newest first for `before`.
local where, limit, room = ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
local got = redis.call('HMGET', KEYS[1], '', ARGV[1])
if not got[2] then
  local run = read_run(got[1])
  local epoch = ARGV[2]
  if run then
    -- Who follows a log before there is one is at the position that its first message comes behind.
    if run.fresh == '-' then
      run.fresh = epoch
      write_run(KEYS[1], run)
    end
    epoch = run.fresh
  end
  return { '1:' .. epoch, 1, 0, '', 0 }
end

local epoch, head, _, _, _, _, _, eras, rule = read_head(got[2])
head = tonumber(head)
local list = eras_of(eras, epoch)
local mark = redis.call('HGET', KEYS[2], ARGV[1]) or ''
local stream = KEYS[3]
-- Offsets are dense, and of eras that are forgotten nothing is left.
local kept = math.max(head - redis.call('XLEN', stream) + 1, tonumber(string.match(list, '^%d+')))
-- More is kept than is shown as history: it is for who has been there.
local oldest = math.max(kept, head - string.match(rule, '^%d+') + 1)

local from = oldest
if where == 'behind' then
  from, oldest = ARGV[4] + 1, kept
elseif where == 'mark' and mark ~= '' then
  local offset, of = string.match(mark, '^(%d+)-(%d+)$')
  local index, last = find_era(list, of, head)
  if index then from, oldest = math.min(offset, last) + 1, kept end
end
from = math.max(from, oldest)

local page = { list, oldest, head, mark, 0 }
if where == 'head' or limit == 0 then return page end

local back = where == 'before'
local at = from
if back then
  at = head
  if ARGV[4] ~= '' then at = math.min(head, ARGV[4] - 1) end
end
local taken, chunk = 0, 8
while taken < limit and room >= 0 and at >= oldest and at <= head do
  local most = math.min(limit - taken, chunk)
  local entries
  if back then
    entries = redis.call('XREVRANGE', stream, at, oldest, 'COUNT', most)
  else
    entries = redis.call('XRANGE', stream, at, '+', 'COUNT', most)
  end
  if #entries == 0 then break end
  local before = room
  for i = 1, #entries do
    local fields = entries[i][2]
    -- Behind its time.
    room = room - #fields[2] + string.find(fields[2], ' ', 1, true)
    if taken > 0 and room < 0 then break end
    local n = #page
    page[n + 1], page[n + 2], page[n + 3] = entries[i][1], fields[1], fields[2]
    taken = taken + 1
    if back then at = at - 1 else at = at + 1 end
  end
  -- As many at a time as will fit, if they are like those.
  chunk = math.max(1, math.min(128, math.floor(room * #entries / math.max(1, before - room)) + 1))
end
if at >= oldest and at <= head then page[5] = 1 end
return page
