-- What all scripts share: it is put in front of each. No script of its own.
--
-- A bucket's `heads` is a hash. Its field '' is the run (no log is called so):
--     number state doubt fresh saves kept run_id
-- state is p (pending), w (open, whole) or d (open, doubtful). A log that was last written in a run before number `doubt` begins
-- a new era with its next message. `fresh` is the epoch of logs that are new, or -. `saves`: this run saves each message before
-- it answers; `kept`: so did all before it that were written to since one was opened.
-- Each other field is a log:
--     epoch offset run begun touch keys turned eras entries_max age_max bytes_max
-- the position of its head; the run in which it was last written, and the one in which its era began; when its
-- streams' and keys' time to live is to be renewed; which keys there are (0 none, 1 new ones, 2 only old ones), and the offset from
-- which on they are the new ones; its eras `first:epoch,…` with the newest last, or - if there was one only; its retention.
-- Numbers are exact below 10^14: Lua writes larger ones with an exponent.

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
  redis.call('HSET', heads, '', text)
end

-- The parts of a log's record, as texts.
local function read_head(text)
  return string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d) (%d+) (%S+) (.*)$')
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function eras_of(eras, epoch)
  if eras == '-' then return '1:' .. epoch end
  return eras
end

-- A log remembers so many eras. What is older is not shown any more: nobody could tell where in it somebody is.
local ERAS_MAX = 256

-- Begins an era behind `offset`. Returns its epoch, never that of the era before, and the eras.
local function begin_era(eras, epoch, offset, wanted)
  if wanted == epoch then wanted = tostring((epoch + 1) % 4294967296) end
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
