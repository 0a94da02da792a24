-- Under plain Pandoc, turns what Quarto would turn itself into HTML that works by keyboard and without a script:
-- callouts into titled asides (folded ones into <details>), tab sets into titled panels, which tabs.js makes tabs of.
-- Also: tables take their natural width and have row headings; fig-alt becomes the alternative text.

local callouts = { note = "Note", tip = "Good", important = "Important", warning = "Warning", caution = "Caution" }

local function callout_kind(div)
  for _, class in ipairs(div.classes) do
    local kind = class:match("^callout%-(%a+)$")
    if kind and callouts[kind] then return kind end
  end
end

local function callout(div, kind)
  local title = div.attributes.title or callouts[kind]
  local word = pandoc.Span({ pandoc.Str(callouts[kind]) }, pandoc.Attr("", { "ml-callout-word" }))
  local heading = { word, pandoc.Space(), pandoc.Str(title) }
  if title == callouts[kind] then heading = { word } end
  local classes = { "ml-callout", "ml-callout-" .. kind }
  if div.attributes.collapse then
    local open = div.attributes.collapse == "false" and " open" or ""
    local blocks = { pandoc.RawBlock("html", "<details class=\"" .. table.concat(classes, " ") .. "\"" .. open .. "><summary>") }
    table.insert(blocks, pandoc.Plain(heading))
    table.insert(blocks, pandoc.RawBlock("html", "</summary>"))
    for _, block in ipairs(div.content) do table.insert(blocks, block) end
    table.insert(blocks, pandoc.RawBlock("html", "</details>"))
    return blocks
  end
  local title_block = pandoc.Div({ pandoc.Para(heading) }, pandoc.Attr("", { "ml-callout-title" }))
  local content = { title_block }
  for _, block in ipairs(div.content) do table.insert(content, block) end
  return pandoc.Div(content, pandoc.Attr(div.identifier, classes, { role = "note" }))
end

-- Splits the content at headings of the level of its first block; each heading is the title of the panel after it.
local function tabset(div)
  local panels, level = {}, nil
  for _, block in ipairs(div.content) do
    if block.t == "Header" and (level == nil or block.level == level) then
      level = block.level
      local attributes = { { "role", "heading" }, { "aria-level", tostring(level) } } -- pairs keep their order
      local title = pandoc.Div({ pandoc.Plain(block.content) }, pandoc.Attr("", { "ml-tab-title" }, attributes))
      table.insert(panels, pandoc.Div({ title }, pandoc.Attr(block.identifier, { "ml-tab-panel" })))
    elseif #panels > 0 then
      panels[#panels].content:insert(block)
    end
  end
  return pandoc.Div(panels, pandoc.Attr(div.identifier, { "ml-tabs" }))
end

function Div(div)
  local kind = callout_kind(div)
  if kind then return callout(div, kind) end
  if div.classes:includes("panel-tabset") then return tabset(div) end
end

function Table(tbl)
  tbl.colspecs = tbl.colspecs:map(function(spec) return { spec[1], nil } end)
  for _, body in ipairs(tbl.bodies) do body.row_head_columns = 1 end
  return tbl
end

function Image(img)
  local alt = img.attributes["fig-alt"]
  if alt then
    img.attributes["fig-alt"] = nil
    img.attributes.alt = alt
  end
  return img
end
