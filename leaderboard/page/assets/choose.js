// What a reader chooses: the table, its rows and its columns.
const FACETS = [["task", "Task"], ["model", "Model"], ["judge", "Judge"], ["benchmark", "Benchmark"],
  ["paper", "Paper"], ["scale", "Scale"]];
const TABLES = [...DATA.papers, ...DATA.tables, ...DATA.judged, ...DATA.across, ...DATA.apart];

function tablesOf(tab) {
  if (tab === "convergence" || tab === "compare") return DATA.tables;
  return TABLES.filter((table) => table.kind === tab);
}

function tableNow() {
  const there = tablesOf(state.tab);
  return there.find((table) => table.slug === state.table) || there[0];
}

function chips(id, name, values, now, pick, words = (value) => value, list = values.length > 8) {
  if (list) {
    return el("label", { class: "facet" }, el("span", {}, name),
      el("select", { id, onchange: (event) => pick(event.target.value) }, values.map((value) =>
        el("option", { value, selected: value === now }, words(value)))));
  }
  return el("div", { class: "facet", role: "group", "aria-label": name }, el("span", {}, name),
    values.map((value, n) => el("button", {
      id: `${id}-${n}`, type: "button", class: "chip", "aria-pressed": String(value === now), onclick: () => pick(value),
    }, words(value))));
}

function moveTo(table) {
  const cleared = Object.fromEntries(OF_A_TABLE.map((key) => [key, DEFAULTS[key]]));
  go({ ...cleared, table: table.slug }, false);
}

// One row of chips for each property in which the tables differ; the nearest table with the chosen value is shown.
function picker(table) {
  const there = tablesOf(state.tab);
  if (there.length < 2) return null;
  const splits = new Set(); // two properties that part the tables alike are one choice
  const fields = FACETS.filter(([field]) => {
    const values = there.map((one) => one[field] || "none");
    const split = values.map((value) => values.indexOf(value)).join();
    const news = new Set(values).size > 1 && !splits.has(split);
    splits.add(split);
    return news;
  });
  const likeness = (one) => fields.filter(([field]) => one[field] === table[field]).length;
  const made = fields.map(([field, name]) => chips(`pick-${field}`, name, [...new Set(there.map((one) => one[field] || "none"))],
    table[field] || "none", (value) => {
      const found = there.filter((one) => (one[field] || "none") === value);
      moveTo(found.reduce((best, one) => (likeness(one) > likeness(best) ? one : best)));
    }));
  const twins = there.filter((one) => likeness(one) === fields.length);
  if (twins.length > 1) {
    const long = table.kind === "papers"; // titles, which would be lines of chips
    const title = (slug) => (long ? twins.find((one) => one.slug === slug).title : slug);
    made.push(chips("pick-table", "Table", twins.map((one) => one.slug), table.slug,
      (slug) => moveTo(twins.find((one) => one.slug === slug)), title, long || undefined));
  }
  return el("div", { class: "facets" }, made);
}

function search(id, what) {
  return el("input", { id, type: "search", value: state.q, placeholder: `Filter ${what}`, "aria-label": `Filter ${what}`,
    autocomplete: "off", spellcheck: "false", oninput: (event) => go({ q: event.target.value, page: "" }) });
}

function rowFilters(table) {
  const seeds = [...new Set(table.rows.map((row) => row.seeds))].filter((count) => count !== undefined).sort((a, b) => a - b);
  const made = [];
  if (seeds.length > 1) {
    made.push(chips("seeds", "Seeds ≥", ["", ...seeds.filter((count) => count > 0).map(String)], state.seeds,
      (value) => go({ seeds: value }), (value) => value || "any"));
  }
  if (table.rows.some((row) => row.control)) {
    made.push(toggle("controls", "Control arms", state.controls !== "0", (on) => go({ controls: on ? "" : "0" })));
  }
  if (table.rows.some((row) => row.submitted)) {
    made.push(toggle("own", "Own runs only", state.own === "1", (on) => go({ own: on ? "1" : "" })));
  }
  return made;
}

function toggle(id, text, on, change) {
  return el("button", { id, type: "button", class: "chip", "aria-pressed": String(on), onclick: () => change(!on) }, text);
}

function forms() {
  return el("div", { class: "segments", role: "group", "aria-label": "Intervals" }, FORMS.map(([name, text, title]) =>
    el("button", { id: `ci-${name}`, type: "button", title, "aria-pressed": String(state.ci === name),
      onclick: () => go({ ci: name }) }, text)));
}

function chooser(table) {
  const all = columnsOf(table);
  const now = new Set(chosenColumns(table).map((column) => column.name));
  const usual = all.filter((column) => column.shown).map((column) => column.name).join(",");
  const set = (names) => {
    const cols = all.filter((column) => names.has(column.name)).map((column) => column.name).join(",");
    go({ cols: cols === usual ? "" : cols });
  };
  const box = (column) => el("label", { title: (column.says || []).join(" ") },
    el("input", { id: `column-${column.name}`, type: "checkbox", checked: now.has(column.name), onchange: (event) => {
      const names = new Set(now);
      if (event.target.checked) names.add(column.name); else names.delete(column.name);
      set(names);
    } }), column.heading);
  const groupOf = (column) => (column === CURVE ? all[0].group : column.group);
  const groups = [...new Set(all.map(groupOf))];
  return el("details", { id: "columns", class: "menu" },
    el("summary", {}, `Columns ${now.size} of ${all.length}`),
    el("div", { class: "sheet" },
      el("div", { class: "bar-of-buttons" },
        el("button", { id: "columns-usual", type: "button", onclick: () => go({ cols: "" }) }, "Usual"),
        el("button", { id: "columns-all", type: "button", onclick: () => set(new Set(all.map((one) => one.name))) }, "All")),
      groups.map((group) => el("fieldset", {}, el("legend", {}, group),
        all.filter((column) => groupOf(column) === group).map(box)))));
}
