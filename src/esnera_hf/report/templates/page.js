/* The controls of the page: labels, picture and numbers follow the state. Names from outside become text only. */
const byId = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const status = byId("status");
const say = (text) => {
  status.textContent = shown(text);
};
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
    state.unified.forEach((name, n) => {
      if (name !== current && allowed(name)) select.append(item(name, `u${n}`));
    });
  };
  ["focus", "pointerdown", "keydown"].forEach((event) => select.addEventListener(event, fill));
  select.addEventListener("change", () => {
    if (select.value !== "now")
      act(select.value, select.value[0] === "u" ? state.unified[Number(select.value.slice(1))] : null);
  });
  return select;
};
const rows = [...document.querySelectorAll("[data-row]")].sort((a, b) => a.dataset.row - b.dataset.row);
const labelControls = (n) => {
  const { unified, locked } = state.entries[n];
  const name = refOf(data.entries[n]);
  const choices = [
    ["a label of its own", "new"],
    ["left out", "out"],
  ];
  const goes = menu(
    `${name} goes to`,
    unified === null ? LEFT_OUT : unified,
    choices,
    (value, chosen) => {
      if (value === "new") change(`${name} is a label of its own`, (s) => alone(s, n));
      else if (value === "out") change(`${name} is left out`, (s) => moveTo(s, n, null));
      else change(`${name} goes to ${chosen}`, (s) => moveTo(s, n, chosen));
    },
    () => true,
  );
  const box = make("input", { type: "checkbox", "aria-label": shown(`keep ${name} so when aligned again`) });
  box.checked = locked;
  box.addEventListener("change", () =>
    change(`${name} is ${box.checked ? "locked" : "unlocked"}`, (s) => {
      s.entries[n].locked = box.checked;
    }),
  );
  return [make("label", {}, "goes to ", goes), make("label", {}, box, " lock")];
};
const groupControls = (name) => {
  const field = make("input", { type: "text", "aria-label": shown(`name of ${name}`) });
  field.value = shown(name);
  field.addEventListener("change", () => {
    const wanted = field.value.trim();
    if (wanted === shown(name)) return;
    if (wanted === "" || wanted === "O") {
      field.value = shown(name);
      say("A name is not empty and not O, which means outside.");
      return;
    }
    change(state.unified.includes(wanted) ? `${name} joined ${wanted}` : `${name} is now called ${wanted}`, (s) =>
      rename(s, name, wanted),
    );
  });
  const now = parentOf(state, name);
  const within = menu(
    `${name} is a part of`,
    now === null ? "nothing" : now,
    now === null ? [] : [["nothing", "none"]],
    (_, chosen) => {
      change(chosen === null ? `${name} is a part of nothing` : `${name} is a part of ${chosen}`, (s) => {
        if (chosen !== null) detach(s, chosen, name);
        setParent(s, name, chosen);
        lock(s, ...members(s, name));
      });
    },
    (other) => other !== name,
  );
  const out = make("button", { type: "button" }, "leave out");
  out.setAttribute("aria-label", shown(`leave out ${name}`));
  out.addEventListener("click", () =>
    change(`${name} is left out`, (s) => {
      for (const n of members(s, name)) moveTo(s, n, null);
    }),
  );
  return [
    make("label", {}, "name ", field),
    make("label", {}, "part of ", within),
    ...(members(state, name).length ? [out] : []),
  ];
};
const rename = (s, name, wanted) => {
  if (s.unified.includes(wanted)) {
    join(s, name, wanted);
    return;
  }
  const parent = parentOf(s, name),
    parts = children(s, name);
  s.unified[s.unified.indexOf(name)] = wanted;
  setParent(s, name, null);
  setParent(s, wanted, parent);
  for (const part of parts) setParent(s, part, wanted);
  for (const n of members(s, name)) moveTo(s, n, wanted);
};

