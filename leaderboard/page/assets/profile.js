// The performance profile of a table across tasks: of all runs, how many end above each score.

// A step line from the left edge to the right one, falling at each score; `values` are what it has from there on.
function steps(taus, values, box, x, y) {
  const made = [[box.left, y(1)]];
  taus.forEach((tau, n) => made.push([x(tau), y(n ? values[n - 1] : 1)], [x(tau), y(values[n])]));
  return [...made, [box.right, y(values[values.length - 1])]];
}

function profileChart(table, panel, rows, width) {
  const every = rows.map((row) => ({ row, ...panel.rows[row.hash] }));
  const height = Math.round(Math.min(400, Math.max(250, width * 0.45)));
  const box = { left: 52, right: width - 14, top: 28, bottom: height - 44 };
  const [least, most] = extent(every.flatMap((one) => one.tau));
  const room = 0.04 * (most - least || 0.1);
  const [low, high] = panel.kind === "share" ? [Math.max(0, least - room), Math.min(1, most + room)] : [least - room, most + room];
  const x = scale(low, high, box.left, box.right);
  const y = scale(0, 1, box.bottom, box.top);
  const xTicks = ticks(low, high, width < 500 ? 4 : 8);
  const yTicks = [0, 0.25, 0.5, 0.75, 1];
  const words = (one, n) => `${one.row.label}: ${shown(one.share[n], "share")} % of runs`
    + (one.low ? ` [${shown(one.low[n], "share")}, ${shown(one.high[n], "share")}]` : "")
    + ` end above ${shown(one.tau[n], panel.kind)}${unit(panel.kind)}`;
  const axis = `τ: final ${panel.heading}${panel.kind === "share" ? ", %" : ""}`;
  const svg = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, width, height },
    grid(box, x, y, xTicks, yTicks, (tick) => tickText(tick, panel.kind, xTicks), (tick) => tickText(tick, "share", yTicks)),
    draw("text", { class: "name", x: 0, y: 12 }, "runs above τ, %"),
    draw("text", { class: "name", x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, axis),
    every.map((one) => one.low && draw("path", { class: `band ${look(one.row)}`,
      d: `${path(steps(one.tau, one.high, box, x, y))}${path(steps(one.tau, one.low, box, x, y).reverse()).replace("M", "L")}Z` })),
    [...every].reverse().map((one) => draw("g", { class: look(one.row), "data-row": one.row.hash },
      draw("path", { class: "line", d: path(steps(one.tau, one.share, box, x, y)) }),
      points(thinned({ x: one.tau, mean: one.share }, 60), x, y, (_, n) => words(one, n), 0))));
  const name = `${table.title}: performance profile, ${panel.heading}`;
  const said = `Share of the runs on all ${panel.tasks} tasks that end above τ, ${plural(every.length, "row")}.`;
  const head = ["row", axis, "runs above, %", "low", "high"];
  const body = () => every.flatMap((one) => one.tau.map((tau, n) => [one.row.label, shown(tau, panel.kind),
    shown(one.share[n], "share"), shown(one.low && one.low[n], "share"), shown(one.high && one.high[n], "share")]));
  return figure(name, said, svg, head, body);
}

function profileSection(table) {
  if (!table.profile) return null;
  const { panels, says } = table.profile;
  const panel = panels.find((one) => one.name === state.panel) || panels[0];
  const there = panel && table.rows.some((row) => panel.rows[row.hash]);
  const rows = there ? drawnRows(table, panel) : [];
  const width = chartWidth() > 900 ? chartWidth() - 330 : chartWidth();
  return el("section", {},
    el("div", { class: "line-up" }, el("h3", {}, "Performance profile"),
      panels.length > 1 && chips("panel", "Held out", panels.map((one) => one.name), panel.name,
        (value) => go({ panel: value === panels[0].name ? "" : value }),
        (name) => panels.find((one) => one.name === name).heading)),
    there && [
      el("p", { class: "quiet" }, `Of all runs on the ${panel.tasks} tasks, the share that ends above τ: a line further up and to the right is better.`),
      el("div", { class: "plot", id: "plot" }, profileChart(table, panel, rows, width), legend(table, panel, rows)),
      el("p", { class: "key" }, `Number: the mean final score${panel.kind === "share" ? ", which is the area below the line" : ""}. `
        + (rows.some((row) => panel.rows[row.hash].low) ? "Band: at each τ by itself, 95 % interval of a bootstrap of the runs of each task. " : "")
        + "The tasks are those of the table, and their scores are as they are: where one is easier than another, a line is level between them."),
    ],
    sentences([...says, ...(panel ? panel.says : [])]));
}
