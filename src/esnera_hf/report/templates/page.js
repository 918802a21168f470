"use strict";
/* The controls of the page. The data block holds the mapping; every change makes a new state, from which labels, picture,
   numbers and the file to download follow. Names from outside become text only: nothing here parses markup. */
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const clone = (value) => JSON.parse(JSON.stringify(value));
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
/* What cannot be printed is shown as U+FFFD, as everywhere on the page. */
const shown = (text) => text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "\ufffd");
const refOf = (entry) => `${entry.source}:${entry.label}`;
const LEFT_OUT = data.left_out;

/* The state: names in order, the parent of each part, and where each source label goes. */
const first = {
  unified: data.unified, parents: data.parents,
  entries: data.entries.map(({ unified, locked }) => ({ unified, locked })),
};
let state = clone(first);
const before = [];

const members = (s, name) => s.entries.flatMap((entry, n) => (entry.unified === name ? [n] : []));
const children = (s, name) => s.unified.filter((child) => parentOf(s, child) === name);
const parentOf = (s, name) => (Object.hasOwn(s.parents, name) ? s.parents[name] : null);
const ancestors = (s, name) => {
  const above = [];
  for (let up = parentOf(s, name); up !== null; up = parentOf(s, up)) above.push(up);
  return above;
};
const mentions = (s, name) => members(s, name).reduce((sum, n) => sum + data.entries[n].mentions, 0);
const order = (s) => {
  const below = (name) => [name, ...children(s, name).flatMap(below)];
  return s.unified.filter((name) => parentOf(s, name) === null).flatMap(below);
};
const setParent = (s, name, parent) => {
  if (parent === null) delete s.parents[name];
  else Object.defineProperty(s.parents, name, { value: parent, enumerable: true, configurable: true, writable: true });
};
const decision = (s, one, other) => {
  const [u, v] = [s.entries[one].unified, s.entries[other].unified];
  if (u === null || v === null) return "apart";
  if (u === v) return "one";
  if (ancestors(s, u).includes(v)) return "part";
  return ancestors(s, v).includes(u) ? "whole" : "apart";
};

/* Names that nobody bears go, unless they hold several parts together. */
const tidy = (s) => {
  for (let changed = true; changed;) {
    changed = false;
    for (const name of [...s.unified]) {
      const parts = children(s, name);
      if (members(s, name).length || parts.length > 1) continue;
      for (const part of parts) setParent(s, part, parentOf(s, name));
      setParent(s, name, null);
      s.unified = s.unified.filter((other) => other !== name);
      changed = true;
    }
  }
};
const freeName = (s, entry) => {
  let name = s.unified.includes(entry.label) ? refOf({ source: entry.label, label: entry.source }).replace(":", "@") : entry.label;
  while (s.unified.includes(name) || name === "O" || name === "") name += "+";
  return name;
};
const insertAfter = (s, place, name) => s.unified.splice(place === null ? s.unified.length : s.unified.indexOf(place) + 1, 0, name);
const alone = (s, n) => {
  const name = freeName(s, data.entries[n]);
  insertAfter(s, s.entries[n].unified, name);
  s.entries[n] = { unified: name, locked: true };
};
const moveTo = (s, n, name) => { s.entries[n] = { unified: name, locked: true }; };
const detach = (s, name, above) => {
  if (ancestors(s, name).includes(above)) setParent(s, name, parentOf(s, above));
};
const join = (s, gone, kept) => {
  detach(s, kept, gone);
  for (const n of members(s, gone)) moveTo(s, n, kept);
  for (const part of children(s, gone)) if (part !== kept) setParent(s, part, kept);
};
const lock = (s, ...labels) => { for (const n of labels) s.entries[n].locked = true; };

