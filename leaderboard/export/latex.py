"""Grids as LaTeX tables (booktabs) for a paper to read in: plain ASCII, every special character escaped."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from ..columns import Entry, Kind
from ..tables import Grid, Header
from . import formats
from .tex import escape

PREAMBLE = "% \\usepackage{booktabs,graphicx}\n"
MARKS = {"*": "^{*}", "**": "^{**}", "†": r"^{\dagger}", "‡": r"^{\ddagger}"}
UNDERLINED = "Underlined: the highest of those that are significantly worse than the best."
WIDE = 14  # characters of a heading, beyond which it is broken into lines


def document(grids: Sequence[Grid]) -> str:
    """One table environment a grid; every label once."""
    labels = [label(grid) for grid in grids]
    seen: Counter[str] = Counter()
    parts = [PREAMBLE]
    for grid, name in zip(grids, labels, strict=True):
        seen[name] += 1
        parts.append(table(grid, name if seen[name] == 1 else f"{name}-{seen[name]}"))
    return "\n".join(parts)


def table(grid: Grid, name: str) -> str:
    """A `table*` no wider than the page: caption, rows (those not worse than the best in bold), and notes below.

    `name` is its label's.
    """
    spec = "".join("l" if header.kind == "text" else "r" for header in grid.headers)
    second = _second(grid)
    body = []
    for number, line in enumerate(grid.lines):
        if line.control and number and not grid.lines[number - 1].control:
            body.append(r"\midrule")
        entries = enumerate(zip(grid.headers, line.entries, strict=True))
        body.append(" & ".join(entry_text(h.kind, e, second.get(n) == number) for n, (h, e) in entries) + r" \\")
    notes = [*grid.caption, *([UNDERLINED] if second else [])]
    return "\n".join([
        r"\begin{table*}[t]",
        r"\centering",
        f"\\caption{{{escape(caption(grid))}}}",
        f"\\label{{tab:{name}}}",
        r"\smallskip\small",  # article has no space between a caption and what is below it
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        f"\\begin{{tabular}}{{@{{}}{spec}@{{}}}}",
        r"\toprule",
        *_head(grid.headers),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        *([f"\\par\\smallskip\\parbox{{\\textwidth}}{{\\footnotesize {escape(' '.join(notes))}}}"] if notes else []),
        r"\end{table*}",
        "",
    ])  # fmt: skip


def caption(grid: Grid) -> str:
    """What the table shows, and of which runs."""
    source = grid.source
    if source is None:
        return f"{grid.title}."
    of = f"{source.task}, {source.model or 'model unknown'}"
    return f"{f'{grid.title}: {of}' if grid.title else of}. {grid.conditions}"


def label(grid: Grid) -> str:
    """`accuracy-arithmetic`."""
    name = f"{grid.name}-{grid.model if grid.source is None else grid.source.slug}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in name)


def entry_text(kind: Kind, entry: Entry, second: bool = False) -> str:
    """Bold where it is not significantly worse than the best, underlined where it comes next."""
    text = escape(formats.text(kind, entry))
    text = f"\\textbf{{{text}}}" if entry.bold else f"\\underline{{{text}}}" if second else text
    return f"{text}${MARKS[entry.mark]}$" if entry.mark else text


def _head(headers: Sequence[Header]) -> list[str]:
    """Headings; those that share what stands before their colon have it above them, once."""
    groups = [(group, list(found)) for group, found in groupby(headers, key=lambda header: _split(header)[0])]
    if not any(group and len(found) > 1 for group, found in groups):
        return [" & ".join(_heading(header.heading, header.kind) for header in headers) + r" \\"]
    above, rules, below, column = [], [], [], 1
    for group, found in groups:
        last = column + len(found) - 1
        if group and len(found) > 1:
            above.append(f"\\multicolumn{{{len(found)}}}{{c}}{{{escape(group)}}}")
            rules.append(f"\\cmidrule(lr){{{column}-{last}}}")
            below += [_heading(_split(header)[1], header.kind) for header in found]
        else:
            above += [""] * len(found)
            below += [_heading(header.heading, header.kind) for header in found]
        column = last + 1
    return [" & ".join(above) + r" \\", "".join(rules), " & ".join(below) + r" \\"]


def _split(header: Header) -> tuple[str, str]:
    group, colon, rest = header.heading.partition(": ")
    return (group, rest) if colon else ("", group)


def _heading(text: str, kind: Kind) -> str:
    lines = textwrap.wrap(text, WIDE, break_long_words=False) or [""]
    if len(lines) == 1:
        return escape(text)
    broken = r"\\".join(map(escape, lines))
    return f"\\begin{{tabular}}[b]{{@{{}}{'l' if kind == 'text' else 'r'}@{{}}}}{broken}\\end{{tabular}}"


def _second(grid: Grid) -> dict[int, int]:
    """By column with bold entries: the highest of the others that a test could have put among them."""
    found = {}
    for n in range(len(grid.headers)):
        entries = [line.entries[n] for line in grid.lines]
        values = {
            i: entry.value
            for i, (entry, line) in enumerate(zip(entries, grid.lines, strict=True))
            if entry.value is not None and not entry.bold and not entry.mark and not line.control
        }
        if values and any(entry.bold for entry in entries):
            found[n] = max(values, key=lambda i: values[i])
    return found
