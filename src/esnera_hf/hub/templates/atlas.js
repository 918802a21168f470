"use strict";
(() => {
  const model = JSON.parse(document.getElementById("model").textContent);
  const said = document.getElementById("said");
  const search = document.getElementById("search");
  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  const below = new Map();
  model.labels.forEach((label, number) => {
    label.number = number;
    if (!below.has(label.parent)) below.set(label.parent, []);
    below.get(label.parent).push(label);
  });

  const table = (members) => {
    const made = element("table");
    for (const member of members) {
      const row = made.appendChild(element("tr"));
      for (const [text, kind] of [
        [member.corpus], [member.label], [member.mentions.toLocaleString("en"), "n"], [member.license],
        [member.definition],
      ]) {
        row.appendChild(element("td")).append(element("bdi", text));
        if (kind) row.lastChild.className = kind;
      }
    }
    return made;
  };

  /* Each label with its element and all that can be searched for. */
  const drawn = [];
  const draw = (label, place) => {
    const item = place.appendChild(element("li"));
    const details = item.appendChild(element("details"));
    const summary = details.appendChild(element("summary"));
    summary.appendChild(element("b")).append(element("bdi", label.name));
    const children = below.get(label.number) || [];
    const corpora = [...new Set(label.members.map((member) => member.corpus))];
    const mentions = label.members.reduce((sum, member) => sum + member.mentions, 0);
    const counted = corpora.length === 1 ? corpora[0] : `${corpora.length} corpora`;
    summary.append(element("span", corpora.length
      ? `${counted}, ${mentions.toLocaleString("en")} mentions` : `${children.length} parts`, "corpora"));
    details.append(table(label.members));
    const parts = details.appendChild(element("ul"));
    const entry = { item, details, words: [label.name, ...label.members.flatMap((member) =>
      [member.corpus, member.label, member.license, member.definition])].join("\n").toLowerCase(), parts: [] };
    drawn.push(entry);
    entry.parts = children.map((child) => draw(child, parts));
    return entry;
  };

  const tree = document.getElementById("tree");
  const roots = (below.get(null) || []).map((label) => draw(label, tree));

  /* A label is shown where it, or a part of it, holds what is searched for; parts of what does, too. */
  const show = (entry, words, inside) => {
    const own = inside || words.every((word) => entry.words.includes(word));
    const parts = entry.parts.map((part) => show(part, words, own));
    entry.item.hidden = !(own || parts.includes(true));
    entry.details.open = words.length > 0 && !entry.item.hidden;
    return !entry.item.hidden;
  };
  const update = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    roots.forEach((root) => show(root, words, words.length === 0));
    const shown = drawn.filter((entry) => !entry.item.hidden).length;
    said.textContent = `${model.corpora} corpora, ${model.labels.length} labels of the tree; ${shown} shown`;
  };
  search.addEventListener("input", update);
  update();
})();
