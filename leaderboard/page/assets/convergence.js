// How fast: the curves of a table of runs, on any axis.
const MANY = 10; // lines that a plot shows before anybody chooses

function chartWidth() {
  return Math.max(280, document.getElementById("main").clientWidth);
}

function panelNow(table) {
  return table.curves.panels.find((panel) => panel.name === state.panel) || table.curves.panels[0];
}

function axisNow(table) {
  const { axes } = table.curves;
  return axes.find((axis) => axis.name === (state.axis || table.axis)) || axes[0];
}

function drawnRows(table, panel) {
  const there = table.rows.filter((row) => panel.rows[row.hash]);
  if (state.hide) return there.filter((row) => !inList("hide").includes(row.hash));
  return there.slice(0, MANY);
}

function legend(table, panel, rows) {
  const there = table.rows.filter((row) => panel.rows[row.hash]);
  const away = there.filter((row) => !rows.includes(row)).map((row) => row.hash);
  const set = (hidden) => go({ hide: hidden.length ? hidden.join(",") : there.length > MANY ? "none" : "" });
  const light = (row, on) => {
    for (const line of document.querySelectorAll("#plot [data-row]")) {
      line.classList.toggle("faint", on && line.dataset.row !== row.hash);
    }
  };
  return el("ul", { class: "legend" }, there.map((row) => {
    const on = rows.includes(row);
    return el("li", { onpointerenter: () => light(row, true), onpointerleave: () => light(row, false) },
      el("label", {},
        el("input", { id: `line-${row.hash}`, type: "checkbox", checked: on,
          onchange: () => set(on ? [...away, row.hash] : away.filter((hash) => hash !== row.hash)) }),
        swatch(row), rowLabel(row),
        el("span", { class: "quiet" }, `${shown(panel.rows[row.hash].final, panel.kind)}${unit(panel.kind)}`,
          row.seeds === 1 ? " †" : "")));
  }));
}

function convergenceView() {
  const table = tableNow();
  const parts = [picker(table), head(table, table.convergence)];
  if (!table.curves.panels.length) return [...parts, el("p", {}, "No row has a step at which all of its finished seeds were evaluated.")];
  const panel = panelNow(table);
  const axis = axisNow(table);
  const rows = drawnRows(table, panel);
  const wide = chartWidth() > 900;
  const width = wide ? chartWidth() - 330 : chartWidth();
  const more = table.rows.filter((row) => panel.rows[row.hash]).length - rows.length;
  const columns = columnsOf(table).filter((column) => column.group.startsWith("Convergence") && column.name !== "seeds");
  return [
    ...parts,
    el("div", { class: "tools" },
      chips("panel", "Held out", table.curves.panels.map((one) => one.name), panel.name,
        (value) => go({ panel: value === table.curves.panels[0].name ? "" : value }),
        (name) => table.curves.panels.find((one) => one.name === name).heading),
      chips("axis", "Against", table.curves.axes.map((one) => one.name), axis.name,
        (value) => go({ axis: value === table.axis ? "" : value }),
        (name) => table.curves.axes.find((one) => one.name === name).heading)),
    el("div", { class: "plot", id: "plot" }, lineChart(table, panel, rows, axis, width), legend(table, panel, rows)),
    el("p", { class: "key" }, "Number: the final score, of each seed's own last evaluation. Line: mean over seeds, at steps at "
      + "which all of a row's were evaluated. Band: 95 % t-interval over seeds alone; † one seed, no band. "
      + "Dashed: the start; dotted: the target; a ring on it: where the row reaches it for good, median over seeds."
      + (more > 0 ? ` ${plural(more, "row")} more can be ticked in the legend.` : "")),
    columns.length > 0 && el("section", {},
      el("h3", {}, `The way to the target, in ${table.axis.replaceAll("_", " ")}`),
      el("div", { class: "tools" }, forms()),
      scoreTable(table, columns, sorted(table, filtered(table)))),
    reading(table),
  ];
}