const answers = {
  one: (s, one, other) => {
    const [u, v] = [s.entries[one].unified, s.entries[other].unified];
    if (u === null || v === null) moveTo(s, u === null ? one : other, u === null ? v : u);
    else if (u !== v) join(s, ...(mentions(s, u) > mentions(s, v) ? [v, u] : [u, v]));
  },
  part: (s, one, other) => {
    for (const n of [one, other]) if (s.entries[n].unified === null) alone(s, n);
    if (s.entries[one].unified === s.entries[other].unified) alone(s, one);
    const [u, v] = [s.entries[one].unified, s.entries[other].unified];
    detach(s, v, u);
    setParent(s, u, v);
  },
  whole: (s, one, other) => answers.part(s, other, one),
  apart: (s, one, other) => {
    const now = decision(s, one, other);
    if (now === "one") alone(s, data.entries[one].mentions < data.entries[other].mentions ? one : other);
    if (now === "part") detach(s, s.entries[one].unified, s.entries[other].unified);
    if (now === "whole") detach(s, s.entries[other].unified, s.entries[one].unified);
  },
};

const status = byId("status");
const say = (text) => { status.textContent = shown(text); };
const change = (message, act) => {
  const next = clone(state);
  act(next);
  tidy(next);
  if (JSON.stringify(next) !== JSON.stringify(state)) {
    before.push(state);
    state = next;
  }
  render();
  say(message);
};

/* Controls of a source label and of a unified one. Menus are filled when they are opened: a hundred labels would have
   ten thousand items. */
const item = (text, value, bare) => {
  const option = make("option", { value });
  option.textContent = bare ? text : shown(text);
  return option;
};
const menu = (title, current, extra, act, allowed) => {
  const select = make("select", { "aria-label": shown(title) });
  select.append(item(current, "now"));
  const fill = () => {
    if (select.options.length > 1) return;
    extra.forEach(([text, value]) => select.append(item(text, value, true)));
    state.unified.forEach((name, n) => { if (name !== current && allowed(name)) select.append(item(name, `u${n}`)); });
  };
  ["focus", "pointerdown", "keydown"].forEach((event) => select.addEventListener(event, fill));
  select.addEventListener("change", () => {
    if (select.value !== "now") act(select.value, select.value[0] === "u" ? state.unified[Number(select.value.slice(1))] : null);
  });
  return select;
};
const rows = [...document.querySelectorAll("[data-row]")].sort((a, b) => a.dataset.row - b.dataset.row);
const labelControls = (n) => {
  const entry = data.entries[n], { unified, locked } = state.entries[n], name = refOf(entry);
  const choices = [["a label of its own", "new"], ["left out", "out"]];
  const goes = menu(`${name} goes to`, unified === null ? LEFT_OUT : unified, choices, (value, chosen) => {
    if (value === "new") change(`${name} is a label of its own`, (s) => alone(s, n));
    else if (value === "out") change(`${name} is left out`, (s) => moveTo(s, n, null));
    else change(`${name} goes to ${chosen}`, (s) => moveTo(s, n, chosen));
  }, () => true);
  const box = make("input", { type: "checkbox", "aria-label": shown(`keep ${name} so when aligned again`) });
  box.checked = locked;
  box.addEventListener("change", () => change(`${name} is ${box.checked ? "locked" : "unlocked"}`, (s) => { s.entries[n].locked = box.checked; }));
  return [make("label", {}, "goes to ", goes), make("label", {}, box, " lock")];
};
const groupControls = (name) => {
  const field = make("input", { type: "text", "aria-label": shown(`name of ${name}`) });
  field.value = shown(name);
  field.addEventListener("change", () => {
    const wanted = field.value.trim();
    if (wanted === shown(name)) return;
    if (wanted === "" || wanted === "O") { field.value = shown(name); say("A name is not empty and not O, which means outside."); return; }
    change(state.unified.includes(wanted) ? `${name} joined ${wanted}` : `${name} is now called ${wanted}`, (s) => rename(s, name, wanted));
  });
  const now = parentOf(state, name);
  const within = menu(`${name} is a part of`, now === null ? "nothing" : now, now === null ? [] : [["nothing", "none"]], (_, chosen) => {
    change(chosen === null ? `${name} is a part of nothing` : `${name} is a part of ${chosen}`, (s) => {
      if (chosen !== null) detach(s, chosen, name);
      setParent(s, name, chosen);
      lock(s, ...members(s, name));
    });
  }, (other) => other !== name);
  const out = make("button", { type: "button" }, "leave out");
  out.setAttribute("aria-label", shown(`leave out ${name}`));
  out.addEventListener("click", () => change(`${name} is left out`, (s) => { for (const n of members(s, name)) moveTo(s, n, null); }));
  return [make("label", {}, "name ", field), make("label", {}, "part of ", within), ...(members(state, name).length ? [out] : [])];
};
const rename = (s, name, wanted) => {
  if (s.unified.includes(wanted)) { join(s, name, wanted); return; }
  const parent = parentOf(s, name), parts = children(s, name);
  s.unified[s.unified.indexOf(name)] = wanted;
  setParent(s, name, null);
  setParent(s, wanted, parent);
  for (const part of parts) setParent(s, part, wanted);
  for (const n of members(s, name)) moveTo(s, n, wanted);
};

