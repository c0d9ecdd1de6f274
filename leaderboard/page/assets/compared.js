// Rows against one another: the forest of differences from one, and the matrix of all pairs.

// `lines`: {row, entry}; nothing is drawn for an entry without an interval but its value.
function forest(name, lines, nothing, axisName, kind, width) {
  const drawn = lines.filter((line) => line.entry && line.entry.value !== undefined);
  if (!drawn.length) return null;
  const narrow = width < 620;
  const step = narrow ? 44 : 30;
  const left = narrow ? 10 : Math.min(300, width * 0.36);
  const right = width - (narrow ? 10 : 150);
  const height = 12 + step * drawn.length + 40;
  const ends = drawn.flatMap(({ entry }) => [entry.value, entry.low, entry.high].filter((one) => one !== undefined));
  let [low, high] = extent([...ends.map(finite), nothing]);
  const room = 0.06 * (high - low || 0.1);
  [low, high] = [low - room, high + room];
  const x = scale(low, high, left, right);
  const bottom = height - 38;
  const every = ticks(low, high, narrow ? 4 : 6);
  const svg = draw("svg", { class: "chart forest", viewBox: `0 0 ${width} ${height}`, width, height },
    every.map((tick) => draw("g", {},
      draw("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 6, y2: bottom }),
      draw("text", { class: "tick", x: x(tick), y: bottom + 16, "text-anchor": "middle" }, tickText(tick, kind, every)))),
    draw("line", { class: "nothing", x1: x(nothing), x2: x(nothing), y1: 6, y2: bottom }),
    draw("text", { class: "name", x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, axisName),
    drawn.map(({ row, entry }, n) => {
      const y = 12 + step * n + (narrow ? 30 : step / 2);
      const [value, from, to] = [entry.value, entry.low, entry.high].map(finite);
      const said = marked(entry);
      const labelAt = narrow ? { x: left, y: y - 14 } : { x: left - 12, y: y + 4, "text-anchor": "end" };
      const textAt = narrow ? { x: right, y: y - 14, "text-anchor": "end" } : { x: right + 12, y: y + 4 };
      return draw("g", { class: look(row) },
        draw("title", {}, `${row.label}: ${said}`),
        draw("text", { class: "row", ...labelAt }, clippedName(row, (narrow ? width - 150 : left - 16) / 7.4)),
        from !== undefined && draw("line", { class: "line whisker", x1: x(from), x2: x(to), y1: y, y2: y }),
        draw("circle", { class: "point", cx: x(value), cy: y, r: 4.5 }),
        draw("text", { class: "value", ...textAt }, said));
    }));
  const head = ["row", axisName, "low", "high", "p after Holm"];
  const body = () => drawn.map(({ row, entry }) => [
    row.label, marked(entry), shown(finite(entry.low), kind), shown(finite(entry.high), kind),
    entry.p_holm === undefined ? "–" : pText(entry.p_holm)]);
  return figure(name, `${axisName}, with 95 % intervals; the thick line is no difference.`, svg, head, body);
}

const pairKey = (a, b) => JSON.stringify([a, b]); // a label may hold any separator

function pairIndex(pairs) {
  const found = new Map();
  for (const pair of pairs || []) {
    found.set(pairKey(pair.a, pair.b), pair);
    const seeds = pair.by_seed && Object.fromEntries(Object.entries(pair.by_seed).map(([seed, value]) => [seed, -value]));
    found.set(pairKey(pair.b, pair.a), { ...pair, a: pair.b, b: pair.a, entry: negated(pair.entry), by_seed: seeds });
  }
  return found;
}

// Row minus column. Colour only where the test separates the two: elsewhere there is nothing to see.
function matrix(name, rows, pairs, toCompare) {
  const index = pairIndex(pairs);
  const there = rows.filter((row) => rows.some((other) => index.has(pairKey(row.hash, other.hash))));
  if (there.length < 2) return null;
  const cell = (row, other) => {
    if (row === other) return el("td", { class: "self" }, "");
    const pair = index.get(pairKey(row.hash, other.hash));
    if (!pair || !pair.entry) return el("td", {}, "–");
    const { entry } = pair;
    const told = entry.p_holm !== undefined && entry.p_holm < 0.05;
    const tone = told ? (entry.value > 0 ? "better" : "worse") : "";
    const holm = entry.p_holm === undefined ? "not tested" : `${pText(entry.p_holm)} after Holm`;
    const text = marked({ ...entry, text: entry.text.split(/ ± | \[/)[0] });
    const title = `${row.label} minus ${other.label}: ${marked(entry)}, ${holm}`;
    if (!toCompare) return el("td", { class: tone, title }, text);
    return el("td", { class: tone, title }, el("a", { href: toCompare(row, other) }, text));
  };
  return el("div", { class: "scroll", id: "matrix", tabindex: "0", role: "region", "aria-label": name },
    el("table", { class: "matrix", "aria-label": name },
      el("thead", {}, el("tr", {}, el("th", {}, "row − column"), there.map((row) =>
        el("th", { scope: "col", title: row.label }, swatch(row), clippedName(row, 16))))),
      el("tbody", {}, there.map((row) => el("tr", {},
        el("th", { scope: "row", title: row.label }, swatch(row), clippedName(row, 26)),
        there.map((other) => cell(row, other)))))));
}
