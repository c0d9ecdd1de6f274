// What is looked at, and how: all of it stands in the address after #, so that a link shows the same again.
const DEFAULTS = {
  tab: "", table: "", sort: "", q: "", seeds: "", controls: "", own: "", cols: "", ci: "pm", axis: "", panel: "",
  hide: "", a: "", b: "", mode: "", page: "", state: "", device: "", paper: "", verdict: "", example: "",
};
const OF_A_TABLE = ["sort", "cols", "hide", "a", "b", "q", "panel", "page", "seeds", "mode", "example"];
let state = { ...DEFAULTS };
let render = () => {};

function readState(there = location.hash) {
  const found = new URLSearchParams(there.slice(1));
  state = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) if (found.has(key)) state[key] = found.get(key);
}

function address(changes) {
  const next = { ...state, ...changes };
  const found = new URLSearchParams();
  for (const [key, value] of Object.entries(next)) if (value !== DEFAULTS[key]) found.set(key, value);
  return `#${found}`;
}

// A new place in the history for another tab or table; what is only adjusted replaces the last.
function go(changes, adjusted = true) {
  const there = address(changes);
  try {
    history[adjusted ? "replaceState" : "pushState"](null, "", there);
  } catch {
    // some browsers refuse it to files, or refuse too many: the view changes all the same
  }
  readState(there);
  redraw();
}

// Elements are made anew: the one that had the focus has it again, by its id.
function redraw() {
  const active = document.activeElement;
  const id = active && active.id;
  const typed = active && active.tagName === "INPUT" && active.type === "search" ? active.selectionStart : null;
  const scrolled = [...document.querySelectorAll(".scroll[id]")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
  const open = [...document.querySelectorAll("details[id]")].map((one) => [one.id, one.open]);
  render();
  for (const [name, was] of open) {
    const one = document.getElementById(name);
    if (one) one.open = was;
  }
  for (const [name, left, top] of scrolled) {
    const box = document.getElementById(name);
    if (box) box.scrollTo(left, top);
  }
  const again = id && document.getElementById(id);
  if (again) {
    again.focus({ preventScroll: true });
    if (typed !== null && again.setSelectionRange) again.setSelectionRange(typed, typed);
  }
}

const inList = (key) => (state[key] ? state[key].split(",") : []);
