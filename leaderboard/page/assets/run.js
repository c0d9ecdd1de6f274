"use strict";
// Model outputs are anybody's text: they reach the page as text nodes alone, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG_WIDTH = 320;

  function make(tag, name, ...children) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...children.filter((child) => child !== null));  // a string becomes a text node
    return made;
  }

  function labelled(text, control) {
    return make("label", "", text, control);
  }

  const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
  const short = (value) => String(value).replace("-", "−");

  function shown(number) {
    if (number === null || number === undefined) return make("p", "empty", "not in the records");
    const box = make("pre", "text");
    box.dir = "auto";
    box.textContent = data.texts[number];
    if (data.texts[number] === "") box.append(make("span", "empty", "(empty)"));
    const cut = data.cut[number];
    if (cut) box.append(make("span", "cut", ` … ${count(cut, "more character")} left out: the file would be too large`));
    return box;
  }

  const included = (number, wanted) => number !== null && number !== undefined && data.texts[number].toLowerCase().includes(wanted);

  const curves = data.curves.map((panel) => ({
    title: panel.title,
    lines: panel.lines.map((line) => ({ ...line, x: data.axes[line.x] })),
  }));

  // --- charts: a readout under the pointer, or under the arrow keys ---

  document.querySelectorAll(".panel").forEach((figure, place) => {
    const lines = curves[place].lines, svg = figure.querySelector(":scope > svg");
    const cursor = svg.querySelector(".cursor"), readout = figure.querySelector(".readout");
    const steps = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    const left = Number(svg.dataset.left), right = Number(svg.dataset.right);
    const low = steps[0], high = steps[steps.length - 1];
    let at = -1;
    function show(index) {
      at = index;
      const step = steps[index], x = high === low ? left : left + ((right - left) * (step - low)) / (high - low);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.classList.add("on");
      const said = lines.flatMap((line) => {
        const found = line.x.indexOf(step);
        return found < 0 ? [] : [`${line.name} ${short(line.y[found])}`];
      });
      readout.textContent = `step ${step}: ${said.join(", ")}`;
    }
    function hide() {
      at = -1;
      cursor.classList.remove("on");
      readout.textContent = "";
    }
    function follow(event) {
      const box = svg.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * SVG_WIDTH;
      const wanted = right === left ? low : low + ((high - low) * (x - left)) / (right - left);
      let best = 0;
      steps.forEach((step, index) => {
        if (Math.abs(step - wanted) < Math.abs(steps[best] - wanted)) best = index;
      });
      show(best);
    }
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointerleave", hide);
    figure.addEventListener("blur", hide);
    figure.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      show(Math.min(steps.length - 1, Math.max(0, at + by)));
    });
  });

  const tables = document.getElementById("tables");
  tables?.parentElement.addEventListener("toggle", () => {
    if (tables.childElementCount) return;
    curves.forEach((panel) => {
      const table = make("table", "", make("caption", "", panel.title));
      const head = make("tr", "", make("th", "", "step"), ...panel.lines.map((line) => make("th", "", line.name)));
      head.querySelectorAll("th").forEach((cell) => (cell.scope = "col"));
      table.append(make("thead", "", head));
      const values = panel.lines.map((line) => new Map(line.x.map((x, n) => [x, line.y[n]])));
      const steps = [...new Set(panel.lines.flatMap((line) => line.x))].sort((a, b) => a - b);
      const body = make("tbody", "", ...steps.map((step) => {
        const name = make("th", "", String(step));
        name.scope = "row";
        return make("tr", "", name, ...values.map((known) => make("td", "", known.has(step) ? short(known.get(step)) : "–")));
      }));
      table.append(body);
      const box = make("div", "scroll", table);
      box.tabIndex = 0;
      tables.append(box);
    });
  });

  document.querySelectorAll(".copy").forEach((button) => {
    button.addEventListener("click", async () => {
      const pre = button.parentElement.querySelector("pre");
      try {
        await navigator.clipboard.writeText(pre.textContent);
        button.textContent = "Copied";
      } catch {  // no clipboard here: what is to be copied is selected
        getSelection().selectAllChildren(pre);
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  });

  // --- examples ---

  const GLYPHS = { right: "✓", wrong: "✗", mixed: "◐", won: "✓", lost: "✗", tied: "=", split: "◐" };

  function response(title, verdict, facts, text) {
    const heads = [make("b", "", title)];
    if (verdict) heads.push(make("span", verdict, `${GLYPHS[verdict]} ${verdict}`));
    const body = text === undefined ? null : shown(text);
    return make("article", "response", make("header", "", ...heads, ...facts.map((fact) => make("span", "", fact))), body);
  }

  const heldout = {
    key: "heldout",
    filters: [["right", "all right"], ["wrong", "all wrong"], ["mixed", "mixed"]],
    status(item) {
      const mode = item.modes.find((one) => one.mode === "sampled") ?? item.modes[0];
      const right = mode.correct.reduce((sum, one) => sum + one, 0);
      if (!mode.correct.length) return null;
      return right === mode.correct.length ? "right" : right === 0 ? "wrong" : "mixed";
    },
    matches: (item, wanted) =>
      [item.prompt, item.answer, ...item.modes.flatMap((mode) => mode.texts ?? [])].some((text) => included(text, wanted)),
    render(item) {
      const parts = [];
      const kept = item.modes.some((mode) => mode.texts);
      if (item.prompt !== null) parts.push(make("h4", "", "Prompt"), shown(item.prompt));
      if (item.answer !== null) parts.push(make("h4", "", "Reference answer"), shown(item.answer));
      if (!kept) parts.push(make("p", "note", "Verdicts alone: the texts of this evaluation were not kept."));
      item.modes.forEach((mode) => {
        const made = mode.tokens.map((tokens, n) => {
          const verdict = mode.correct.length ? (mode.correct[n] ? "right" : "wrong") : null;
          const facts = [count(tokens, "token")];
          if (mode.reward) facts.push(`reward ${short(mode.reward[n])}`);
          if (mode.gold) facts.push(`gold ${short(mode.gold[n])}`);
          return response(mode.mode === "greedy" ? "greedy" : `sample ${n + 1}`, verdict, facts, mode.texts?.[n]);
        });
        parts.push(make("h4", "", mode.mode === "greedy" ? "Greedy response" : "Sampled responses"), make("div", "responses", ...made));
      });
      return parts;
    },
  };

  const verdictOf = (share) => (share === null ? null : share > 0.5 ? "won" : share < 0.5 ? "lost" : "tied");
  function shareOf(games) {
    const scores = games.map((game) => game.score).filter((score) => score !== null);
    if (!scores.length) return null;
    const share = scores.reduce((sum, one) => sum + one, 0) / scores.length;
    return Math.abs(share - 0.5) < 1e-9 ? 0.5 : share;
  }

  const judged = (key, opponent) => ({
    key,
    filters: [["won", "won"], ["lost", "lost"], ["tied", "tied"], ["split", "judges differ"]],
    status(item) {
      const found = new Set(item.judges.map((one) => verdictOf(shareOf(one.games))).filter((one) => one));
      return found.size === 1 ? [...found][0] : found.size ? "split" : null;
    },
    matches: (item, wanted) => [item.prompt, item.mine, item.theirs].some((text) => included(text, wanted)),
    render(item) {
      const parts = [make("h4", "", "Instruction"), shown(item.prompt)];
      parts.push(make("div", "responses", response("this run", null, [], item.mine), response(opponent, null, [], item.theirs)));
      item.judges.forEach((one) => {
        const share = shareOf(one.games), verdict = verdictOf(share);
        const said = one.games.map((game) => {
          const order = game.first ? "this run shown first" : "this run shown second";
          const raw = game.label === null ? game.status : `${game.label}${game.weight > 1 ? ` (counted ${game.weight} times)` : ""}`;
          return `${order}: ${raw}${game.score === null ? "" : `, score ${short(Number(game.score.toPrecision(3)))}`}`;
        });
        const total = share === null ? "no verdict" : `share ${short(Number(share.toPrecision(3)))}`;
        const lines = make("ul", "", ...said.map((text) => make("li", "", text)));
        const heads = make("header", "", make("b", "", one.judge), verdict ? make("span", verdict, `${GLYPHS[verdict]} ${verdict}`) : null, make("span", "", total));
        parts.push(make("article", "response verdict", heads, lines));
      });
      return parts;
    },
  });

  const training = {
    key: "samples",
    filters: [],
    status: () => null,
    matches: (item, wanted) => item.groups.some((group) => included(group.prompt, wanted) || group.responses.some(([text]) => included(text, wanted))),
    render(item) {
      return item.groups.flatMap((group) => [
        make("h4", "", group.prompt === undefined ? `Example ${group.id}` : "Prompt"),
        group.prompt === undefined ? null : shown(group.prompt),
        make("div", "responses", ...group.responses.map(([text, reward, source], n) =>
          response(source === "policy" ? `response ${n + 1}` : `${source}'s demonstration`, null, [`reward ${short(reward)}`], text))),
      ]).filter((part) => part !== null);
    },
  };

  const views = [];
  if (data.heldout) views.push({ ...heldout, title: "Held-out examples", items: data.heldout.items, first: data.heldout.first, total: data.heldout.total });
  (data.pairs ?? []).forEach((one, n) => {
    const name = `Judged against ${one.opponent}`, several = data.pairs.some((other) => other !== one && other.opponent === one.opponent);
    views.push({ ...judged(`pairs${n + 1}`, one.opponent), title: several ? `${name}, ${one.task}` : name, items: one.items, first: data.heldout?.first ?? 0, total: one.total });
  });
  if (data.samples?.length) views.push({ ...training, title: "Samples in training", items: data.samples.map((one) => ({ ...one, id: String(one.step) })), first: 0, total: data.sampled });

  const browser = document.getElementById("browser");
  if (!browser) return;
  if (!views.length) {
    browser.append(make("p", "", "No example is in the records."));
    return;
  }

  let view, found = [], at = 0;
  const tabs = make("div", ""), tools = make("div", "tools"), strip = make("div", "strip"), detail = make("div", "example");
  const counter = make("output", "count"), search = make("input"), filter = make("select"), slider = make("input");
  const previous = make("button", "", "← Previous"), next = make("button", "", "Next →");
  [previous, next].forEach((button) => (button.type = "button"));
  search.type = "search";
  search.placeholder = "words in prompt or response";
  slider.type = "range";
  strip.setAttribute("aria-label", "Examples");
  strip.setAttribute("role", "group");
  detail.tabIndex = -1;
  const filtered = labelled("Show", filter), slid = labelled("Step", slider);
  tools.append(slid, filtered, labelled("Search", search), previous, next, counter);
  tabs.setAttribute("role", "tablist");
  views.forEach((one) => {
    const tab = make("button", "", one.title);
    tab.type = "button";
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => open(one, 0, true));
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const to = views[(views.indexOf(one) + by + views.length) % views.length];
      open(to, 0, true);
      to.tab.focus();
    });
    one.tab = tab;
    tabs.append(tab);
  });
  tabs.hidden = views.length === 1;
  detail.id = "example";
  browser.append(tabs, tools, strip, detail);

  function open(one, place, told) {
    view = one;
    views.forEach((other) => {
      other.tab.setAttribute("aria-selected", String(other === one));
      other.tab.tabIndex = other === one ? 0 : -1;
    });
    const steps = one.key === "samples";
    const states = new Set(one.items.map(one.status));
    const options = one.filters.filter(([value]) => states.has(value));
    filter.replaceChildren(...[["", "all"], ...options].map(([value, text]) => {
      const option = make("option", "", text);
      option.value = value;
      return option;
    }));
    filtered.hidden = options.length === 0;
    slid.hidden = !steps;
    search.value = "";
    select(place, told);
  }

  // The items that are asked for; `place` is one of theirs.
  function select(place, told) {
    const wanted = search.value.trim().toLowerCase();
    found = view.items.filter((item) =>
      (!filter.value || view.status(item) === filter.value) &&
      (!wanted || item.id.toLowerCase().includes(wanted) || view.matches(item, wanted)));
    const steps = view.key === "samples";
    slider.max = String(Math.max(0, found.length - 1));
    slider.min = "0";
    slider.step = "1";
    strip.hidden = steps;
    strip.replaceChildren(...(steps ? [] : found.map((item, n) => {
      const state = view.status(item), button = make("button", state ?? "", state ? GLYPHS[state] : String(n + 1));
      button.type = "button";
      button.title = item.id;
      button.setAttribute("aria-label", `${item.id}${state ? `: ${state}` : ""}`);
      button.addEventListener("click", () => go(n, true));
      return button;
    })));
    go(Math.min(place, Math.max(0, found.length - 1)), told);
  }

  function go(place, told) {
    at = place;
    const item = found[at], steps = view.key === "samples";
    previous.disabled = at <= 0;
    next.disabled = at >= found.length - 1;
    if (!item) {
      counter.textContent = `none of ${view.items.length}`;
      detail.replaceChildren(make("p", "empty", "Nothing here is like that."));
      return;
    }
    slider.value = String(at);
    slider.setAttribute("aria-valuetext", `step ${item.id}`);
    const among = found.length === view.items.length ? "" : ` of ${view.items.length} here`;
    const more = view.total > view.items.length ? `; ${view.total} ${steps ? "steps were recorded" : "in all"}` : "";
    counter.textContent = `${at + 1} of ${found.length}${among}${more}`;
    [...strip.children].forEach((button, n) => {
      button.setAttribute("aria-current", String(n === at));
      button.tabIndex = n === at ? 0 : -1;
    });
    const heading = make("h3", "", steps ? `Step ${item.id}` : item.id), state = view.status(item);
    if (state) heading.append(" ", make("span", state, `${GLYPHS[state]} ${state}`));
    detail.replaceChildren(heading, ...view.render(item));
    if (told) history.replaceState(null, "", `#${view.key}/${encodeURIComponent(item.id)}`);
  }

  const move = (by) => go(Math.min(found.length - 1, Math.max(0, at + by)), true);
  previous.addEventListener("click", () => move(-1));
  next.addEventListener("click", () => move(1));
  slider.addEventListener("input", () => go(Number(slider.value), true));
  filter.addEventListener("change", () => select(0, true));
  search.addEventListener("input", () => select(0, false));
  strip.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    move(by);
    strip.children[at]?.focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    const by = { j: 1, k: -1 }[event.key];
    if (!by || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(by);
  });

  function fromAddress() {
    const [key, ...rest] = location.hash.slice(1).split("/");
    const one = views.find((other) => other.key === key);
    if (!one) return false;
    let id = rest.join("/");
    try {
      id = decodeURIComponent(id);
    } catch {  // not of our making: taken as it is
    }
    open(one, Math.max(0, one.items.findIndex((item) => item.id === id)), false);
    browser.scrollIntoView();
    return true;
  }
  addEventListener("hashchange", fromAddress);
  if (!fromAddress()) open(views[0], 0, false);
})();
