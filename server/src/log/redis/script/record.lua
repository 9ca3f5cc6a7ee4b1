-- What all scripts share: it is put in front of each. No script of its own.
--
-- A bucket's `heads` is a hash. Its field '' is the run (no log is called so):
--     number state doubt fresh saves kept run_id
-- state is p (pending), w (open, whole) or d (open, doubtful). A log that was last written in a run before number `doubt` begins
-- a new era with its next message. `fresh` is the epoch of logs that are new, or -. `saves`: this run saves each message before
-- it answers; `kept`: so did all before it that were written to since one was opened.
-- Each other field is a log, by its key; its record is binary, since texts cost more than all else here (RECORD below):
--     version epoch offset run bytes touch, begun oldest, entries_max age_max bytes_max, eras
-- What a message changes is in front, and what it needs not look into behind it.
-- epoch and offset are the position of its head; `run` is the one in which it was last written, `begun` the one in which its era
-- began; `oldest` is the first offset that is kept and `bytes` what all that are kept take, if the log's key is there; at `touch` its time
-- to live is to be renewed; then its retention (ms). `eras` is the text `first:epoch,…` with the newest last, or '' if there was one only.
--
-- A log's key is a hash. Its field '' says what it is; it is there as long as the log is. An entry's field is its offset in 8 bytes
-- (pack_offset), and the entry is `time from\0session\0seq\0content`. If it has a seq, it has a key: the field `from\0session\0seq`, which has the
-- offset in 8 bytes. No user's name begins with a NUL, and each offset does. Key and entry go together.
--
-- No record is as small as 64 bytes, nor is the field '': Redis keeps a hash with such a value as a table, and smaller ones as lists that it
-- looks through from the front. Numbers are exact below 10^14: Lua writes larger ones with an exponent.

local call, pack, unpack_bytes = redis.call, struct.pack, struct.unpack

-- Of records and logs. What has another one is of a tidewire that keeps them in another way.
local VERSION = 2
local HOT, HOT_BYTES = '<BI4I8I4I8I8', 33
local RECORD, RECORD_BYTES = HOT .. 'I4I8I8I8I8', 69
-- The retention in it, which is 3 x 8 bytes.
local RULE_FROM = 46

local function read_run(text)
  if not text then return nil end
  local number, state, doubt, fresh, saves, kept, id =
    string.match(text, '^(%d+) (%a) (%d+) (%S+) (%d) (%d) (.*)$')
  return {
    number = tonumber(number), state = state, doubt = tonumber(doubt), fresh = fresh,
    saves = tonumber(saves), kept = tonumber(kept), id = id,
  }
end

local function write_run(heads, run)
  local text = table.concat({
    run.number, run.state, run.doubt, run.fresh, run.saves, run.kept, run.id,
  }, ' ')
  call('HSET', heads, '', text)
end

-- The parts of a log's record: epoch, offset, run, begun, oldest, bytes, touch, entries_max, age_max, bytes_max; and then its eras.
local function read_head(text)
  if string.byte(text) ~= VERSION then
    error(redis.error_reply('VERSION another version of tidewire has written this log'))
  end
  local _, epoch, offset, run, bytes, touch, begun, oldest, entries_max, age_max, bytes_max = unpack_bytes(RECORD, text)
  local eras = ''
  if #text > RECORD_BYTES then eras = string.sub(text, RECORD_BYTES + 1) end
  return epoch, offset, run, begun, oldest, bytes, touch, entries_max, age_max, bytes_max, eras
end

-- A record of these parts.
local function write_head(eras, epoch, offset, run, begun, oldest, bytes, touch, entries_max, age_max, bytes_max)
  return pack(RECORD, VERSION, epoch, offset, run, bytes, touch, begun, oldest, entries_max, age_max, bytes_max) .. eras
end

local function pack_offset(offset)
  return pack('>I8', offset)
end

local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function eras_of(eras, epoch)
  if eras == '' then return '1:' .. epoch end
  return eras
end

-- A log remembers so many eras. What is older is not shown any more: nobody could tell where in it somebody is.
local ERAS_MAX = 256

-- Begins an era behind `offset`. Returns its epoch, never that of the era before, and the eras.
local function begin_era(eras, epoch, offset, wanted)
  if wanted == epoch then wanted = (epoch + 1) % 4294967296 end
  local list = eras_of(eras, epoch) .. ',' .. (offset + 1) .. ':' .. wanted
  local _, commas = string.gsub(list, ',', '')
  if commas >= ERAS_MAX then list = string.match(list, '^[^,]*,(.*)$') end
  return wanted, list
end

-- Where the era of that epoch is in the list, and its last offset; nil if it is not there. The third: no era is behind it.
local function find_era(list, epoch, head)
  local at, index, last = 0, nil, head
  for first, of in string.gmatch(list, '(%d+):(%d+)') do
    at = at + 1
    if index and at == index + 1 then last = first - 1 end
    if of == epoch then index = at end
  end
  return index, last, index == at
end

-- The epoch of the era that an offset is in: the oldest that is known, if that is forgotten.
local function epoch_at(eras, epoch, offset)
  if eras == '' then return epoch end
  local found
  for first, of in string.gmatch(eras, '(%d+):(%d+)') do
    if found and tonumber(first) > offset then break end
    found = tonumber(of)
  end
  return found
end
