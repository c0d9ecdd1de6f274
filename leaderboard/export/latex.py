"""Grids as LaTeX tables (booktabs) for a paper to read in: plain ASCII, every special character escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ..columns import Entry, Kind
from ..tables import Grid
from ..words import budget
from . import formats

PREAMBLE = "% \\usepackage{booktabs} and, for tables wider than the page, \\usepackage{graphicx}\n"
ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
    "|": r"\textbar{}", **{c: f"\\{c}" for c in "&%$#_{}"},
    "±": r"$\pm$", "−": r"$-$", "–": "--", "→": r"$\rightarrow$", "×": r"$\times$", "∞": r"$\infty$", "Δ": r"$\Delta$",
    "≥": r"$\geq$", "≤": r"$\leq$", "…": r"\ldots{}", "†": r"$\dagger$", "‡": r"$\ddagger$", "’": "'", "\u00a0": "~",
}  # fmt: skip
MARKS = {"*": "^{*}", "**": "^{**}", "†": r"^{\dagger}", "‡": r"^{\ddagger}"}
GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"


def document(grids: Sequence[Grid]) -> str:
    """One table environment a grid."""
    return PREAMBLE + "".join(f"\n{table(grid)}" for grid in grids)


def table(grid: Grid) -> str:
    """A `table*` no wider than the page; caption, then a row a line, the rows not worse than the best in bold."""
    spec = "".join("l" if header.kind == "text" else "r" for header in grid.headers)
    second = _second(grid)
    lines = [" & ".join(escape(header.heading) for header in grid.headers)]
    for number, line in enumerate(grid.lines):
        entries = zip(grid.headers, line.entries, strict=True)
        lines.append(" & ".join(entry_text(h.kind, e, second.get(h.name) == number) for h, e in entries))
    head, *body = (f"{line} \\\\" for line in lines)
    return "\n".join([
        r"\begin{table*}[t]",
        r"\centering",
        f"\\caption{{{escape(caption(grid))}}}",
        f"\\label{{tab:{label(grid)}}}",
        r"\small",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        f"\\begin{{tabular}}{{@{{}}{spec}@{{}}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table*}",
        "",
    ])  # fmt: skip


def caption(grid: Grid) -> str:
    """What the table shows, of which runs, and how to read it."""
    source = grid.source
    of = (
        [] if source is None else [f"{source.task}, {source.model or 'model unknown'}; budget {budget(source.budget)}."]
    )
    title = [f"{grid.title}."] if grid.title else []
    return " ".join([*title, *of, *grid.caption])


def label(grid: Grid) -> str:
    """`accuracy-arithmetic`."""
    name = grid.name if grid.source is None else f"{grid.name}-{grid.source.slug}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in name)


def entry_text(kind: Kind, entry: Entry, second: bool = False) -> str:
    """Bold where it is not significantly worse than the best, underlined where it comes next."""
    text = escape(formats.text(kind, entry))
    text = f"\\textbf{{{text}}}" if entry.bold else f"\\underline{{{text}}}" if second else text
    return f"{text}${MARKS[entry.mark]}$" if entry.mark else text


def escape(text: str) -> str:
    """Text for LaTeX, in ASCII; a character that it has no name for is spelled out rather than lost."""
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    if c in ESCAPES:
        return ESCAPES[c]
    if c.isascii():
        return c
    words = unicodedata.name(c, "").lower().split()
    if words[:1] == ["greek"] and words[-1].replace("lamda", "lambda") in GREEK.split():
        name = words[-1].replace("lamda", "lambda")
        return f"${chr(92)}{name.capitalize() if words[1] == 'capital' else name}$"
    plain = unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode()
    return "".join(map(_character, plain)) if plain else f"[U+{ord(c):04X}]"


def _second(grid: Grid) -> dict[str, int]:
    """By column with bold entries: the highest of the others."""
    found = {}
    for n, header in enumerate(grid.headers):
        entries = [line.entries[n] for line in grid.lines]
        others = [i for i, e in enumerate(entries) if e.value is not None and not e.bold and not grid.lines[i].control]
        if others and any(entry.bold for entry in entries):
            found[header.name] = max(others, key=lambda i: entries[i].value)  # type: ignore[arg-type,return-value]
    return found
