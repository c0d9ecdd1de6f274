// The page: its head, the tabs, and the view that the address names.
const TABS = [
  ["papers", "Papers", "Ours beside what papers publish"],
  ["rlvr", "RLVR", "Trained on verified rewards"], ["rlhf", "RLHF", "Trained on a reward, as of a reward model"],
  ["wins", "Win rates", "Judged in pairs"], ["across", "Across tasks", "The same rows on several tasks"],
  ["apart", "Not verified", "Submissions that do not verify"],
  ["convergence", "Convergence", "How fast"], ["compare", "Compare", "Two rows side by side"],
  ["claims", "Claims", "What papers claim, and what runs say"], ["runs", "Runs", "Every run"],
  ["method", "Method", "How to read the numbers"],
];
const VIEWS = {
  papers: leaderboardView,
  rlvr: leaderboardView, rlhf: leaderboardView, wins: leaderboardView, across: leaderboardView, apart: leaderboardView,
  convergence: convergenceView, compare: compareView, claims: claimsView, runs: runsView, method: methodView,
};

function tabsThere() {
  return TABS.filter(([name]) => (["papers", "rlvr", "rlhf", "wins", "across", "apart"].includes(name) ? tablesOf(name).length
    : name === "claims" ? DATA.findings.length : name === "convergence" || name === "compare" ? DATA.tables.length : true));
}

render = () => {
  const there = tabsThere();
  if (!there.some(([name]) => name === state.tab)) state.tab = there[0][0];
  document.getElementById("top").replaceChildren(
    el("h1", {}, DATA.title), el("p", { class: "overview" }, DATA.overview.join(" ")));
  const cleared = Object.fromEntries(OF_A_TABLE.map((key) => [key, DEFAULTS[key]]));
  document.getElementById("tabs").replaceChildren(...there.map(([name, text, title]) => {
    const kept = tablesOf(name).some((table) => table.slug === state.table) ? {} : { table: "" };
    return el("a", { id: `tab-${name}`, title, "aria-current": name === state.tab ? "page" : null,
      href: address({ ...cleared, ...kept, state: "", device: "", verdict: "", paper: "", tab: name }) }, text);
  }));
  document.getElementById("main").replaceChildren(...[VIEWS[state.tab]()].flat(Infinity).filter(Boolean));
  document.title = `${there.find(([name]) => name === state.tab)[1]} – ${DATA.title}`;
};

let widthBefore = innerWidth;
let waiting = 0;
function follow() {
  if (location.hash && !location.hash.includes("=")) return; // a place on the page, and no state of it
  readState();
  redraw();
}
addEventListener("hashchange", follow);
addEventListener("popstate", follow);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address keeps what is looked at
  document.getElementById("main").focus();
});
addEventListener("resize", () => {
  if (innerWidth === widthBefore) return; // a phone that shows or hides its bars
  widthBefore = innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(redraw, 120);
});
addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
addEventListener("pointerdown", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
readState();
render();
