// How to read it all: what is said once, and what every column says of itself.
function methodView() {
  return [
    el("div", { class: "head" }, el("h2", {}, "How to read this"),
      el("p", { class: "summary" }, "Seeds are the unit for “A is better than B”; items are paired; a row is better only where a test says so.")),
    DATA.method.map((part) => el("section", {}, el("h3", {}, part.heading), sentences(part.says))),
    el("section", {}, el("h3", {}, "What the columns are"),
      TABLES.filter((table) => table.kind !== "papers").map((table) => el("details", { id: `method-${table.slug}` }, el("summary", {}, table.title),
        table.conditions.length > 0 && el("p", {}, table.conditions.join(" ")), sentences(table.caption),
        columnWords(table)))),
    el("section", {}, el("h3", {}, "For machines"), el("p", {}, "leaderboard.json beside this page holds everything that it shows, "
      + "leaderboard.csv and leaderboard-tidy.csv the tables, leaderboard.md and leaderboard.tex the same for people.")),
  ];
}

function columnWords(table) {
  const found = table.columns.filter((column) => column.says);
  if (!found.length) return null;
  return el("dl", {}, found.map((column) => [el("dt", {}, column.heading), el("dd", {}, column.says.join(" "))]));
}