const renderGroups = () => {
  const open = byId("merged"), folded = byId("alone");
  /* Emptied after the rows were taken out: they keep what is open in them. */
  rows.forEach((row) => row.remove());
  open.replaceChildren();
  folded.replaceChildren();
  const count = { merged: 0, part: 0, alone: 0, out: 0 };
  for (const name of [...order(state), null]) {
    const own = members(state, name), above = name === null ? [] : ancestors(state, name);
    if (name === null && !own.length) continue;
    const parts = name === null ? [] : children(state, name);
    const single = own.length < 2 && !parts.length && !above.length && name !== null;
    const title = make("h3");
    for (const whole of above.reverse()) title.append(make("span", { class: "note" }, make("bdi", {}, shown(whole)), " › "));
    title.append(make("bdi", {}, shown(name === null ? LEFT_OUT : name)), " ");
    const number = own.length ? `${own.length} ${own.length === 1 ? "label" : "labels"}, ${mentions(state, name).toLocaleString("en")} mentions` : "its parts only";
    title.append(make("span", { class: "note" }, number));
    const group = make("section", { class: name === null ? "group out" : "group" }, title);
    if (name !== null) group.append(make("div", { class: "controls" }, ...groupControls(name)));
    own.forEach((n) => {
      rows[n].querySelector(".controls").replaceChildren(...labelControls(n));
      group.append(rows[n]);
    });
    (single ? folded : open).append(group);
    count.merged += own.length > 1 && name !== null ? 1 : 0;
    count.part += above.length && own.length ? 1 : 0;
    count.alone += single ? 1 : 0;
    count.out += name === null ? own.length : 0;
  }
  const names = state.unified.filter((name) => members(state, name).length).length;
  for (const [name, value] of Object.entries({ ...count, unified: names })) {
    document.querySelectorAll(`[data-count="${name}"]`).forEach((place) => { place.textContent = value.toLocaleString("en"); });
  }
};

const questions = [...document.querySelectorAll("[data-one]")].map((article) => {
  const [one, other] = [Number(article.dataset.one), Number(article.dataset.other)];
  /* A click on what is chosen already confirms it. */
  const radios = [...article.querySelectorAll("input[type=radio]")];
  radios.forEach((radio) => radio.addEventListener("click", () => {
    const [a, b] = [refOf(data.entries[one]), refOf(data.entries[other])];
    const said = { one: `${a} and ${b} are one`, part: `${a} is a part of ${b}`, whole: `${b} is a part of ${a}`, apart: `${a} and ${b} are apart` };
    change(said[radio.value], (s) => { answers[radio.value](s, one, other); lock(s, one, other); });
  }));
  return { article, one, other, radios };
});
const renderQuestions = () => {
  let waiting = 0;
  for (const { article, one, other, radios } of questions) {
    const now = decision(state, one, other);
    radios.forEach((radio) => { radio.checked = radio.value === now; });
    const answered = [one, other].every((n) => state.entries[n].locked && !data.entries[n].locked);
    article.classList.toggle("answered", answered);
    waiting += answered ? 0 : 1;
  }
  document.querySelectorAll('[data-count="check"]').forEach((place) => { place.textContent = waiting.toLocaleString("en"); });
};

