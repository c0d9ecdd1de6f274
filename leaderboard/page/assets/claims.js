// What the papers claim, and what the runs say of it.
const TONES = { supported: "good", refuted: "bad", inconclusive: "warn", "not run": "" };

function claimsView() {
  const papers = [...new Set(DATA.findings.map((one) => one.paper))];
  let whole = null; // parts stay with the finding that they are parts of
  const found = DATA.findings.filter((one) => {
    if (!one.part || !whole) whole = one;
    return (!state.paper || one.paper === state.paper) && (!state.verdict || whole.verdict === state.verdict);
  });
  const wholes = DATA.findings.filter((one) => !one.part);
  const others = wholes.filter((one) => one.departures.length).length;
  const counts = Object.keys(TONES).map((name) => [name, wholes.filter((one) => one.verdict === name).length]);
  return [
    el("div", { class: "head" }, el("h2", {}, "Claims"),
      el("p", { class: "summary" }, counts.map(([name, count]) => `${count} ${name}`).join(" · "),
        others > 0 && ` (${others} of runs with other settings than their study's)`),
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

// A claim that is several comparisons has a finding for all of them, and behind it one for each part.
function claimCard(findings) {
  const [first] = findings;
  const wholes = [];
  for (const one of findings) {
    if (!one.part || !wholes.length) wholes.push({ one, parts: [] });
    else wholes[wholes.length - 1].parts.push(one);
  }
  const ran = wholes.filter(({ one }) => one.verdict !== "not run");
  const missing = wholes.filter(({ one }) => one.verdict === "not run");
  return el("article", { class: "claim" },
    el("h4", {}, first.text),
    el("p", { class: "quiet" }, `${first.source}. Decided by ${first.metric}.`),
    ran.map(({ one, parts }, n) => el("div", { class: "finding" },
      el("div", {}, badge(one.verdict, TONES[one.verdict]), " ", el("b", {}, one.scale),
        one.departures.length > 0 && [" ", badge("other settings", "warn", `Not the study's: ${one.departures.join("; ")}`)]),
      el("div", {},
        el("p", {}, one.why),
        !parts.length && compared(one),
        parts.length > 0 && el("ul", { class: "parts" }, parts.map((part) => el("li", {},
          el("div", {}, badge(part.verdict, TONES[part.verdict]), " ", part.part,
            part.estimate_text && [": ", el("b", {}, part.estimate_text)]),
          el("div", {}, interval(part)), el("span", { class: "quiet" }, part.why)))),
        one.table && TABLES.some((table) => table.slug === one.table) && el("p", {}, el("a", { href: address({
          ...DEFAULTS, tab: TABLES.find((table) => table.slug === one.table).kind, table: one.table }) }, "the table")),
        one.command && commandLine(`copy-${first.claim}-${n}`, one.command)))),
    missing.length > 0 && el("div", { class: "finding" },
      el("div", {}, badge("not run", "")),
      el("div", {}, missing.map(({ one }, n) => el("div", {},
        el("p", {}, el("b", {}, one.scale), `: ${one.why}`),
        one.command && commandLine(`copy-${first.claim}-missing-${n}`, one.command))))));
}

function compared(one) {
  return [
    el("p", { class: "quiet" }, one.comparison, one.estimate_text && [": ", el("b", {}, one.estimate_text)],
      one.seeds ? ` (${plural(one.seeds, "seed")})` : ""),
    interval(one)];
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
