-- Nodes have said what they have seen, or did not come in time: from now on the run takes messages. The first word counts.
-- KEYS: heads. ARGV: run, w if nobody is missing, or d.
local run = read_run(call('HGET', KEYS[1], ''))
if not run or run.number ~= tonumber(ARGV[1]) then
  return redis.error_reply('STALE this is another run of Redis')
end
if run.state == 'p' then
  if ARGV[2] == 'w' and run.saves == 1 and run.kept == 1 then
    run.state = 'w'
  else
    -- Also a log of which nothing is left may have been: its first era must not come again.
    run.state, run.doubt, run.fresh = 'd', run.number, '-'
  end
  write_run(KEYS[1], run)
end
return run.number .. ' ' .. run.state
