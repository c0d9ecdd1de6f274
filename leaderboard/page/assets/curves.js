// The convergence plot and the small curves of the tables.
const SPARK = { width: 112, height: 30, points: 40 };

function pointWords(panel, heading) {
  return (series, n) => {
    const value = `${shown(series.mean[n], panel.kind)}${unit(panel.kind)}`;
    const ends = series.low ? ` [${shown(series.low[n], panel.kind)}, ${shown(series.high[n], panel.kind)}]` : "";
    return `${series.row.label}: ${value}${ends} at ${quantity(series.x[n])} ${heading}`;
  };
}

function lineChart(table, panel, rows, axis, width) {
  const every = rows.map((row) => seriesOf(table, panel, row, axis.name)).filter(Boolean);
  const height = Math.round(Math.min(430, Math.max(260, width * 0.5)));
  const box = { left: 52, right: width - 14, top: 14, bottom: height - 44 };
  const [xLow, xHigh] = extent(every.flatMap((one) => one.x));
  const levels = [panel.start, panel.target].filter((value) => value !== null && value !== undefined);
  let [low, high] = extent([...every.flatMap((one) => [...one.mean, ...(one.low || []), ...(one.high || [])]), ...levels]);
  const room = 0.05 * (high - low || 0.1);
  [low, high] = panel.kind === "share" ? [Math.max(0, low - room), Math.min(1, high + room)] : [low - room, high + room];
  const x = scale(xLow, xHigh, box.left, box.right);
  const y = scale(low, high, box.bottom, box.top);
  const xTicks = ticks(xLow, xHigh, width < 500 ? 4 : 7, axis.name !== "seconds");
  const yTicks = ticks(low, high, 6);
  const words = pointWords(panel, axis.heading);
  const reached = panel.target === null ? {} : table.curves.reached[axis.name] || {};
  const svg = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, width, height },
    grid(box, x, y, xTicks, yTicks, (tick) => tickText(tick, "", xTicks), (tick) => tickText(tick, panel.kind, yTicks)),
    draw("text", { class: "name", x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" },
      `${axis.heading}${axis.name === "steps" ? "" : " (mean over seeds)"}`),
    level(box, x, y, panel.start, "start", "start", every),
    level(box, x, y, panel.target, "target", `target ${panel.target_text}${unit(panel.kind)}`, every),
    every.map((one) => one.low && draw("path", { class: `band ${look(one.row)}`, d: band(one, x, y) })),
    [...every].reverse().map((one) => draw("g", { class: look(one.row), "data-row": one.row.hash },
      draw("path", { class: "line", d: path(one.mean.map((mean, n) => [x(one.x[n]), y(mean)])) }),
      one.mean.length <= 25 && points(one, x, y, words, 3),
      points(thinned(one, 60), x, y, words, 0))),
    every.map((one) => {
      const at = finite(reached[one.row.hash]);
      if (!Number.isFinite(at)) return null;
      return draw("circle", { class: `dot ${look(one.row)}`, cx: x(at), cy: y(panel.target), r: 5.5 },
        draw("title", {}, `${one.row.label}: reaches the target after ${quantity(at, 3)} ${axis.heading}, median over seeds`));
    }));
  const name = `${table.title}: held-out ${panel.heading} against ${axis.heading}`;
  const said = `Mean over seeds with a 95 % interval over seeds, ${plural(every.length, "row")}.`;
  const head = ["row", axis.heading, panel.heading, "low", "high"];
  const body = () => every.flatMap((one) => one.mean.map((mean, n) => [
    one.row.label, quantity(one.x[n]), shown(mean, panel.kind), shown(one.low && one.low[n], panel.kind),
    shown(one.high && one.high[n], panel.kind)]));
  return figure(name, said, svg, head, body);
}

// One scale for all rows of a table, or their shapes could not be compared.
function sparkScale(table) {
  const panel = table.curves && table.curves.panels[0];
  if (!panel || panel.heading.split(" ")[0] !== table.metric) return null;
  const lines = table.rows.map((row) => seriesOf(table, panel, row, table.axis)).filter(Boolean);
  const values = lines.flatMap((one) => [...one.mean, ...(one.low || []), ...(one.high || [])]);
  const [low, high] = extent([...values, panel.target === null ? NaN : panel.target]);
  const [left, right] = extent(lines.flatMap((one) => one.x));
  return {
    panel, x: scale(left, right, 3, SPARK.width - 5), y: scale(low, high, SPARK.height - 3, 3),
  };
}

function sparkline(table, row, shared) {
  const whole = shared && seriesOf(table, shared.panel, row, table.axis);
  if (!whole) return null;
  const one = thinned(whole, SPARK.points);
  const { panel, x, y } = shared;
  const at = finite((table.curves.reached[table.axis] || {})[row.hash]);
  const words = `${row.label}: held-out ${panel.heading} from ${shown(one.mean[0], panel.kind)} to `
    + `${shown(panel.rows[row.hash].final, panel.kind)}${unit(panel.kind)}`
    + (Number.isFinite(at) ? `; target after ${quantity(at, 3)} ${table.axis.replace("_", " ")}` : "");
  return draw("svg", { class: `spark ${look(row)}`, width: SPARK.width, height: SPARK.height, role: "img" },
    draw("title", {}, words),
    panel.target !== null && draw("line", { class: "goal", x1: 0, x2: SPARK.width, y1: y(panel.target), y2: y(panel.target) }),
    one.low && draw("path", { class: "band", d: band(one, x, y) }),
    draw("path", { class: "line", d: path(one.mean.map((mean, n) => [x(one.x[n]), y(mean)])) }),
    Number.isFinite(at) && draw("circle", { class: "dot", cx: round(x(at)), cy: round(y(panel.target)), r: 3 }));
}
