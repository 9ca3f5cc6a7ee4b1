-- A node is there, or leaves. KEYS: nodes. ARGV: name, lease in ms, 1 if it leaves, the runs that it has vouched to (run_id,…).
-- Returns name and runs of each that has said so within its lease.
local now = now_ms()
if ARGV[3] == '1' then
  call('HDEL', KEYS[1], ARGV[1])
else
  call('HSET', KEYS[1], ARGV[1], (now + ARGV[2]) .. ' ' .. ARGV[4])
end
local all, nodes = call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local till, runs = string.match(all[i + 1], '^(%d+) (.*)$')
  if till and tonumber(till) > now then
    nodes[#nodes + 1] = all[i]
    nodes[#nodes + 1] = runs
  else
    call('HDEL', KEYS[1], all[i])
  end
end
return nodes
