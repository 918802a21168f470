/* The picture. On a narrow screen all sources stand on the left. */
const narrow = matchMedia("(max-width: 640px)");
const svg = (tag, attributes, text) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
const widthOf = (char) =>
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|[\u{20000}-\u{3fffd}]/u.test(char)
    ? 2
    : 1;
const fitted = (text, room) => {
  let taken = 0,
    kept = "";
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
  const rowHeight = 24,
    edge = 10;
  const shownAs = (n) => (state.entries[n].unified === null ? null : names.get(state.entries[n].unified));
  const kept = new Set(data.entries.map((_, n) => shownAs(n)));
  const inTree = (name) =>
    kept.has(name) || [...kept].some((other) => other !== null && ancestors(state, other).includes(name));
  const unified = order(state).filter((name) => names.get(name) === name && inTree(name));
  if (kept.has(null)) unified.push(null);
  const place = new Map(unified.map((name, n) => [name, n]));
  const bySource = new Map();
  data.entries.forEach((entry, n) => bySource.set(entry.source, [...(bySource.get(entry.source) || []), n]));
  const sources = [...bySource].map(([source, ns]) => [
    source,
    ns.sort((a, b) => place.get(shownAs(a)) - place.get(shownAs(b))),
  ]);
  const height = (side) => side.reduce((sum, [, ns]) => sum + 1.5 + ns.length, 0);
  let cut = sources.length;
  if (!slim)
    for (let n = 1; n <= sources.length; n++)
      if (
        Math.max(height(sources.slice(0, n)), height(sources.slice(n))) <
        Math.max(height(sources.slice(0, cut)), height(sources.slice(cut)))
      )
        cut = n;
  const sides = [sources.slice(0, cut), sources.slice(cut)];
  const total = Math.max(unified.length, ...sides.map(height));
  const depth = (name) => (name === null ? 0 : Math.min(ancestors(state, name).length, 3));
  const left = edge + text + bands,
    right = left + pill + 16 * Math.max(0, ...unified.map(depth));
  const step = rowHeight * Math.min(total / Math.max(unified.length, 1), 1.5);
  const top = edge + (rowHeight * total - step * (unified.length - 1)) / 2;
  const at = new Map(unified.map((name, n) => [name, [left + 16 * depth(name), top + step * n]]));
  const roots = state.unified.filter((name) => parentOf(state, name) === null);
  const color = (name) =>
    name === null
      ? "hsl(0 0% 50%)"
      : `hsl(${(roots.indexOf([name, ...ancestors(state, name)].pop()) * 137.5) % 360} 60% 50%)`;
  const most = Math.max(1, ...data.entries.map((entry) => entry.mentions));
  const width = right + (sides[1].length ? bands + text : 0) + edge,
    tall = edge * 2 + rowHeight * total;
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${tall}`,
    width,
    height: tall,
    role: "img",
    "aria-label": `${counted(data.entries.length, "source label")} flow into ${counted(unified.length, "label")}`,
    "font-size": 13,
  });
  const write = (x, y, said, anchor, weight = "normal") =>
    picture.append(
      svg(
        "text",
        {
          x,
          y: y + 4.5,
          "text-anchor": anchor,
          "font-weight": weight,
          fill: "currentColor",
          direction: "ltr",
          "unicode-bidi": "isolate",
        },
        fitted(said, weight === "bold" ? room - 2 : room),
      ),
    );
  sides.forEach((side, which) => {
    const anchor = which ? "start" : "end",
      x = which ? right + bands : left - bands,
      gap = which ? 8 : -8;
    let y = edge + (rowHeight * (total - height(side) + 1.5)) / 2;
    for (const [source, ns] of side) {
      write(x + gap, y, source, anchor, "bold");
      for (const n of ns) {
        y += rowHeight;
        const name = shownAs(n),
          [gx, gy] = at.get(name),
          goal = which ? right - 4 : gx + 4,
          half = (x + goal) / 2;
        const band = svg("path", {
          d: `M${x} ${y}C${half} ${y} ${half} ${gy} ${goal} ${gy}`,
          fill: "none",
          stroke: color(name),
          "stroke-opacity": 0.5,
          "stroke-width": 2 + 13 * Math.sqrt(data.entries[n].mentions / most),
        });
        band.append(
          svg(
            "title",
            {},
            shown(
              `${refOf(data.entries[n])} → ${name === null ? LEFT_OUT : name}, ` +
                counted(data.entries[n].mentions, "mention"),
            ),
          ),
        );
        picture.append(band);
        write(x + gap, y, data.entries[n].label, anchor);
      }
      y += rowHeight * 1.5;
    }
  });
  for (const [name, [x, y]] of at) {
    const whole = name === null ? null : parentOf(state, name);
    if (whole !== null && at.has(whole))
      picture.append(
        svg("path", {
          d: `M${at.get(whole)[0] + 8} ${at.get(whole)[1] + 10}V${y}H${x}`,
          fill: "none",
          stroke: "currentColor",
          "stroke-opacity": 0.5,
        }),
      );
    picture.append(svg("rect", { x, y: y - 10, width: right - x, height: 20, rx: 10, fill: "Canvas" }));
    picture.append(
      svg("rect", {
        x,
        y: y - 10,
        width: right - x,
        height: 20,
        rx: 10,
        fill: color(name),
        "fill-opacity": 0.18,
        stroke: color(name),
        ...(name === null ? { "stroke-dasharray": "4 3" } : {}),
      }),
    );
    write((x + right) / 2, y, name === null ? LEFT_OUT : name, "middle");
  }
  byId("flow").replaceChildren(picture);
};
