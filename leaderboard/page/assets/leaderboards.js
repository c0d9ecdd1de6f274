// A leaderboard: what its numbers show in a sentence, the table, what is compared, and what the columns say of themselves.
const INTRO = {
  papers: "What papers publish, and our runs of the same rows. Published figures are shares in %.",
  rlvr: "Trained on verified rewards, measured by held-out accuracy.",
  rlhf: "Trained on a reward, measured by it and, where it is known, by what responses are truly worth.",
  wins: "Answers compared in pairs by one judge. Numbers of different judges never share a table.",
  across: "The same rows over several tasks.",
  apart: "Handed in by others, and not what their items say: compared with nothing, and part of no table.",
};

function head(table, sentence) {
  return el("div", { class: "head" },
    el("h2", {}, table.title),
    sentence && el("p", { class: "summary" }, sentence),
    table.conditions.length > 0 && el("details", { class: "conditions", id: "conditions", open: innerWidth > 700 },
      el("summary", {}, "How the runs were made"), el("p", { class: "quiet" }, table.conditions.join(" "))));
}

function leaderboardView() {
  const table = tableNow();
  const rows = sorted(table, filtered(table));
  const columns = chosenColumns(table);
  return [
    el("p", { class: "quiet intro" }, INTRO[state.tab]),
    picker(table),
    head(table, table.summary),
    table.command && commandLine("copy-table", table.command),
    el("div", { class: "tools" }, search("q", "rows"), rowFilters(table), forms(), chooser(table),
      el("span", { class: "quiet", role: "status" }, rows.length < table.rows.length ? `${rows.length} of ${table.rows.length} rows` : "")),
    scoreTable(table, columns, rows),
    el("p", { class: "key" }, keyWords(table)),
    comparisons(table, rows),
    profileSection(table),
    reading(table),
  ];
}

function keyWords(table) {
  const ranked = table.rows.some((row) => entryOf(table, row, "rank"));
  const parts = [];
  if (ranked) parts.push("Rows of one shade share a rank, 1 + the number of rows that are significantly better.");
  if (table.rows.some((row) => row.entries.some((entry) => entry && entry.bold))) {
    parts.push("Bold: not significantly worse than the best.");
  }
  parts.push("Click a heading to sort; rest on it to read what it says.");
  return parts.join(" ");
}

// A difference from the reference of each row, in the table's own column of it.
function versusReference(table) {
  const name = table.kind === "wins" ? "vs_reference" : `${state.mode || table.metric}_delta`;
  const column = table.columns.find((one) => one.name === name);
  if (!column) return null;
  return { column, lines: (rows) => rows.map((row) => ({ row, entry: entryOf(table, row, name) })) };
}

// What rows are ranked by first.
function modesOf(table) {
  return Object.keys(table.pairs).sort((one, other) => (other === table.metric) - (one === table.metric));
}

function referenceLabel(table) {
  if (table.kind === "wins") return table.reference;
  const row = table.rows.find((one) => one.hash === table.reference);
  return row ? row.short : "the reference";
}

function comparisons(table, rows) {
  const found = versusReference(table);
  const wins = table.kind === "wins";
  const sets = wins ? ["judged"] : modesOf(table);
  const mode = wins ? "judged" : sets.includes(state.mode) ? state.mode : sets[0];
  const against = found && forest(
    `Against ${referenceLabel(table)}`, found.lines(rows), wins ? 0.5 : 0,
    wins ? `win rate against ${referenceLabel(table)}, %` : differenceUnit(table, found.column), found.column.kind,
    Math.min(chartWidth(), 900));
  const link = wins ? null : (row, other) => address({ tab: "compare", table: table.slug, a: row.hash, b: other.hash });
  const what = wins ? "Difference of win rates, points" : `Difference of final ${mode} ${table.measure === "accuracy" ? "accuracies, points" : "rewards"}`;
  const every = mode && matrix(`${what}: row minus column`, rows.filter((row) => !row.control), table.pairs[mode], link);
  const modes = !wins && sets.length > 1 && chips("mode", "Decoding", sets, mode, (value) => go({ mode: value === table.metric ? "" : value }));
  if (!against && !every) return null;
  return el("section", {},
    el("div", { class: "line-up" }, el("h3", {}, "What separates"), modes),
    against && [el("h4", {}, `Against ${referenceLabel(table)}`), against],
    every && [el("h4", {}, "Every pair"), el("p", { class: "quiet" }, `${what}: row minus column.`), every, el("p", { class: "key" },
      "Coloured where the difference is significant after Holm over all pairs: ",
      el("span", { class: "tone better" }, "row above column"), " ", el("span", { class: "tone worse" }, "row below column"),
      wins ? "." : ". A number leads to the comparison of its two rows.")]);
}

function differenceUnit(table, column) {
  const row = table.rows.find((one) => one.hash === table.reference);
  const heading = row ? column.heading.replace(row.label, () => row.short) : column.heading;
  return `${heading.replace(/^(\w+)[^:]*: /, "$1: ")}${table.measure === "accuracy" ? ", points" : ""}`;
}

function reading(table) {
  const cards = table.rows.some((row) => row.card && Object.keys(row.card).length);
  const keys = cards ? [...new Set(table.rows.flatMap((row) => Object.keys(row.card || {})))] : [];
  return el("section", { class: "reading" },
    el("details", { id: "reading", open: table.kind === "papers" }, el("summary", {}, "How to read these numbers"), sentences(table.caption)),
    cards && el("details", { id: "cards" }, el("summary", {}, "What each row computes"),
      plainTable("What each row computes", ["row", ...keys],
        table.rows.map((row) => [row.label, ...keys.map((key) => (row.card || {})[key] || "–")]))),
    table.notes.length > 0 && el("details", { id: "notes", open: true }, el("summary", {}, "Notes on single runs"), sentences(table.notes)));
}
