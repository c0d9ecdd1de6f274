// A table of scores: sorted, filtered, its intervals in one of three forms.
const FORMS = [["pm", "±", "Half of a 95 % interval"], ["range", "[ , ]", "The ends of a 95 % interval"],
  ["bars", "bars", "95 % intervals drawn, one scale a column"]];
const RISING = new Set(["rank", "time_to_target", "restricted_time", "kl"]);
const CURVE = { name: "curve", heading: "held-out curve", kind: "none", group: "", shown: true,
  says: ["Held-out curve: mean over seeds with a 95 % band over seeds, one scale for all rows; dotted: the target; "
    + "the dot: where it is reached, median over seeds."] };
const BAR = { width: 96, height: 14 };

function columnsOf(table) {
  const own = table.columns.filter((column) => column.name !== "algorithm");
  const all = sparkScale(table) ? [...own, CURVE] : own;
  const first = ["rank", `${table.metric}_final`, `${table.metric}_delta`, "lc_win_rate", "win_rate", "vs_reference",
    "vs_reference_wtl", "curve"];
  const place = (column) => (first.includes(column.name) ? first.indexOf(column.name) : first.length);
  return all.map((column, n) => [place(column), n, column]).sort((one, other) => one[0] - other[0] || one[1] - other[1])
    .map(([, , column]) => column);
}

function chosenColumns(table) {
  const all = columnsOf(table);
  const names = inList("cols");
  const found = all.filter((column) => names.includes(column.name));
  return found.length ? found : all.filter((column) => column.shown);
}

function entryOf(table, row, name) {
  return row.entries[table.columns.findIndex((column) => column.name === name)];
}

function sortValue(entry, kind) {
  if (!entry) return null;
  if (kind === "text") return entry.text;
  return entry.value === undefined ? null : finite(entry.value);
}

// What has no number comes last, whichever way; equal ones stay as they are.
function sorted(table, rows) {
  const name = state.sort.replace(/^-/, "");
  const falling = state.sort.startsWith("-");
  const column = [{ name: "algorithm", kind: "text" }, ...table.columns].reverse().find((one) => one.name === name);
  if (!column) return rows;
  const key = (row) => (name === "algorithm" ? row.label : sortValue(entryOf(table, row, name), column.kind));
  const places = rows.map((row, n) => [key(row), n, row]);
  places.sort(([one, n], [other, m]) => {
    if (one === null || other === null) return (one === null) - (other === null) || n - m;
    const order = typeof one === "string" ? collator.compare(one, other) : one < other ? -1 : one > other ? 1 : 0;
    return (falling ? -order : order) || n - m;
  });
  return places.map(([, , row]) => row);
}

function filtered(table) {
  const wanted = state.q.trim().toLowerCase();
  const least = Number(state.seeds || 0);
  return table.rows.filter((row) => (!wanted || row.label.toLowerCase().includes(wanted))
    && (row.seeds === undefined || row.seeds >= least)
    && (state.controls !== "0" || !row.control)
    && (state.own !== "1" || !row.submitted));
}

function nextSort(column) {
  const rises = column.kind === "text" || RISING.has(column.name);
  const order = rises ? [column.name, `-${column.name}`] : [`-${column.name}`, column.name];
  const at = order.indexOf(state.sort);
  return at === 1 ? "" : order[at + 1];
}

function headerCell(column) {
  const name = state.sort.replace(/^-/, "");
  const now = name !== column.name ? "none" : state.sort.startsWith("-") ? "descending" : "ascending";
  const arrow = { none: "", descending: " ↓", ascending: " ↑" }[now];
  const says = (column.says || []).join(" ");
  const text = [breakable(column.heading), el("span", { class: "arrow", "aria-hidden": "true" }, arrow)];
  const kind = column.kind === "text" || column.kind === "none" ? "words" : "";
  if (column.kind === "none") return el("th", { scope: "col", class: kind, title: says }, text);
  return el("th", { scope: "col", class: kind, "aria-sort": now },
    el("button", { id: `sort-${column.name}`, type: "button", title: says || "Sort by this column",
      onclick: () => go({ sort: nextSort(column) }) }, text));
}

