/* The mapping as a state that changes: every change makes a new one. Nothing here knows of the page. */
const data = JSON.parse(document.getElementById("data").textContent);
const clone = (value) => JSON.parse(JSON.stringify(value));
/* What cannot be printed is shown as U+FFFD, as everywhere on the page. */
const shown = (text) => text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "\ufffd");
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const refOf = (entry) => `${entry.source}:${entry.label}`;
const LEFT_OUT = data.left_out;

/* The state: names in order, the parent of each part, and where each source label goes. */
const first = {
  unified: data.unified,
  parents: data.parents,
  entries: data.entries.map((entry) => ({ unified: entry.unified, locked: entry.locked })),
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
  let name = s.unified.includes(entry.label)
    ? refOf({ source: entry.label, label: entry.source }).replace(":", "@")
    : entry.label;
  while (s.unified.includes(name) || name === "O" || name === "") name += "+";
  return name;
};
const insertAfter = (s, place, name) =>
  s.unified.splice(place === null ? s.unified.length : s.unified.indexOf(place) + 1, 0, name);
const alone = (s, n) => {
  const name = freeName(s, data.entries[n]);
  insertAfter(s, s.entries[n].unified, name);
  s.entries[n] = { unified: name, locked: true };
};
const moveTo = (s, n, name) => {
  s.entries[n] = { unified: name, locked: true };
};
const detach = (s, name, above) => {
  if (ancestors(s, name).includes(above)) setParent(s, name, parentOf(s, above));
};
const join = (s, gone, kept) => {
  detach(s, kept, gone);
  for (const n of members(s, gone)) moveTo(s, n, kept);
  for (const part of children(s, gone)) if (part !== kept) setParent(s, part, kept);
};
const lock = (s, ...labels) => {
  for (const n of labels) s.entries[n].locked = true;
};

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

/* The tree cut to fewer labels: step by step the label takes in what is below it that costs the fewest mentions for
   each label saved, as LabelTree.cut_to does. */
const precedes = (one, other) => {
  const differs = one.findIndex((value, n) => value !== other[n]);
  return differs >= 0 && one[differs] < other[differs];
};
const cutTo = (limit) => {
  const counts = new Map(
    state.unified.filter((name) => members(state, name).length).map((name) => [name, mentions(state, name)]),
  );
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
      const [gone, count] = cost(label),
        saved = gone - (left().has(label) ? 0 : 1);
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
/* The file: YAML in which every text stands in double quotes, with escapes for what could be misread. */
const escaped = (char) => {
  if (char === '"' || char === "\\") return "\\" + char;
  const code = char.codePointAt(0).toString(16);
  return code.length > 4 ? "\\U" + code.padStart(8, "0") : "\\u" + code.padStart(4, "0");
};
const quote = (text) => '"' + text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|["\\]/gu, escaped) + '"';
const scalar = (value) => {
  if (typeof value === "string") return quote(value);
  if (value !== null && typeof value === "object") {
    const parts = Object.entries(value).map(([key, part]) => `${key}: ${scalar(part)}`);
    return `{${parts.join(", ")}}`;
  }
  return typeof value === "number" && /e/.test(String(value)) ? value.toFixed(6) : String(value);
};
const yaml = () => {
  const lines = [data.header, `version: ${data.version}`, `method: ${data.method}`];
  if (data.lambda !== null) lines.push(`lambda: ${scalar(data.lambda)}`);
  lines.push(
    state.unified.length ? "unified_labels:" : "unified_labels: []",
    ...state.unified.map((name) => `- ${quote(name)}`),
  );
  const parts = order(state).filter((name) => parentOf(state, name) !== null);
  if (parts.length) lines.push("parents:", ...parts.map((name) => `  ${quote(name)}: ${quote(parentOf(state, name))}`));
  lines.push(data.entries.length ? "labels:" : "labels: []");
  for (const name of [...state.unified, null]) {
    for (const n of members(state, name)) {
      const entry = data.entries[n];
      const { unified, locked } = state.entries[n];
      lines.push(
        `- source: ${quote(entry.source)}`,
        `  label: ${quote(entry.label)}`,
        `  unified: ${scalar(unified)}`,
        `  mentions: ${entry.mentions}`,
      );
      if (locked) lines.push("  locked: true");
      if (entry.definition) lines.push(`  definition: ${quote(entry.definition)}`);
      for (const [key, value] of Object.entries(entry.evidence)) lines.push(`  ${key}: ${scalar(value)}`);
    }
  }
  return `${lines.join("\n")}\n`;
};
