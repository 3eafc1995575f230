"""What Redis itself runs of the coordination, whole or not at all: Lua, as Redis 7 has it.

Each script begins with :data:`_AGE`. The cluster has an *age*, named in ``uw:cluster``: it ends when Redis has
forgotten everything (FLUSHALL, a restart without its data) or when nobody has been heard for :data:`SILENCE_MS` (a
Redis that was stopped, or started again from an older copy). In the first :data:`SETTLING_MS` of an age nothing is
granted: every process first says what it holds, and what it has seen.
"""

from __future__ import annotations

#: Milliseconds without any call after which what Redis holds may not be all that there is.
SILENCE_MS = 3000
#: Milliseconds in which every process that lives has said what it holds; each does so every second.
SETTLING_MS = 2500
#: Milliseconds after which a process that says nothing, while others do, has lost what it was promised.
GONE_MS = 30_000

_AGE = f"""
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local cluster = KEYS[1]
local c = redis.call('HMGET', cluster, 'age', 'since', 'last')
local age, since = c[1], tonumber(c[2] or 0)
local function begin_age()
  age = now .. '-' .. string.format('%06d', math.random(0, 999999)) .. '-' .. ARGV[1]
  since = now
  redis.call('HSET', cluster, 'age', age, 'since', since)
end
if not age or now - tonumber(c[3] or 0) > {SILENCE_MS} then begin_age() end
redis.call('HSET', cluster, 'last', now)
local settling = now - since < {SETTLING_MS}
"""

#: One process's word on one limit. KEYS: the cluster, the pool. ARGV: see :meth:`agent.state.pool.Pool.word`.
#: Reply: age, held, total, promise, settling (1 or 0), hungry (1 or 0), or ``{'late'}`` for a word that was overtaken.
LEASE = (
    _AGE
    + f"""
local pool, me = KEYS[2], ARGV[1]
local seq, known, limit = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local holds, told, seen, base = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local need, want, promise = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local processes, lives, rolling, least = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local sweep = ARGV[16] == '1'
local function number(value) return tonumber(value or 0) end
local function text(value) return string.format('%.17g', value) end

local p = redis.call('HMGET', pool, 'age', 'total', 'floor', 'promised', 'hungry',
                     'seq:' .. me, 'held:' .. me, 'promise:' .. me)
if p[6] and p[1] == age and seq <= tonumber(p[6]) then return {{'late'}} end
local total, floor, promised, hungry = number(p[2]), number(p[3]), number(p[4]), number(p[5])
local held = p[7] and tonumber(p[7])
if held and known == age and told > held + 1e-9 then
  -- Redis knows less than it once said: it began again from an older copy.
  begin_age()
  settling = true
end
if p[1] ~= age then
  -- What there was is the least that was given out; each process that lives says what it holds of it, or beyond.
  if rolling > 0 then total = 0 end
  floor, promised, held = total, 0, nil
  redis.call('DEL', pool)
  redis.call('HSET', pool, 'age', age)
  p[8] = nil
end
if not held then
  if rolling > 0 then held = 0
  elseif known ~= '' and known ~= age then
    if seen > floor then
      total = total + seen - floor
      floor = seen
    end
    held = told
  else
    total = math.max(total, base)
    held = 0
  end
end
total = total + holds - held
promised = promised - number(p[8])

if sweep then
  local all = redis.call('HGETALL', pool)
  for i = 1, #all, 2 do
    local who = string.match(all[i], '^at:(.+)$')
    if who and who ~= me then
      local silent = now - tonumber(all[i + 1])
      if silent > {GONE_MS} and not settling then
        promised = promised - number(redis.call('HGET', pool, 'promise:' .. who))
        redis.call('HDEL', pool, 'promise:' .. who)
        if rolling > 0 and silent > rolling then
          total = total - number(redis.call('HGET', pool, 'held:' .. who))
          redis.call('HDEL', pool, 'held:' .. who, 'at:' .. who, 'seq:' .. who)
        end
      end
    end
  end
end

if not settling then
  local left = limit - total - promised
  local grant = 0
  if want > 0 then
    if left >= want then grant = want
    elseif left >= need - limit * 1e-9 then grant = math.max(left, need)
    else hungry = now end
  end
  holds, total = holds + grant, total + grant
  promise = (limit - total) / (2 * processes)
  promise = math.min(promise, limit - total - promised)
  if promise < least then promise = 0 end
end
-- Until it has heard of less, a process goes by what it was promised before.
local reserved = math.max(promise, tonumber(ARGV[11]))
promised = math.max(0, promised + reserved)
redis.call('HSET', pool, 'total', text(total), 'floor', text(floor), 'promised', text(promised), 'hungry', hungry,
           'seq:' .. me, seq, 'held:' .. me, text(holds), 'promise:' .. me, text(reserved), 'at:' .. me, now)
redis.call('PEXPIRE', pool, lives)
return {{age, text(holds), text(total), text(promise), settling and 1 or 0, now - hungry < 2000 and 1 or 0}}
"""
)

#: A sign of life. KEYS: the cluster, the members, the runner. ARGV: the process, milliseconds that a runner has.
#: Reply: age, settling, how many processes there are, who runs what one alone should run.
BEAT = (
    _AGE
    + f"""
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - {GONE_MS})
local runner = redis.call('GET', KEYS[3])
if not runner or runner == ARGV[1] then
  runner = ARGV[1]
  redis.call('SET', KEYS[3], runner, 'PX', ARGV[2])
end
return {{age, settling and 1 or 0, redis.call('ZCARD', KEYS[2]), runner}}
"""
)
