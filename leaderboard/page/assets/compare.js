// Two rows side by side: the paired difference, their curves, and the items on which they differ.
const LISTED = 25;

function pairNow(table, mode) {
  const rows = table.rows;
  const a = rows.find((row) => row.hash === state.a) || rows[0];
  const other = rows.find((row) => row.hash === table.reference && row !== a) || rows.find((row) => row !== a);
  const b = rows.find((row) => row.hash === state.b && row !== a) || other;
  return [a, b, b && pairIndex(table.pairs[mode]).get(pairKey(a.hash, b.hash))];
}

function rowSelect(id, name, table, now, pick) {
  return el("label", { class: "facet wide" }, el("span", {}, name),
    el("select", { id, onchange: (event) => pick(event.target.value) }, table.rows.map((row) =>
      el("option", { value: row.hash, selected: row === now }, row.label))));
}

function compareView() {
  const table = tableNow();
  const modes = modesOf(table);
  const mode = modes.includes(state.mode) ? state.mode : modes[0];
  const [a, b, pair] = pairNow(table, mode);
  if (!b) return [picker(table), head(table, "There is one row: nothing to compare it with.")];
  return [
    picker(table),
    el("div", { class: "head" }, el("h2", {}, table.title)),
    el("div", { class: "tools" },
      rowSelect("a", "A", table, a, (value) => go({ a: value, b: value === b.hash ? a.hash : b.hash, page: "", example: "" })),
      el("button", { id: "swap", type: "button", class: "chip", onclick: () => go({ a: b.hash, b: a.hash, page: "" }) }, "⇄ swap"),
      rowSelect("b", "B", table, b, (value) => go({ a: value === a.hash ? b.hash : a.hash, b: value, page: "", example: "" })),
      modes.length > 1 && chips("mode", "Decoding", modes, mode, (value) => go({ mode: value === table.metric ? "" : value, page: "" }))),
    verdict(table, mode, a, b, pair),
    el("div", { class: "two" }, seedTable(table, a, b, pair), together(table, mode, a, b)),
    differing(table, mode, a, b),
  ];
}

function verdict(table, mode, a, b, pair) {
  const what = `final ${mode} ${table.measure} on held-out items`;
  if (!pair || !pair.entry) return el("p", { class: "summary" }, `The two share no finished seed in ${mode} decoding.`);
  const { entry } = pair;
  if (entry.value === undefined) return el("p", { class: "summary" }, "The two were evaluated on other items: not compared.");
  const points = table.measure === "accuracy" ? " points" : "";
  const tested = entry.p_holm !== undefined;
  const told = tested && entry.p_holm < 0.05;
  const sign = !tested ? "no test" : told ? (entry.value > 0 ? "A above B" : "B above A") : "not separated";
  const seeds = Object.keys(pair.by_seed || {}).length;
  return el("div", { class: "verdict" },
    badge(sign, told ? (entry.value > 0 ? "good" : "bad") : ""),
    el("span", { class: "big" }, `${marked(entry)}${points}`),
    el("span", { class: "quiet" }, `A − B, ${what}; paired over ${plural(seeds, "seed")} and all items, ± half of a 95 % interval`
      + (tested ? `; ${pText(entry.p_holm)} after Holm over all pairs` : "; untested: one seed, or no spread") + "."));
}

function seedTable(table, a, b, pair) {
  const kind = table.measure === "accuracy" ? "points" : "";
  const rows = Object.entries((pair && pair.by_seed) || {}).map(([seed, value]) => [seed, `${value > 0 ? "+" : ""}${shown(value, kind)}`]);
  const columns = chosenColumns(table).filter((column) => column !== CURVE && column.name !== "rank");
  const side = columns.map((column) => [column.heading,
    ...[a, b].map((row) => marked(entryOf(table, row, column.name)))]);
  return el("div", {},
    el("h3", {}, "Side by side"),
    plainTable("Side by side", ["", "A", "B"], side),
    rows.length > 1 && [el("h3", {}, "A − B by seed"), plainTable("A minus B by seed", ["seed", "A − B"], rows)]);
}

function together(table, mode, a, b) {
  const panel = table.curves.panels.find((one) => one.name === mode);
  if (!panel) return null;
  const axis = axisNow(table);
  const width = chartWidth() > 900 ? Math.floor(chartWidth() * 0.55) : chartWidth();
  return el("div", {}, el("h3", {}, "Their curves"),
    lineChart(table, panel, [a, b].filter((row) => panel.rows[row.hash]), axis, width),
    el("ul", { class: "legend flat" }, [["A", a], ["B", b]].map(([name, row]) =>
      el("li", {}, swatch(row), el("b", {}, `${name} `), rowLabel(row)))));
}

