// Elements from data. Every string becomes a text node: model outputs and labels are hostile, and none is ever markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// A chart with its name and description for those who do not see it, and its numbers as a table for everybody.
function figure(name, description, svg, head, body) {
  svg.setAttribute("role", "img");
  svg.prepend(draw("title", {}, name), draw("desc", {}, description));
  const more = el("details", { class: "numbers" }, el("summary", {}, "The numbers"));
  more.addEventListener("toggle", () => {
    if (more.open && more.childElementCount === 1) more.append(plainTable(name, head, body()));
  });
  return el("figure", {}, svg, more);
}

function plainTable(name, head, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    el("table", { class: "plain" },
      el("thead", {}, el("tr", {}, head.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, n) =>
        n === 0 ? el("th", { scope: "row" }, cell) : el("td", {}, cell)))))));
}

// `grpo@no-kl(tau=0.5)`: the name, and more quietly what it was given.
function label(text) {
  const at = text.indexOf("(");
  const [first, ...rest] = (at > 0 ? text.slice(0, at) : text).split("@");
  const name = [first, rest.map((part) => [el("wbr"), `@${part}`])]; // where a narrow column breaks it best
  return el("span", { class: "label" }, name, at > 0 && el("span", { class: "given" }, text.slice(at)));
}

// And behind both whose it is, where it was handed in.
function rowLabel(row) {
  const at = row.submitted ? row.label.lastIndexOf(` (${row.submitted})`) : -1;
  return at < 0 ? label(row.label) : fill(label(row.label.slice(0, at)), {}, [row.label.slice(at)]);
}

// A heading that names a row breaks where a label does.
function breakable(text) {
  return text.split(/(?=[@(=])/).map((part, n) => [n > 0 && el("wbr"), part]);
}

function swatch(row) {
  return draw("svg", { class: `swatch ${look(row)}`, width: 22, height: 10, "aria-hidden": "true" },
    draw("line", { class: "line", x1: 1, x2: 21, y1: 5, y2: 5 }));
}

function look(row) {
  return `c${row.look % 7} d${Math.floor(row.look / 7) % 3}`;
}

function badge(text, kind, title) {
  return el("span", { class: `badge ${kind || ""}`, title }, text);
}

// Of a row that somebody handed in: only what verifies stands among others.
function handedIn(row) {
  return badge("submitted", "", `${row.by ? `By ${row.by}: ` : ""}submission ${row.submitted}, whose scores are those of its items`);
}

function clipped(text, most) {
  return text.length > most ? `${text.slice(0, Math.max(3, Math.floor(most) - 1))}…` : text;
}

// A row's short name in little room, in which the name of a submission keeps its part.
function clippedName(row, most) {
  const at = row.submitted ? row.short.lastIndexOf(` (${row.submitted})`) : -1;
  if (at < 0 || row.short.length <= most) return clipped(row.short, most);
  const end = clipped(row.short.slice(at), most * 0.6);
  return clipped(row.short.slice(0, at), most - end.length) + end;
}

function copyButton(id, command) {
  const button = el("button", { id, class: "copy", type: "button", title: "Copy this command" }, "Copy");
  button.addEventListener("click", async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(command);
    } catch {
      done = false; // a browser may refuse it to a file: the command is selected instead
      getSelection().selectAllChildren(button.previousElementSibling);
    }
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

function commandLine(id, command) {
  return el("div", { class: "command" }, el("code", {}, command), copyButton(id, command));
}

function sentences(said) {
  return el("ul", { class: "sentences" }, said.map((sentence) => el("li", {}, sentence)));
}

function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
