-- Wraps what could outlive the fence, and matches patterns by the host's own matcher, which can be interrupted.
local fallen, search, seek, special, rep, type, error, tostring, tonumber, select, rawget, rawset, next = ...
local plain_find, sub, concat = string.find, string.sub, table.concat
local pcall0, resume0 = pcall, coroutine.resume
local function after(...) fallen() return ... end
function pcall(...) return after(pcall0(...)) end
function coroutine.resume(...) return after(resume0(...)) end
local function text(value, at, name)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" then
    error("bad argument #" .. at .. " to '" .. name .. "' (string expected, got " .. kind .. ")", 3)
  end
  return tostring(value)
end
local function range(s, init)
  init = tonumber(init) or 1
  if init < 0 then init = #s + init + 1 end
  if init < 1 then return 1 end
  return init > #s + 1 and #s + 1 or init - init % 1
end
-- What is wrong, at the caller of the caller; else start, end, captures.
local function look(why, ...)
  if why then error(why, 3) end
  return ...
end
local function caught(s, from, to, ...)
  if not from then return nil end
  if select("#", ...) == 0 then return sub(s, from, to) end
  return ...
end
function string.find(s, p, init, plain)
  s, p = text(s, 1, "find"), text(p, 2, "find")
  init = range(s, init)
  if plain or not special(p) then return look(seek(s, p, init)) end
  return look(search(s, p, init, true))
end
function string.match(s, p, init)
  s, p = text(s, 1, "match"), text(p, 2, "match")
  return caught(s, look(search(s, p, range(s, init), true)))
end
function string.gmatch(s, p)
  s, p = text(s, 1, "gmatch"), text(p, 2, "gmatch")
  local at = 1
  local function step(from, to, ...)
    if not from then
      at = #s + 2
      return nil
    end
    at = to >= from and to + 1 or from + 1
    return caught(s, from, to, ...)
  end
  return function()
    if at > #s + 1 then return nil end
    return step(look(search(s, p, at, false)))
  end
end
-- What stands for a match: a text with %0 to %9, what a table has, or a function gives.
local function replacement(repl, kind, whole, number, ...)
  if kind == "string" then
    if not plain_find(repl, "%", 1, true) then return repl end
    local captures, parts, i = { ... }, {}, 1
    while true do
      local mark = plain_find(repl, "%", i, true)
      if not mark then break end
      parts[#parts + 1] = sub(repl, i, mark - 1)
      local c = sub(repl, mark + 1, mark + 1)
      local index = c ~= "" and plain_find("0123456789", c, 1, true)
      if not index then
        parts[#parts + 1] = c == "" and "\0" or c
      elseif index == 1 or index == 2 and number == 0 then
        parts[#parts + 1] = whole
      elseif index - 1 > number then
        error("invalid capture index", 5)
      else
        parts[#parts + 1] = tostring(captures[index - 1])
      end
      i = mark + 2
    end
    parts[#parts + 1] = sub(repl, i)
    return concat(parts)
  end
  local new
  if kind == "table" then
    local first = ...
    if number == 0 then first = whole end
    new = repl[first]
  elseif number == 0 then
    new = repl(whole)
  else
    new = repl(...)
  end
  if not new then return whole end
  local its = type(new)
  if its ~= "string" and its ~= "number" then error("invalid replacement value (a " .. its .. ")", 5) end
  return tostring(new)
end
function string.gsub(s, p, repl, max)
  s, p = text(s, 1, "gsub"), text(p, 2, "gsub")
  local kind = type(repl)
  if kind == "number" then repl, kind = tostring(repl), "string" end
  if kind ~= "string" and kind ~= "function" and kind ~= "table" then
    error("bad argument #3 to 'gsub' (string/function/table expected)", 2)
  end
  max = tonumber(max) or #s + 1
  local out, at, count, anchored = {}, 1, 0, sub(p, 1, 1) == "^"
  -- One match and what is before it; whether to go on.
  local function replace(from, to, ...)
    if not from then return false end
    count = count + 1
    out[#out + 1] = sub(s, at, from - 1)
    local new = replacement(repl, kind, sub(s, from, to), select("#", ...), ...)
    out[#out + 1] = new
    if to >= from then
      at = to + 1
    else
      out[#out + 1] = sub(s, from, from)
      at = from + 1
    end
    return not anchored and at <= #s + 1
  end
  while count < max do
    local go_on = replace(look(search(s, p, at, true)))
    if not go_on then break end
  end
  out[#out + 1] = sub(s, at)
  return concat(out), count
end
string.gfind = string.gmatch
function string.rep(s, n)
  s = text(s, 1, "rep")
  local count = tonumber(n)
  if not count then error("bad argument #2 to 'rep' (number expected, got " .. (n == nil and "no value" or type(n)) .. ")", 2) end
  return rep(s, count)
end
-- What calls back or compares for long is Lua here, so that it ends with the fence.
local function table_of(t, name)
  if type(t) ~= "table" then error("bad argument #1 to '" .. name .. "' (table expected, got " .. type(t) .. ")", 3) end
  return #t
end
local function function_of(f, name)
  if type(f) ~= "function" then error("bad argument #2 to '" .. name .. "' (function expected, got " .. type(f) .. ")", 3) end
end
-- By merging: the values are copied, and come back when they are in order.
function table.sort(t, before)
  local n = table_of(t, "sort")
  if before ~= nil then function_of(before, "sort") end
  local from, to, width = {}, {}, 1
  for i = 1, n do from[i] = rawget(t, i) end
  while width < n do
    for at = 1, n, 2 * width do
      local left, right = at, at + width
      local middle, last = right - 1, right + width - 1
      if last > n then last = n end
      for i = at, last do
        local second = left > middle
        if not second and right <= last then
          local a, b = from[left], from[right]
          if before then second = before(b, a) else second = b < a end
        end
        if second then
          to[i], right = from[right], right + 1
        else
          to[i], left = from[left], left + 1
        end
      end
    end
    from, to, width = to, from, 2 * width
  end
  for i = 1, n do rawset(t, i, from[i]) end
end
function table.foreach(t, f)
  table_of(t, "foreach")
  function_of(f, "foreach")
  for k, v in next, t do
    local result = f(k, v)
    if result ~= nil then return result end
  end
end
function table.foreachi(t, f)
  local n = table_of(t, "foreachi")
  function_of(f, "foreachi")
  for i = 1, n do
    local result = f(i, rawget(t, i))
    if result ~= nil then return result end
  end
end
