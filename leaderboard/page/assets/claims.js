// What the papers claim, and what the runs say of it.
const TONES = { supported: "good", refuted: "bad", inconclusive: "warn", "not run": "" };

function claimsView() {
  const papers = [...new Set(DATA.findings.map((one) => one.paper))];
  const found = DATA.findings.filter((one) => (!state.paper || one.paper === state.paper)
    && (!state.verdict || one.verdict === state.verdict));
  const counts = Object.keys(TONES).map((name) => [name, DATA.findings.filter((one) => one.verdict === name).length]);
  return [
    el("div", { class: "head" }, el("h2", {}, "Claims"),
      el("p", { class: "summary" }, counts.map(([name, count]) => `${count} ${name}`).join(" · ")),
      el("p", { class: "quiet" }, "Each claim is checked against records, scale by scale, and never with fewer than 3 seeds. What a "
        + "tiny scale refutes is refuted there, and not where the paper made it.")),
    el("div", { class: "tools" },
      papers.length > 1 && chips("paper", "Paper", ["", ...papers], state.paper, (value) => go({ paper: value }), (value) => value.toUpperCase() || "both"),
      chips("verdict", "Verdict", ["", ...counts.filter(([, count]) => count).map(([name]) => name)], state.verdict,
        (value) => go({ verdict: value }), (value) => value || "any")),
    papers.filter((paper) => found.some((one) => one.paper === paper)).map((paper) => el("section", {},
      el("h3", {}, paper.toUpperCase()),
      [...new Set(found.filter((one) => one.paper === paper).map((one) => one.claim))].map((claim) =>
        claimCard(found.filter((one) => one.paper === paper && one.claim === claim))))),
  ];
}

function claimCard(findings) {
  const [first] = findings;
  return el("article", { class: "claim" },
    el("h4", {}, first.text),
    el("p", { class: "quiet" }, `${first.source}. Decided by ${first.metric}.`),
    findings.map((one, n) => el("div", { class: "finding" },
      el("div", {}, badge(one.verdict, TONES[one.verdict]), " ", el("b", {}, one.scale)),
      el("div", {},
        el("p", {}, one.why),
        el("p", { class: "quiet" }, one.part && `${one.part}: `, one.comparison, one.estimate_text && [": ", el("b", {}, one.estimate_text)],
          one.seeds ? ` (${plural(one.seeds, "seed")})` : ""),
        interval(one),
        one.table && TABLES.some((table) => table.slug === one.table) && el("a", { href: address({
          ...DEFAULTS, tab: TABLES.find((table) => table.slug === one.table).kind, table: one.table }) }, "the table"),
        one.command && commandLine(`copy-${first.claim}-${n}`, one.command)))));
}

function interval(one) {
  if (one.estimate === null || one.low === null || one.high === null) return null;
  const [low, high] = extent([one.low, one.high, 0]);
  const x = scale(low, high, 6, 194);
  return draw("svg", { class: "bar c0 d0", width: 200, height: 18, role: "img" },
    draw("title", {}, `${one.estimate_text}; the thick line is none`),
    draw("line", { class: "nothing", x1: x(0), x2: x(0), y1: 0, y2: 18 }),
    draw("line", { class: "line", x1: x(one.low), x2: x(one.high), y1: 9, y2: 9 }),
    draw("circle", { class: "point", cx: x(one.estimate), cy: 9, r: 4 }));
}