/* The tree cut to fewer labels: step by step the label takes in what is below it that costs the fewest mentions for each
   label saved, as LabelTree.cut_to does. */
const precedes = (one, other) => {
  const differs = one.findIndex((value, n) => value !== other[n]);
  return differs >= 0 && one[differs] < other[differs];
};
const cutTo = (limit) => {
  const counts = new Map(state.unified.filter((name) => members(state, name).length).map((name) => [name, mentions(state, name)]));
  const names = new Map(state.unified.map((name) => [name, name]));
  const left = () => new Set([...counts.keys()].map((name) => names.get(name)));
  const cost = (label) => {
    const gone = new Map();
    for (const [name, count] of counts) {
      const kept = names.get(name);
      if (kept !== label && ancestors(state, name).includes(label)) gone.set(kept, (gone.get(kept) || 0) + count);
    }
    return [gone.size, [...gone.values()].reduce((sum, count) => sum + count, 0)];
  };
  let lost = 0;
  while (left().size > limit) {
    let best = null;
    state.unified.forEach((label, place) => {
      const [gone, count] = cost(label), saved = gone - (left().has(label) ? 0 : 1);
      if (names.get(label) !== label || saved <= 0) return;
      const key = [count / saved, -saved, place];
      if (best === null || precedes(key, best.key)) best = { key, label, count };
    });
    if (best === null) break;
    lost += best.count;
    for (const name of state.unified) if (ancestors(state, name).includes(best.label)) names.set(name, best.label);
  }
  return { names, left: left().size, lost };
};
const slider = byId("grain");
const renderGrain = () => {
  const borne = state.unified.filter((name) => members(state, name).length);
  const fewest = new Set(borne.map((name) => [name, ...ancestors(state, name)].pop())).size;
  byId("grain-box").hidden = fewest >= borne.length;
  slider.min = Math.max(fewest, 1);
  const untouched = slider.value === slider.max;
  slider.max = borne.length;
  if (untouched || Number(slider.value) > borne.length) slider.value = borne.length;
  const cut = cutTo(Number(slider.value));
  const fine = cut.left === borne.length;
  const told = fine ? `all ${cut.left} labels` : `${cut.left} labels; ${cut.lost.toLocaleString("en")} mentions lose their finer label`;
  byId("grain-said").textContent = fine ? told : `${told} (esnera-hf export … --labels ${cut.left})`;
  slider.setAttribute("aria-valuetext", told);
  draw(cut.names);
};

