// Numbers of charts. Those of tables come as text with the data: they are printed once, for every export alike.
const PREFIXES = [[1e24, "Y"], [1e21, "Z"], [1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const collator = new Intl.Collator("en", { numeric: true });

function finite(value) {
  return value === "inf" ? Infinity : value === "-inf" ? -Infinity : value;
}

function digits(value, count) {
  return String(Number(value.toPrecision(count))).replace("-", "−");
}

// 12000 is 12 k; below ten thousand a number stands as it is.
function quantity(value, count = 4) {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Math.abs(value) >= 9999.5) {
    for (const [factor, prefix] of PREFIXES) {
      if (Math.abs(value) >= 0.9999 * factor) return `${digits(value / factor, count)} ${prefix}`;
    }
  }
  return digits(value, count);
}

function shown(value, kind) {
  if (value === null || value === undefined) return "–";
  if (kind === "share" || kind === "points") return (100 * value).toFixed(1).replace("-", "−");
  return quantity(value, 3);
}

const unit = (kind) => (kind === "share" ? " %" : "");

// About `count` round numbers from low to high; whole ones for what is counted.
function ticks(low, high, count, whole = false) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factors = whole ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10];
  const found = power * factors.find((factor) => factor * power >= rough * 0.999);
  const step = whole ? Math.max(1, found) : found;
  const made = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * span; n += 1) made.push(n * step);
  return made;
}

function tickText(value, kind, all) {
  const values = kind === "share" || kind === "points" ? all.map((one) => 100 * one) : all;
  const here = kind === "share" || kind === "points" ? 100 * value : value;
  if (Math.max(...values.map(Math.abs)) >= 9999.5) return quantity(here);
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : 1;
  let decimals = 0; // as many as the step between two ticks has
  while (decimals < 6 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6 * step * 10 ** decimals) decimals += 1;
  return (Math.abs(here) < step / 1e6 ? 0 : here).toFixed(decimals).replace("-", "−");
}

// The other way round: b minus a for a minus b.
function negated(entry) {
  if (!entry || entry.value === undefined) return entry;
  const flip = (text) => (text.startsWith("+") ? `−${text.slice(1)}` : text.startsWith("−") ? `+${text.slice(1)}` : text);
  const found = { ...entry, text: flip(entry.text), value: -finite(entry.value) };
  if (entry.low !== undefined) Object.assign(found, { low: -finite(entry.high), high: -finite(entry.low) });
  if (entry.parts) found.parts = [flip(entry.parts[0]), flip(entry.parts[2]), flip(entry.parts[1])];
  return found;
}

// With its mark: stars at once, daggers after a space.
function marked(entry) {
  if (!entry) return "–";
  const { text = "", mark = "" } = entry;
  return /^[†‡]/.test(mark) ? `${text} ${mark}` : `${text}${mark}`;
}

function pText(p) {
  return p < 0.001 ? "p < .001" : `p = ${p.toFixed(3).replace(/^0/, "")}`;
}
