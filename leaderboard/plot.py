"""The convergence figure: held-out accuracy, or reward, against what was spent; mean and 95 % t-interval over seeds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .analysis import Analysis
from .curves import Curve, curve, start
from .records import Axis, Measure
from .runs import MODES, Mode, Row
from .tables import ordered
from .words import AXIS_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which stays distinguishable under every common colour blindness, darkest contrasts first;
# markers and dashes repeat the distinction for print without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)))
GREY = "#6f6f6f"
START: dict[str, Any] = {"color": GREY, "linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 1.5}
TARGET: dict[str, Any] = START | {"linestyle": (0, (1, 2))}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
    "font.size": 9,
    "axes.edgecolor": "#4d4d4d",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.axisbelow": True,
    "figure.dpi": 100,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,  # TrueType: what publishers' checks ask for
    "savefig.dpi": 200,
    "svg.fonttype": "path",
    "svg.hashsalt": "groupbench",  # ids in the SVG would be random otherwise
    "text.parse_math": False,  # a label may hold a dollar sign
    "xtick.color": "#4d4d4d",
    "ytick.color": "#4d4d4d",
}


# What each format would say of the day and of the program, and does not.
METADATA = {"svg": ("Date",), "png": ("Software",), "pdf": ("CreationDate", "Creator", "Producer")}


@dataclass(frozen=True)
class Panel:
    """What one of the two shows."""

    mode: Mode
    measure: Measure
    title: str


def panels(analysis: Analysis) -> tuple[Panel, Panel]:
    """Sampled and greedy decoding; where gold is recorded, reward and gold in the view's mode."""
    mode, measure = analysis.view.metric, analysis.measure
    cells = [cell for row in analysis.rows for cell in row.done]
    if measure == "reward" and any(cell.measured(mode, "gold") for cell in cells):
        proxy = Panel(mode, "reward", f"{mode} decoding: reward (proxy)")
        return proxy, Panel(mode, "gold", f"{mode} decoding: gold")
    sampled, greedy = (Panel(mode, measure, f"{mode} decoding") for mode in MODES)
    return sampled, greedy


