// Every run: how it stands, where it ran, what it cost, and how to run it again.
const RUNS_A_PAGE = 50;
const RUN_COLUMNS = [
  ["row", "algorithm", "text", (run, names) => names.get(run.table).rows.get(run.row).label],
  ["seed", "seed", "number", (run) => run.seed],
  ["state", "state", "text", (run) => run.state],
  ["final", "final", "number", (run) => run.final],
  ["step", "steps", "number", (run) => run.step],
  ["wall_seconds", "seconds", "number", (run) => run.wall_seconds],
  ["generated_tokens", "tokens", "number", (run) => run.spent && run.spent.generated_tokens[0]],
  ["flops", "FLOPs", "number", (run) => run.spent && run.spent.flops[0]],
  ["device", "hardware", "text", (run) => run.device],
  ["commit", "commit", "text", (run) => run.commit && run.commit.slice(0, 10)],
  ["started", "began", "text", (run) => run.started && run.started.slice(0, 10)],
  ["table", "table", "text", (run, names) => names.get(run.table).title],
];

function runNames() {
  return new Map(DATA.tables.map((table) => [table.slug,
    { title: table.title, rows: new Map(table.rows.map((row) => [row.hash, row])) }]));
}

function sortedRuns(runs, names) {
  const column = RUN_COLUMNS.find(([name]) => name === state.sort.replace(/^-/, ""));
  if (!column) return runs;
  const sign = state.sort.startsWith("-") ? -1 : 1;
  const keyed = runs.map((run, n) => [column[3](run, names), n, run]);
  keyed.sort(([one, n], [other, m]) => {
    const [none, nothing] = [one === undefined || one === null, other === undefined || other === null];
    if (none || nothing) return none - nothing || n - m;
    return sign * (typeof one === "string" ? collator.compare(one, other) : one - other) || n - m;
  });
  return keyed.map(([, , run]) => run);
}

function runText(run, name, value) {
  if (name === "final") return run.final_text || "–";
  if (run.spent && name in run.spent) return run.spent[name][1];
  return value === undefined || value === null ? "–" : String(value);
}

function runsView() {
  const names = runNames();
  const states = [...new Set(DATA.runs.map((run) => run.state))];
  const devices = [...new Set(DATA.runs.map((run) => run.device).filter(Boolean))].sort(collator.compare);
  const slugs = [...new Set(DATA.runs.map((run) => run.table))];
  const wanted = state.q.trim().toLowerCase();
  const found = sortedRuns(DATA.runs.filter((run) => (!state.state || run.state === state.state)
    && (!devices.includes(state.device) || run.device === state.device)
    && (!state.table || run.table === state.table || !slugs.includes(state.table))
    && (!wanted || `${names.get(run.table).rows.get(run.row).label} ${run.id} ${run.seed}`.toLowerCase().includes(wanted))), names);
  const pages = Math.max(1, Math.ceil(found.length / RUNS_A_PAGE));
  const at = Math.min(Number(state.page) || 0, pages - 1);
  const columns = RUN_COLUMNS.filter(([name, , , value]) => (name !== "table" || (slugs.length > 1 && !slugs.includes(state.table)))
    && DATA.runs.some((run) => value(run, names) !== undefined && value(run, names) !== null));
  const commands = DATA.runs.some((run) => run.command);
  return [
    el("div", { class: "head" }, el("h2", {}, "Runs"),
      el("p", { class: "summary" }, states.map((one) => `${DATA.runs.filter((run) => run.state === one).length} ${one}`).join(" · ")),
      el("p", { class: "quiet" }, "Every cell that was planned, whatever became of it: only finished ones count in the tables.")),
    el("div", { class: "tools" }, search("q", "runs"),
      states.length > 1 && chips("state", "State", ["", ...states], state.state, (value) => go({ state: value, page: "" }), (value) => value || "any"),
      devices.length > 1 && chips("device", "Hardware", ["", ...devices], state.device, (value) => go({ device: value, page: "" }),
        (value) => value || "any"),
      slugs.length > 1 && chips("table", "Table", ["", ...slugs], state.table, (value) => go({ table: value, page: "" }),
        (value) => (value ? names.get(value).title : "all"))),
    el("div", { class: "scroll tall", id: "run-list", tabindex: "0", role: "region", "aria-label": "Runs" },
      el("table", { class: "scores runs" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "words" }, "run"),
          columns.map(([name, heading, kind]) => headerCell({ name, heading, kind })), commands && el("th", { scope: "col" }, "again"))),
        el("tbody", {}, found.slice(at * RUNS_A_PAGE, (at + 1) * RUNS_A_PAGE).map((run) => el("tr", {},
          el("th", { scope: "row" }, run.page ? el("a", { href: run.page }, run.id.slice(0, 10)) : el("code", {}, run.id.slice(0, 10)),
            run.control && badge("control")),
          columns.map(([name, , kind, value]) => el("td", { class: kind === "text" ? "words" : "", title: name === "state" ? run.error : null },
            name === "state" ? badge(run.state, run.state === "done" ? "good" : run.state === "failed" ? "bad" : "warn")
              : name === "row" ? rowLabel(names.get(run.table).rows.get(run.row)) : runText(run, name, value(run, names)))),
          commands && el("td", {}, run.command && el("div", { class: "again" },
            el("code", { title: run.command }, run.command), copyButton(`copy-${run.id}`, run.command)))))))),
    pages > 1 && pager("runs", at, pages, (to) => go({ page: to ? String(to) : "" })),
  ];
}
