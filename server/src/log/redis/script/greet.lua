-- This process of Redis has the bucket. One that is not known yet takes nothing until it is opened.
-- KEYS: heads. ARGV: run_id, 1 if it saves each message before it answers.
local run = read_run(call('HGET', KEYS[1], ''))
if not run or run.id ~= ARGV[1] then
  local before = run or { number = 0, state = 'p', doubt = 0, fresh = '-', saves = 1, kept = 1 }
  local kept = before.saves
  -- Nothing was written in a run that was never opened: what holds is what held for the one before.
  if before.state == 'p' then kept = before.kept end
  run = {
    number = before.number + 1, state = 'p', doubt = before.doubt, fresh = before.fresh,
    saves = tonumber(ARGV[2]), kept = kept, id = ARGV[1],
  }
  write_run(KEYS[1], run)
end
return run.number .. ' ' .. run.state