def draw(analysis: Analysis, path: Path, title: str | None = None) -> list[Path]:
    """Write and return `path` with .svg, .png and .pdf added. The same records give the same bytes."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a label may hold what the font does not: it is drawn as a box
        matplotlib.rcdefaults()  # not the user's matplotlibrc
        matplotlib.rcParams.update(STYLE)
        shown = figure(analysis, title)
        written = {path.with_name(f"{path.name}.{kind}"): nothing for kind, nothing in METADATA.items()}
        for place, nothing in written.items():
            shown.savefig(place, metadata=dict.fromkeys(nothing))
    return list(written)


def figure(analysis: Analysis, title: str | None = None) -> Figure:
    """Two `panels` on the view's axis: one line and band a row, the best on top.

    The start is dashed, the target dotted in the panel of what rows are ranked by; rows without a finished seed are
    named. Reward and gold, of one unit, have one scale: a gold that stands still while the reward climbs looks it.
    """
    from matplotlib.figure import Figure

    rows, axis = ordered(analysis), analysis.view.axis
    looks = looks_of(rows)
    shown = Figure(figsize=(9.2, 4.4))
    shown.set_layout_engine("constrained", wspace=0.04)
    drawn = panels(analysis)
    gold = drawn[1].measure == "gold"
    axes = shown.subplots(1, 2, sharey=gold)  # else each on its own: greedy accuracy is often far above sampled
    for ax, panel in zip(axes, drawn, strict=True):
        _panel(ax, rows, looks, panel, axis)
        ranked = (panel.mode, panel.measure) == (analysis.view.metric, analysis.measure)
        if ranked and analysis.target is not None:
            ax.axhline(_factor(panel.measure) * analysis.target, **TARGET)
    axes[0].set_ylabel("held-out accuracy (%)" if analysis.measure == "accuracy" else "held-out reward")
    if gold:
        axes[1].yaxis.set_tick_params(labelleft=True)
    _legend(shown, rows, looks, analysis.target is not None)
    if title:
        shown.suptitle(title, x=0.012, ha="left", fontsize=11, fontweight="bold")
    return shown


def looks_of(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """A look for each row by its label, not by its rank: an algorithm keeps its colour when the order changes."""
    return {
        label: {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number % len(MARKERS)],
            "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
            "markeredgecolor": "white",
            "markeredgewidth": 0.6,
        }
        for number, label in enumerate(sorted(row.label for row in rows))
    }


def _factor(measure: Measure) -> int:
    """By which a value is multiplied to be drawn: accuracies are in %."""
    return 100 if measure == "accuracy" else 1


def _panel(ax: Axes, rows: Sequence[Row], looks: dict[str, dict[str, Any]], panel: Panel, axis: Axis) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    mode, measure = panel.mode, panel.measure
    for depth, row in enumerate(rows):
        _draw_row(ax, curve(row, mode, measure), axis, looks[row.label], 1 - depth / len(rows), measure)
    level = start(rows, mode, measure)
    if level is not None:
        ax.axhline(_factor(measure) * level, **START)
    if not any(cell.measured(mode, measure) for row in rows for cell in row.done):
        ax.text(0.5, 0.5, "no finished seed", transform=ax.transAxes, ha="center", color=GREY)
    ax.set_title(panel.title, loc="left")
    ax.set_xlabel(AXIS_NAMES[axis] if axis == "steps" else f"{AXIS_NAMES[axis]} (mean over seeds)")
    ax.margins(x=0.02)
    if axis in ("steps", "optimizer_steps"):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    elif axis != "seconds":  # 500 m s would be read as metres
        ax.xaxis.set_major_formatter(EngFormatter(sep=" "))


def _draw_row(ax: Axes, drawn: Curve, axis: Axis, look: dict[str, Any], on_top: float, measure: Measure) -> None:
    """One line and, where there is more than one seed, its band, an accuracy's cut at 0 and 100 %; `on_top`: (0, 1]."""
    x, factor = drawn.x(axis), _factor(measure)
    ax.plot(x, factor * drawn.mean, zorder=3 + on_top, **look)
    if drawn.half is not None:
        least, most = (0.0, 1.0) if measure == "accuracy" else (-math.inf, math.inf)
        low = factor * (drawn.mean - drawn.half).clip(least, None)
        high = factor * (drawn.mean + drawn.half).clip(None, most)
        ax.fill_between(x, low, high, color=look["color"], alpha=0.08, linewidth=0, zorder=1 + on_top)
        for edge in (low, high):  # so that overlapping bands can be told apart
            ax.plot(x, edge, color=look["color"], alpha=0.3, linewidth=0.6, zorder=2 + on_top)


def _legend(shown: Figure, rows: Sequence[Row], looks: dict[str, dict[str, Any]], target: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **(looks[row.label] if row.done else {"linestyle": "none"})) for row in rows]
    handles += [Line2D([], [], **START)] + [Line2D([], [], **TARGET)] * target
    names = [*map(_name, rows), "start"] + ["target"] * target
    columns = 130 // (8 + max(map(len, names)))  # 130 characters fit across the figure, 8 are the line's
    columns = max(1, min(4, len(handles), columns))
    shown.set_figheight(4.0 + 0.19 * math.ceil(len(handles) / columns))  # the panels keep their size
    shown.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        title="line: mean over seeds; band: 95 % t-interval over seeds alone"
        + "; †: one seed, no interval" * any(len(row.done) == 1 for row in rows),
        title_fontsize=8,
    )


def _name(row: Row) -> str:
    """The label, with what a reader of the band must know: how many seeds it stands on."""
    done, planned = len(row.done), len(row.cells)
    of = f"{done}" if done == planned else f"{done} of {planned}"
    return f"{row.label}, {of} seed{'' if planned == 1 else 's'}{' †' if done == 1 else ''}"