// The ends of all intervals of a column: its bars share them.
function barScale(table, rows, name) {
  const found = rows.map((row) => entryOf(table, row, name)).filter((entry) => entry && entry.parts);
  if (!found.length) return null;
  const [low, high] = extent(found.flatMap((entry) => [finite(entry.low), finite(entry.high)]));
  return { x: scale(low, high, 4, BAR.width - 4), zero: low < 0 && high > 0 };
}

function bar(row, entry, { x, zero }) {
  const middle = BAR.height / 2;
  return draw("svg", { class: `bar ${look(row)}`, width: BAR.width, height: BAR.height, role: "img" },
    draw("title", {}, `${entry.parts[0]} [${entry.parts[1]}, ${entry.parts[2]}]`),
    zero && draw("line", { class: "nothing", x1: x(0), x2: x(0), y1: 0, y2: BAR.height }),
    draw("line", { class: "line", x1: x(finite(entry.low)), x2: x(finite(entry.high)), y1: middle, y2: middle }),
    draw("circle", { class: "point", cx: x(finite(entry.value)), cy: middle, r: 3.2 }));
}

function scoreCell(row, column, entry, bars) {
  if (!entry) return el("td", { class: column.kind === "text" ? "words" : "" }, column.kind === "text" ? "" : "–");
  const value = entry.value === undefined ? null : finite(entry.value);
  let text = entry.text || "";
  if (entry.parts && state.ci === "range") text = `${entry.parts[0]} [${entry.parts[1]}, ${entry.parts[2]}]`;
  if (entry.parts && state.ci === "bars") text = entry.parts[0];
  const mark = entry.mark && el("span", { class: "mark" }, /^[†‡]/.test(entry.mark) ? ` ${entry.mark}` : entry.mark);
  const body = [entry.bold ? el("b", {}, text) : text, mark];
  const tail = entry.parts && state.ci === "bars" && bars && bar(row, entry, bars);
  const test = entry.p_holm === undefined ? null : `${pText(entry.p_holm)} after Holm`;
  const kind = column.kind === "text" ? "words" : entry.value === undefined ? "none" : "";
  return el("td", { class: kind, "data-v": value, title: test },
    tail ? el("span", { class: "barred" }, el("span", {}, body), tail) : body);
}

// Rows of one rank have one shade, and the shade changes with the rank.
function shades(table, rows) {
  const ranks = rows.map((row) => { const entry = entryOf(table, row, "rank"); return entry ? entry.value : null; });
  const order = [...new Set(ranks.filter((rank) => rank !== null && rank !== undefined))].sort((a, b) => a - b);
  return ranks.map((rank) => (rank === null || rank === undefined ? "" : `tie${order.indexOf(rank) % 2}`));
}

function scoreTable(table, columns, rows) {
  const spark = columns.includes(CURVE) && sparkScale(table);
  const bars = new Map(state.ci === "bars" ? columns.map((one) => [one.name, barScale(table, rows, one.name)]) : []);
  const shade = shades(table, rows);
  const algorithm = { name: "algorithm", heading: "algorithm", kind: "text" };
  const places = new Map(table.columns.map((column, n) => [column.name, n]));
  return el("div", { class: "scroll tall", id: "scores", tabindex: "0", role: "region", "aria-label": table.title },
    el("table", { class: `scores ${table.kind}` },
      el("caption", { class: "unseen" }, table.title),
      el("thead", {}, el("tr", {}, headerCell(algorithm), columns.map((column) => headerCell(column)))),
      el("tbody", {}, rows.map((row, n) => el("tr", { class: `${shade[n]} ${row.control ? "control" : ""}` },
        el("th", { scope: "row", title: row.label }, el("span", { class: "who" }, table.kind !== "papers" && swatch(row), rowLabel(row)),
          row.control && badge("control"), row.submitted && handedIn(row)),
        columns.map((column) => (column === CURVE
          ? el("td", { class: "words" }, sparkline(table, row, spark))
          : scoreCell(row, column, row.entries[places.get(column.name)], bars.get(column.name)))))),
        rows.length === 0 && el("tr", {}, el("td", { class: "words", colspan: columns.length + 1 }, "No row passes the filter."))
      )));
}