const renderGroups = () => {
  const open = byId("merged"),
    folded = byId("alone");
  /* Emptied after the rows were taken out: they keep what is open in them. */
  rows.forEach((row) => row.remove());
  open.replaceChildren();
  folded.replaceChildren();
  const count = { merged: 0, part: 0, umbrella: 0, alone: 0, out: 0 };
  for (const name of [...order(state), null]) {
    const own = members(state, name),
      above = name === null ? [] : ancestors(state, name);
    if (name === null && !own.length) continue;
    const parts = name === null ? [] : children(state, name);
    const single = own.length < 2 && !parts.length && !above.length && name !== null;
    const title = make("h3");
    for (const whole of above.reverse())
      title.append(make("span", { class: "note" }, make("bdi", {}, shown(whole)), " › "));
    title.append(make("bdi", {}, shown(name === null ? LEFT_OUT : name)), " ");
    const number = own.length
      ? `${counted(own.length, "label")}, ${counted(mentions(state, name), "mention")}`
      : "its parts only";
    title.append(make("span", { class: "note" }, number));
    const group = make("section", { class: name === null ? "group out" : "group" }, title);
    if (name !== null) group.append(make("div", { class: "controls" }, ...groupControls(name)));
    own.forEach((n) => {
      rows[n].querySelector(".controls").replaceChildren(...labelControls(n));
      group.append(rows[n]);
    });
    (single ? folded : open).append(group);
    count.merged += own.length > 1 && name !== null ? 1 : 0;
    const real = above.some((whole) => members(state, whole).length);
    count.part += real && own.length ? 1 : 0;
    count.umbrella += above.length && !real && own.length ? 1 : 0;
    count.alone += single ? 1 : 0;
    count.out += name === null ? own.length : 0;
  }
  const names = state.unified.filter((name) => members(state, name).length).length;
  for (const [name, value] of Object.entries({ ...count, unified: names })) {
    document.querySelectorAll(`[data-count="${name}"]`).forEach((place) => {
      place.textContent = value.toLocaleString("en");
    });
  }
};

const questions = [...document.querySelectorAll("[data-one]")].map((article) => {
  const [one, other] = [Number(article.dataset.one), Number(article.dataset.other)];
  /* A click on what is chosen already confirms it. */
  const radios = [...article.querySelectorAll("input[type=radio]")];
  radios.forEach((radio) =>
    radio.addEventListener("click", () => {
      const [a, b] = [refOf(data.entries[one]), refOf(data.entries[other])];
      const said = {
        one: `${a} and ${b} are one`,
        part: `${a} is a part of ${b}`,
        whole: `${b} is a part of ${a}`,
        apart: `${a} and ${b} are apart`,
      };
      change(said[radio.value], (s) => {
        answers[radio.value](s, one, other);
        lock(s, one, other);
      });
    }),
  );
  return { article, one, other, radios };
});
const renderQuestions = () => {
  let waiting = 0;
  for (const { article, one, other, radios } of questions) {
    const now = decision(state, one, other);
    radios.forEach((radio) => {
      radio.checked = radio.value === now;
    });
    const answered = [one, other].every((n) => state.entries[n].locked && !data.entries[n].locked);
    article.classList.toggle("answered", answered);
    waiting += answered ? 0 : 1;
  }
  document.querySelectorAll('[data-count="check"]').forEach((place) => {
    place.textContent = waiting.toLocaleString("en");
  });
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
  const told = fine
    ? `${counted(cut.left, "label")}, the finest`
    : `${counted(cut.left, "label")}; ${counted(cut.lost, "mention")} ` +
      (cut.lost === 1 ? "loses its finer label" : "lose their finer label");
  byId("grain-said").textContent = fine ? told : `${told} (esnera-hf export … --labels ${cut.left})`;
  slider.setAttribute("aria-valuetext", told);
  draw(cut.names);
};

let saved = state;
const save = async () => {
  const text = yaml();
  if (data.served) {
    const answer = await fetch("mapping", {
      method: "POST",
      headers: { "Content-Type": "application/yaml" },
      body: text,
    });
    say(await answer.text());
    if (!answer.ok) return;
  } else {
    const link = make("a", {
      download: "mapping.yaml",
      href: URL.createObjectURL(new Blob([text], { type: "application/yaml" })),
    });
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
  byId("changes").textContent = counted(changes, "change");
  byId("undo").disabled = byId("restart").disabled = !changes;
};
byId("undo").addEventListener("click", () => {
  state = before.pop();
  render();
  say("The last change was taken back.");
});
byId("restart").addEventListener("click", () =>
  change("As it was aligned; Undo brings your changes back.", (s) => Object.assign(s, clone(first))),
);
byId("save").addEventListener("click", () => {
  save().catch((error) => say(`Not saved: ${error.message}. Is esnera-hf review still running?`));
});
slider.addEventListener("input", renderGrain);
narrow.addEventListener("change", renderGrain);
addEventListener("beforeunload", (event) => {
  if (state !== saved) event.preventDefault();
});
document.body.classList.add("live");
document.querySelectorAll("[data-live]").forEach((element) => {
  element.hidden = false;
});
render();
