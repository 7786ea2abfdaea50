import { decode, unlist } from "./fragments.ts";

/* Lua that look and declare share: what the store itself can say about the life of an incarnation.
 *
 * Safe because it is evaluated twice: once to find suspects, and again, on the state of that instant, by the very
 * script that declares the death. Absence is a transition: it counts only for an incarnation which this server
 * (run_id) has itself seen present. Where the server cannot tell (INFO or PUBSUB refused), runId is nil and the lease
 * decides alone.
 *
 * A record that cannot be read is set aside, so that it stops nobody's recovery, and kept for a person.
 *
 * Expects the locals  K (keys by name), observed, presencePrefix, numsub ('NUMSUB', 'SHARDNUMSUB' or ''), protocol.
 * Defines   decode(json), runId, subscribers(incarnations) -> {incarnation = count}, distrusted(), judge(incarnation) -> cause, evidence */
export const judge: string = `
  ${decode}
  ${unlist}
  local runId
  if numsub ~= '' then
    local info = redis.pcall('INFO', 'server')
    if type(info) == 'string' then runId = string.match(info, 'run_id:(%x+)') end
  end

  local function subscribers(incarnations)
    local counts = {}
    for first = 1, #incarnations, 1000 do
      local channels = {}
      for i = first, math.min(first + 999, #incarnations) do channels[#channels + 1] = presencePrefix .. incarnations[i] end
      local reply = redis.pcall('PUBSUB', numsub, unpack(channels))
      if reply.err then runId = nil; return counts end
      for i = 1, #reply / 2 do counts[incarnations[first + i - 1]] = reply[2 * i] end
    end
    return counts
  end

  local function distrusted()
    local missing = redis.call('HLEN', K.absent)
    return missing >= 3 and missing * 2 > redis.call('HLEN', K.seen)
  end

  local function replacedByName(incarnation, name)
    local siblings = redis.call('HGET', K.names, name) or ''
    local last = string.match(siblings, '(%S+)$')
    return last ~= nil and last ~= incarnation
  end

  local function judgeAbsence(incarnation, registration)
    if not runId or registration.protocol ~= protocol or distrusted() then return nil end
    if redis.call('HGET', K.seen, incarnation) ~= runId then return nil end
    local mark = redis.call('HGET', K.absent, incarnation)
    if not mark or (subscribers({incarnation})[incarnation] or 0) > 0 then return nil end
    local since, looks = string.match(mark, '^([^:]+):(%d+)$')
    local lasted = observed - tonumber(since)
    if tonumber(looks) < 2 then return nil end
    local seenIn = 'connection gone for ' .. lasted .. ' ms of observed time, in ' .. looks .. ' looks'
    if lasted >= registration.grace then return 'absent', seenIn end
    if replacedByName(incarnation, registration.name) then return 'replaced', seenIn .. '; the same name registered again' end
  end

  local function judgeLease(incarnation, registration)
    local deadline = tonumber(redis.call('ZSCORE', K.deadlines, incarnation) or 'inf')
    if observed < deadline then return nil end
    local silent = observed - deadline + registration.ttl
    local evidence = 'no beat for ' .. silent .. ' ms of observed time (lease ' .. registration.ttl .. ' ms)'
    if registration.pulse == 'main' and runId and (subscribers({incarnation})[incarnation] or 0) > 0
      and silent < 4 * registration.ttl then return nil end
    return 'lapsed', evidence
  end

  local function readable(registration)
    return registration and type(registration.ttl) == 'number' and type(registration.grace) == 'number' and type(registration.name) == 'string'
      and type(registration.holders) == 'table'
  end

  local function setAside(incarnation, record)
    redis.call('HSET', K.malformed, 'instances:' .. incarnation, record)
    unlist(incarnation)
  end

  local function judge(incarnation)
    local record = redis.call('HGET', K.instances, incarnation)
    if not record then return nil end
    local registration = decode(record)
    if not readable(registration) then return setAside(incarnation, record) end
    local cause, evidence = judgeLease(incarnation, registration)
    if cause then return cause, evidence, registration end
    cause, evidence = judgeAbsence(incarnation, registration)
    return cause, evidence, registration
  end
`;