/* The picture. On a narrow screen all sources stand on the left. */
const narrow = matchMedia("(max-width: 640px)");
const svg = (tag, attributes, text) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
const widthOf = (char) => (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|[\u{20000}-\u{3fffd}]/u.test(char) ? 2 : 1);
const fitted = (text, room) => {
  let taken = 0, kept = "";
  for (const char of shown(text)) {
    taken += widthOf(char);
    if (taken > room) return `${kept}…`;
    kept += char;
  }
  return kept;
};
const draw = (names) => {
  const slim = narrow.matches;
  const [text, bands, pill, room] = slim ? [118, 62, 150, 15] : [220, 150, 210, 26];
  const rowHeight = 24, edge = 10;
  const shownAs = (n) => (state.entries[n].unified === null ? null : names.get(state.entries[n].unified));
  const kept = new Set(data.entries.map((_, n) => shownAs(n)));
  const inTree = (name) => kept.has(name) || [...kept].some((other) => other !== null && ancestors(state, other).includes(name));
  const unified = order(state).filter((name) => names.get(name) === name && inTree(name));
  if (kept.has(null)) unified.push(null);
  const place = new Map(unified.map((name, n) => [name, n]));
  const bySource = new Map();
  data.entries.forEach((entry, n) => bySource.set(entry.source, [...(bySource.get(entry.source) || []), n]));
  const sources = [...bySource].map(([source, ns]) => [source, ns.sort((a, b) => place.get(shownAs(a)) - place.get(shownAs(b)))]);
  const height = (side) => side.reduce((sum, [, ns]) => sum + 1.5 + ns.length, 0);
  let cut = sources.length;
  if (!slim) for (let n = 1; n <= sources.length; n++) if (Math.max(height(sources.slice(0, n)), height(sources.slice(n))) < Math.max(height(sources.slice(0, cut)), height(sources.slice(cut)))) cut = n;
  const sides = [sources.slice(0, cut), sources.slice(cut)];
  const total = Math.max(unified.length, ...sides.map(height));
  const depth = (name) => (name === null ? 0 : Math.min(ancestors(state, name).length, 3));
  const left = edge + text + bands, right = left + pill + 16 * Math.max(0, ...unified.map(depth));
  const step = rowHeight * Math.min(total / Math.max(unified.length, 1), 1.5);
  const top = edge + (rowHeight * total - step * (unified.length - 1)) / 2;
  const at = new Map(unified.map((name, n) => [name, [left + 16 * depth(name), top + step * n]]));
  const roots = state.unified.filter((name) => parentOf(state, name) === null);
  const color = (name) => (name === null ? "hsl(0 0% 50%)" : `hsl(${(roots.indexOf([name, ...ancestors(state, name)].pop()) * 137.5) % 360} 60% 50%)`);
  const most = Math.max(1, ...data.entries.map((entry) => entry.mentions));
  const width = right + (sides[1].length ? bands + text : 0) + edge, tall = edge * 2 + rowHeight * total;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${tall}`, width, height: tall, role: "img", "aria-label": `${data.entries.length} source labels flow into ${unified.length} labels`, "font-size": 13 });
  const write = (x, y, said, anchor, weight = "normal") => picture.append(svg("text", { x, y: y + 4.5, "text-anchor": anchor, "font-weight": weight, fill: "currentColor", direction: "ltr", "unicode-bidi": "isolate" }, fitted(said, room)));
  sides.forEach((side, which) => {
    const anchor = which ? "start" : "end", x = which ? right + bands : left - bands, gap = which ? 8 : -8;
    let y = edge + (rowHeight * (total - height(side) + 1.5)) / 2;
    for (const [source, ns] of side) {
      write(x + gap, y, source, anchor, "bold");
      for (const n of ns) {
        y += rowHeight;
        const name = shownAs(n), [gx, gy] = at.get(name), goal = which ? right - 4 : gx + 4, half = (x + goal) / 2;
        const band = svg("path", { d: `M${x} ${y}C${half} ${y} ${half} ${gy} ${goal} ${gy}`, fill: "none", stroke: color(name), "stroke-opacity": 0.5, "stroke-width": 2 + 13 * Math.sqrt(data.entries[n].mentions / most) });
        band.append(svg("title", {}, shown(`${refOf(data.entries[n])} → ${name === null ? LEFT_OUT : name}, ${data.entries[n].mentions.toLocaleString("en")} mentions`)));
        picture.append(band);
        write(x + gap, y, data.entries[n].label, anchor);
      }
      y += rowHeight * 1.5;
    }
  });
  for (const [name, [x, y]] of at) {
    const whole = name === null ? null : parentOf(state, name);
    if (whole !== null && at.has(whole)) picture.append(svg("path", { d: `M${at.get(whole)[0] + 8} ${at.get(whole)[1] + 10}V${y}H${x}`, fill: "none", stroke: "currentColor", "stroke-opacity": 0.5 }));
    picture.append(svg("rect", { x, y: y - 10, width: right - x, height: 20, rx: 10, fill: "Canvas" }));
    picture.append(svg("rect", { x, y: y - 10, width: right - x, height: 20, rx: 10, fill: color(name), "fill-opacity": 0.18, stroke: color(name), ...(name === null ? { "stroke-dasharray": "4 3" } : {}) }));
    write((x + right) / 2, y, name === null ? LEFT_OUT : name, "middle");
  }
  byId("flow").replaceChildren(picture);
};

/* The file: YAML in which every text stands in double quotes, with escapes for what could be misread. */
const quote = (text) => `"${text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|["\\]/gu, (char) => {
  const code = char.codePointAt(0).toString(16);
  return char === '"' || char === "\\" ? `\\${char}` : code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
})}"`;
const scalar = (value) => {
  if (typeof value === "string") return quote(value);
  if (value !== null && typeof value === "object") return `{${Object.entries(value).map(([key, part]) => `${key}: ${scalar(part)}`).join(", ")}}`;
  return typeof value === "number" && /e/.test(String(value)) ? value.toFixed(6) : String(value);
};
const yaml = () => {
  const lines = [data.header, `version: ${data.version}`, `method: ${data.method}`];
  if (data.lambda !== null) lines.push(`lambda: ${scalar(data.lambda)}`);
  lines.push(state.unified.length ? "unified_labels:" : "unified_labels: []", ...state.unified.map((name) => `- ${quote(name)}`));
  const parts = order(state).filter((name) => parentOf(state, name) !== null);
  if (parts.length) lines.push("parents:", ...parts.map((name) => `  ${quote(name)}: ${quote(parentOf(state, name))}`));
  lines.push(data.entries.length ? "labels:" : "labels: []");
  for (const name of [...state.unified, null]) {
    for (const n of members(state, name)) {
      const entry = data.entries[n], { unified, locked } = state.entries[n];
      lines.push(`- source: ${quote(entry.source)}`, `  label: ${quote(entry.label)}`, `  unified: ${scalar(unified)}`, `  mentions: ${entry.mentions}`);
      if (locked) lines.push("  locked: true");
      for (const [key, value] of Object.entries(entry.evidence)) lines.push(`  ${key}: ${scalar(value)}`);
    }
  }
  return `${lines.join("\n")}\n`;
};
let saved = state;
const save = async () => {
  const text = yaml();
  if (data.served) {
    const answer = await fetch("mapping", { method: "POST", headers: { "Content-Type": "application/yaml" }, body: text });
    say(await answer.text());
    if (!answer.ok) return;
  } else {
    const link = make("a", { download: "mapping.yaml", href: URL.createObjectURL(new Blob([text], { type: "application/yaml" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    say("mapping.yaml was given to your browser to download. Apply it with the command below.");
  }
  saved = state;
  byId("command").hidden = false;
};

const render = () => {
  renderGroups();
  renderQuestions();
  renderGrain();
  const changes = before.length;
  byId("changes").textContent = changes === 1 ? "1 change" : `${changes} changes`;
  byId("undo").disabled = byId("restart").disabled = !changes;
};
byId("undo").addEventListener("click", () => { state = before.pop(); render(); say("The last change was taken back."); });
byId("restart").addEventListener("click", () => change("As it was aligned; Undo brings your changes back.", (s) => Object.assign(s, clone(first))));
byId("save").addEventListener("click", () => { save().catch((error) => say(`Not saved: ${error.message}. Is esnera-hf review still running?`)); });
slider.addEventListener("input", renderGrain);
narrow.addEventListener("change", renderGrain);
addEventListener("beforeunload", (event) => { if (state !== saved) event.preventDefault(); });
document.body.classList.add("live");
document.querySelectorAll("[data-live]").forEach((element) => { element.hidden = false; });
render();
})();
