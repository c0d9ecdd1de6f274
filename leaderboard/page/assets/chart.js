// What charts are made of: scales, axes, lines with bands.
function scale(low, high, from, to) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (Number.isFinite(value)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low > high ? [0, 1] : [low, high];
}

const round = (value) => Math.round(value * 10) / 10;

function path(points) {
  return points.map(([x, y], n) => `${n ? "L" : "M"}${round(x)},${round(y)}`).join("");
}

function band(series, x, y) {
  const upper = series.mean.map((mean, n) => [x(series.x[n]), y(series.high[n])]);
  const lower = series.mean.map((mean, n) => [x(series.x[n]), y(series.low[n])]);
  return `${path(upper)}${path(lower.reverse()).replace("M", "L")}Z`;
}

// A row's curve on an axis: x, mean and the ends of its band, an accuracy's within 0 and 1.
function seriesOf(table, panel, row, axis) {
  const found = panel.rows[row.hash];
  if (!found) return null;
  const share = panel.kind === "share";
  const cut = (value) => (share ? Math.min(1, Math.max(0, value)) : value);
  const half = found.half;
  return {
    row,
    x: table.curves.pool[found.x[axis]],
    mean: found.mean,
    low: half ? found.mean.map((mean, n) => cut(mean - half[n])) : null,
    high: half ? found.mean.map((mean, n) => cut(mean + half[n])) : null,
  };
}

function thinned(series, most) {
  const count = series.mean.length;
  if (count <= most) return series;
  const kept = Array.from({ length: most }, (_, n) => Math.round((n * (count - 1)) / (most - 1)));
  const pick = (values) => values && kept.map((n) => values[n]);
  return { ...series, x: pick(series.x), mean: pick(series.mean), low: pick(series.low), high: pick(series.high) };
}

function grid(box, x, y, xTicks, yTicks, xText, yText) {
  return [
    yTicks.map((tick) => draw("g", {},
      draw("line", { class: "grid", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }),
      draw("text", { class: "tick", x: box.left - 7, y: y(tick) + 4, "text-anchor": "end" }, yText(tick)))),
    xTicks.map((tick) => draw("g", {},
      draw("line", { class: "axis", x1: x(tick), x2: x(tick), y1: box.bottom, y2: box.bottom + 4 }),
      draw("text", { class: "tick", x: x(tick), y: box.bottom + 18, "text-anchor": "middle" }, xText(tick)))),
    draw("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
  ];
}

// A level across the plot, with its name at the end at which fewer of the curves run through it.
function level(box, x, y, value, kind, text, curves) {
  if (value === null || value === undefined) return null;
  const room = 8 * text.length;
  const near = (from, to) => curves.flatMap((one) => one.mean.map((mean, n) => [x(one.x[n]), y(mean) - y(value)]))
    .filter(([at, above]) => at >= from && at <= to && above > -18 && above < 6).length;
  const atEnd = near(box.right - room, box.right) < near(box.left, box.left + room);
  return draw("g", { class: kind },
    draw("line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value) }),
    draw("text", atEnd ? { x: box.right, y: y(value) - 5, "text-anchor": "end" } : { x: box.left + 5, y: y(value) - 5 }, text));
}

// What a point says when a pointer rests on it.
function points(series, x, y, words, radius) {
  return series.mean.map((mean, n) => draw("circle", {
    class: radius ? "point" : "sense", cx: round(x(series.x[n])), cy: round(y(mean)), r: radius || 7,
  }, draw("title", {}, words(series, n))));
}
