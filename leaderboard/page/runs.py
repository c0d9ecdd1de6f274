"""A page for every run: its numbers, curves and examples, what it was made of, and how to make it again.

    OUT/runs/<cell>.html     one file each, which works alone from a file:// address
             <cell>-2.html   and so on, where all examples are asked for: the next fifty of them

The same records give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from .. import reading
from ..records import CellRecord, RecordError, Status, StepRecord
from ..runs import Cell, Row, Table
from ..selection import Archive
from ..words import one_line
from . import curves, examples, figures, finals, provenance
from .examples import EXAMPLES, PER_PAGE, STEPS, Examples
from .judgements import Comparison, Judgements
from .markup import Content, Markup, element, folded, joined, link
from .shell import document
from .texts import Texts

FOLDER = "runs"
INDEX = "../index.html"
LIMIT = 2 * 2**20  # bytes of one file


def write_runs(archive: Archive, out: Path, shown: Examples = "sample") -> list[Path]:
    """Write a page for each run that was started, and return the paths.

    `shown` examples: none, the first fifty of a run's last held-out evaluation, or all, fifty a file. Raises
    RecordError where records cannot be read.
    """
    if shown not in EXAMPLES:
        raise RecordError(f"examples {shown!r}: expected one of {', '.join(EXAMPLES)}")
    names, judged, paths = page_names(archive), dict[Path, Judgements](), list[Path]()
    folder = Path(out) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for source in archive.tables:
        for row in (*source.rows, *source.earlier):
            siblings = [(cell.seed, names[cell.folder]) for cell in row.cells if cell.folder in names]
            for cell in row.cells:
                if cell.folder is None or cell.folder not in names:
                    continue
                root = _root(cell.folder)
                judgements = judged.setdefault(root, Judgements(root))
                run = _Run(names[cell.folder], source, row, cell, cell.folder, siblings, shown, judgements)
                paths += run.write(folder)
    return paths


def page_names(archive: Archive) -> dict[Path, str]:
    """Folder of each run that was started -> name of its page, without `.html`: the run's id.

    Where two benchmarks hold the same run, the second one's is `<id>.2`; an id that is no file's name is hashed.
    """
    names: dict[Path, str] = {}
    seen: dict[str, int] = {}
    rows = [row for table in archive.tables for row in (*table.rows, *table.earlier)]
    for folder in (cell.folder for row in rows for cell in row.cells):
        if folder is not None and (folder / "cell.json").exists():
            name = folder.name if re.fullmatch(r"[0-9A-Za-z][\w-]{0,63}", folder.name, re.ASCII) else _hash(folder.name)
            seen[name] = seen.get(name, 0) + 1
            names[folder] = name if seen[name] == 1 else f"{name}.{seen[name]}"
    return names


@dataclass(frozen=True)
class _Run:
    """One run on its way to its page."""

    name: str
    table: Table
    row: Row
    cell: Cell
    folder: Path
    siblings: Sequence[tuple[int, str]]  # seed and page of each run of the row
    shown: Examples
    judgements: Judgements

    @cached_property
    def record(self) -> tuple[CellRecord, Status | None]:
        """cell.json and status.json."""
        return reading.cell(self.folder)

    @cached_property
    def steps(self) -> Sequence[StepRecord]:
        """Of an unfinished run as well."""
        return self.cell.steps or reading.steps(self.folder)

    @cached_property
    def evals(self) -> curves.Evals:
        """Of an unfinished run as well."""
        return self.cell.evals or reading.evaluations(self.folder)

    @cached_property
    def comparisons(self) -> Sequence[Comparison]:
        """What judges said of it."""
        return self.judgements.of(self.folder) if self.shown != "none" else ()

    @property
    def earlier(self) -> bool:
        """Whether a plug-in's file makes another run of it now."""
        return self.row in self.table.earlier

    @property
    def title(self) -> str:
        """Label, task and seed."""
        return f"{one_line(self.row.label)} on {one_line(self.table.task)}, seed {self.cell.seed}"

    @property
    def examples(self) -> int:
        """How many the last evaluation has records of."""
        if self.shown == "none":
            return 0
        return max((e["examples"] for e in examples.last(self.evals).values() if "items" in e), default=0)

    def write(self, folder: Path) -> list[Path]:
        """Write the run's files."""
        longest = max([self.examples, *(len(one.ids) for one in self.comparisons)], default=0)
        pages = max(1, -(-longest // PER_PAGE)) if self.shown == "all" else 1
        paths = []
        for page in range(pages):
            path = folder / _file(self.name, page)
            path.write_bytes(self.page(page, pages).encode("utf-8", "replace"))
            paths.append(path)
        return paths

    def page(self, page: int, pages: int) -> str:
        """The file's content; the run itself is on the first page, further ones have examples alone."""
        panels = {} if page else {
            "Learning": curves.learned(self.steps, self.evals), "Conduct": curves.conduct(self.steps, self.evals),
            "The algorithm's own numbers": curves.own(self.steps),
        }  # fmt: skip
        texts = Texts()
        data = self._examples(page, texts) | figures.data([panel for group in panels.values() for panel in group])
        body = joined([self._header(page), element("main", [*self._parts(page, pages, panels)])])
        title = self.title + f", page {page + 1}" * (page > 0)

        def whole(said: dict[str, Any]) -> str:
            return document(title, body, _asset("run.css"), _asset("run.js"), data | said)

        made = whole(texts.data())
        if _size(made) > LIMIT:
            made = whole(texts.data(LIMIT - _size(whole(Texts().data()))))
        return made

    def _examples(self, page: int, texts: Texts) -> dict[str, Any]:
        if self.shown == "none":
            return {"heldout": None, "pairs": [], "samples": []}
        found = examples.heldout(self.folder, self.evals, page, texts)
        compared = [examples.pairs(one, page, texts) for one in self.comparisons if len(one.ids) > page * PER_PAGE]
        steps = [step["step"] for step in self.steps]
        return {
            "heldout": {"first": page * PER_PAGE, "total": self.examples, "items": found} if found else None,
            "pairs": compared,
            "samples": [] if page else examples.samples(self.folder, steps, STEPS[self.shown], texts),
            "sampled": len(steps),
        }

    # --- what is on it ---

    def _header(self, page: int) -> Markup:
        back = [link("← Leaderboard", INDEX), *([link("This run", f"{self.name}.html")] if page else [])]
        places = [] if page else [link(text, f"#{place}") for place, text in PLACES]
        facts: list[Content] = [
            element("span", self.cell.state, {"class": f"state {self.cell.state}"}),
            f"task {one_line(self.table.task)}", f"model {one_line(str(self.table.model))}",
            f"benchmark {one_line(self.table.benchmark)}", _seeds(self.siblings, self.name),
        ]  # fmt: skip
        return element("header", [
            element("nav", [*back, *places], {"aria-label": "Page"}),
            element("h1", [one_line(self.row.label), element("span", f" seed {self.cell.seed}", {"class": "seed"})]),
            element("p", [piece if isinstance(piece, Markup) else element("span", piece) for piece in facts],
                    {"class": "subtitle"}),
        ])  # fmt: skip

    def _parts(self, page: int, pages: int, panels: dict[str, list[figures.Panel]]) -> list[Markup]:
        browser = _section("examples", "Examples", self._browser(page, pages))
        if page:
            return [browser]
        record, status = self.record
        return [
            _section("numbers", "Final numbers", self._numbers(status)),
            _section("curves", "Learning curves", _curves(panels)),
            browser,
            _section("again", "Run it again", provenance.reproduction(record, self.name, self.earlier)),
            _section("provenance", "Provenance", provenance.origin(record, status)),
            _section("algorithm", "What the algorithm computes", provenance.card(record)),
            _section("specification", "Specification", provenance.specification(record["spec"])),
        ]

    def _numbers(self, status: Status | None) -> Markup:
        parts: list[Markup] = []
        if self.cell.state != "done":
            why = f": {one_line(status['error'])}" if status and status["error"] else ""
            at = f" at step {status['step']}" if status else ""
            said = f"This run is {self.cell.state}{at}{why}. It counts for nothing on the leaderboard."
            parts.append(element("p", said, {"class": "note"}))
        if self.earlier:
            said = "A plug-in's file was edited after this run, and makes another one now. It stands in no table."
            parts.append(element("p", said, {"class": "note"}))
        if not finals.ends(self.evals):
            return joined([*parts, element("p", "Nothing was evaluated.")])
        parts += [finals.finals(self.evals), element("h3", "Spent on training"), finals.spent(self.evals)]
        if not self.earlier:
            parts.append(element("p", ["Beside other runs, with intervals: ", link("the leaderboard", INDEX), "."]))
        return joined(parts)

    def _browser(self, page: int, pages: int) -> Markup:
        if self.shown == "none":
            return element("p", "This page was made without examples (--examples none).")
        parts: list[Markup] = []
        texts = "texts of held-out examples are kept at a run's last evaluation, which this one has not reached"
        if self.cell.state != "done":
            parts.append(element("p", f"Unfinished: {texts}.", {"class": "note"}))
        if pages > 1:
            links = [
                element(
                    "a", str(n + 1), {"href": _file(self.name, n)} | ({"aria-current": "page"} if n == page else {})
                )
                for n in range(pages)
            ]
            parts.append(
                element("nav", ["Examples, fifty a page: ", *links], {"class": "pages", "aria-label": "Examples"})
            )
        elif self.examples > PER_PAGE:
            said = f"The first {PER_PAGE} of {self.examples} held-out examples, in the evaluation's own order: always"
            parts.append(element("p", f"{said} the same ones. --examples all writes the others too."))
        parts.append(element("div", "", {"id": "browser"}))
        parts.append(element("noscript", "Examples need JavaScript; nothing is loaded from anywhere."))
        return joined(parts)


PLACES = (
    ("numbers", "Numbers"), ("curves", "Curves"), ("examples", "Examples"), ("again", "Run it again"),
    ("provenance", "Provenance"),
)  # fmt: skip


def _curves(panels: dict[str, list[figures.Panel]]) -> Markup:
    parts, number_of = [], 0
    for heading, group in panels.items():
        drawn = [figures.figure(panel, f"p{number_of + n}") for n, panel in enumerate(group)]
        number_of += len(group)
        if drawn:
            grid = element("div", drawn, {"class": "grid-of-panels"})
            own = heading == "The algorithm's own numbers"
            parts += [folded(heading, grid)] if own else [element("h3", heading), grid]
    if not parts:
        return element("p", "No step and no evaluation was recorded.")
    return joined([*parts, folded("The numbers as tables", element("div", "", {"id": "tables"}))])


def _section(name: str, heading: str, content: Markup) -> Markup:
    return element("section", [element("h2", heading, {"id": f"{name}-h"}), content],
                   {"id": name, "aria-labelledby": f"{name}-h"})  # fmt: skip


def _seeds(siblings: Sequence[tuple[int, str]], own: str) -> Markup:
    """The runs of the same row."""
    said: list[Content] = []
    for seed, name in siblings:
        shown = element("b", str(seed)) if name == own else link(str(seed), f"{name}.html")
        said += [" ", shown]
    return element("span", joined([f"seed{'s' * (len(siblings) > 1)}", *map(joined, said)]))


def _file(name: str, page: int) -> str:
    return f"{name}.html" if page == 0 else f"{name}-{page + 1}.html"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _root(cell: Path) -> Path:
    """The results folder that a run lies in."""
    return cell.parent.parent if cell.parent.name == "cells" else cell


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")