function worth(kept, n) {
  return kept.right ? kept.right[n] / kept.n : kept.mean[n];
}

function worthText(kept, n) {
  return kept.right ? `${kept.right[n]}/${kept.n}` : shown(kept.mean[n], "");
}

function differing(table, mode, a, b) {
  const items = table.items[mode];
  const [mine, theirs] = [a, b].map((row) => items && items.rows[row.hash]);
  if (!mine || !theirs) {
    return el("section", {}, el("h3", {}, "Where they differ"), el("p", { class: "quiet" },
      "Item by item there is nothing here: items were not recorded, not the same, or too many for one page."));
  }
  const every = items.ids.map((id, n) => ({ id, n, by: worth(mine, n) - worth(theirs, n) })).filter((item) => item.by !== 0);
  const sides = [
    ["A better", every.filter((item) => item.by > 0)], ["B better", every.filter((item) => item.by < 0)]];
  for (const [, side] of sides) side.sort((one, other) => Math.abs(other.by) - Math.abs(one.by) || collator.compare(one.id, other.id));
  const same = items.ids.length - every.length;
  const counted = mine.right ? "Right answers of all samples and seeds." : "Mean rewards over samples and seeds.";
  return el("section", {},
    el("h3", {}, "Where they differ"),
    el("p", { class: "quiet" }, `${plural(sides[0][1].length, "item")} on which A does better, ${sides[1][1].length} on which B does, `
      + `${same} alike, of ${items.ids.length}. ${counted} Single items are mostly noise: read them for what, not for how much.`),
    el("div", { class: "two even" }, sides.map(([name, side], n) => itemList(table, mode, name, side, mine, theirs, n, a, b))));
}

function itemList(table, mode, name, side, mine, theirs, number, a, b) {
  const pages = inList("page").map(Number);
  const at = Math.min(pages[number] || 0, Math.max(0, Math.ceil(side.length / LISTED) - 1));
  const move = (to) => { const next = [pages[0] || 0, pages[1] || 0]; next[number] = to; go({ page: next.join(",") }); };
  const texts = table.texts && table.texts.mode === mode ? table.texts : null;
  return el("div", {},
    el("h4", {}, `${name} (${side.length})`),
    el("table", { class: "plain items" },
      el("thead", {}, el("tr", {}, ["item", "A", "B"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, side.slice(at * LISTED, (at + 1) * LISTED).map((item) => {
        const told = texts && item.id in texts.prompts;
        const open = state.example === item.id;
        const id = told ? el("button", { id: `item-${number}-${item.n}`, type: "button", class: "link", "aria-expanded": String(open),
          onclick: () => go({ example: open ? "" : item.id }) }, clipped(item.id, 60)) : clipped(item.id, 60);
        const line = el("tr", {}, el("th", { scope: "row" }, id), el("td", {}, worthText(mine, item.n)), el("td", {}, worthText(theirs, item.n)));
        return open && told ? [line, el("tr", {}, el("td", { colspan: 3, class: "words" }, example(texts, item.id, a, b)))] : line;
      }), side.length === 0 && el("tr", {}, el("td", { colspan: 3, class: "words quiet" }, "none")))),
    side.length > LISTED && pager(`items-${number}`, at, Math.ceil(side.length / LISTED), move));
}

function example(texts, id, a, b) {
  const one = (name, row) => {
    const said = (texts.rows[row.hash] || {})[id];
    if (!said) return el("div", {}, el("b", {}, name), el("p", { class: "quiet" }, "no text recorded"));
    const [text, value] = said;
    const graded = value === null ? "" : value === 1 ? "✓ right" : value === 0 ? "✗ wrong" : `reward ${value}`;
    return el("div", {}, el("b", {}, `${name}: ${row.label} `), el("span", { class: "quiet" }, graded), el("pre", {}, text));
  };
  return el("div", { class: "example" },
    el("b", {}, "Prompt"), el("pre", {}, texts.prompts[id] || ""),
    texts.answers[id] !== undefined && [el("b", {}, "Answer"), el("pre", {}, texts.answers[id])],
    el("div", { class: "two even" }, one("A", a), one("B", b)));
}

function pager(id, at, count, move) {
  return el("div", { class: "pager" },
    el("button", { id: `${id}-back`, type: "button", class: "chip", disabled: at === 0, onclick: () => move(at - 1) }, "← back"),
    el("span", { class: "quiet" }, `${at + 1} of ${count}`),
    el("button", { id: `${id}-on`, type: "button", class: "chip", disabled: at + 1 >= count, onclick: () => move(at + 1) }, "on →"));
}
