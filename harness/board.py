"""`groupbench leaderboard`: tables, figures and pages from what runs left on disk. Loads no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from .console import console, say
from .errors import UserError

if TYPE_CHECKING:
    from leaderboard.build import Built
    from leaderboard.page.examples import Examples
    from leaderboard.programs import Program
    from leaderboard.records import Axis
    from leaderboard.verdicts import Judged


@dataclass(frozen=True)
class Options:
    """What the command was asked for besides a folder of results."""

    out: Path | None = None
    axis: str | None = None
    tables: Path | None = None  # a program of one's own
    submissions: Path | None = None
    inject: Path | None = None  # a file whose markers are filled with the program's tables
    check: bool = False  # whether that would change it, and nothing else
    examples: str | None = None  # on the runs' pages


def run(results: Path, asked: Options) -> int:
    """See `groupbench leaderboard`. Returns the exit code: 1 where `check` finds that the file would change."""
    _refuse(asked)
    if asked.tables is not None:
        return _program(results, asked.tables, asked)
    built = tables(results, asked)
    if asked.out is not None:
        page(built, results, asked.out, _run_pages(built, asked.out, cast("Examples", asked.examples or "sample")))
    else:
        page(built, results, results)
    return 0


def _refuse(asked: Options) -> None:
    from leaderboard.page.examples import EXAMPLES

    if asked.examples is not None and asked.examples not in EXAMPLES:
        raise UserError(f"leaderboard: --examples {asked.examples}; allowed: {', '.join(EXAMPLES)}")
    if asked.examples is not None and (asked.out is None or asked.tables is not None):
        raise UserError("leaderboard: --examples are on the runs' pages, which --out makes, without --tables")
    if asked.inject is not None and asked.tables is None:
        raise UserError(f"--inject {asked.inject}: needs --tables PROGRAM.toml, whose tables are put there")
    if asked.check and asked.inject is None:
        raise UserError("--check: needs --inject FILE, which is compared with what it should be")


def tables(results: Path, asked: Options = Options()) -> Built:
    """The leaderboard's tables and figures, written and, in short, printed."""
    from leaderboard import build

    on = cast("Axis | None", asked.axis)  # a free string here; build checks it
    with _unwritable():
        built = build.build(results, asked.out, on, submissions=asked.submissions)
    for table in build.terminal(built.archive, on):
        console.print(table)
    _say_written(built.paths)
    return built


def page(built: Built, results: Path, out: Path, run_pages: dict[Path, str] | None = None) -> None:
    """The leaderboard for a browser: with what `results` holds of papers' tables, win rates, and claims."""
    from leaderboard.claims import findings, gather
    from leaderboard.page import index, judged, papers
    from leaderboard.page.data import Extras

    from .judging.side import of_verdicts
    from .papers import departures

    beside = gather.beside([results])
    side = of_verdicts(beside.every)
    said = findings(built.archive, beside.lab, beside.judged, side, departures=departures.of)
    verdicts: dict[str, list[Judged]] = {}
    for one in beside.judged:
        verdicts.setdefault(one.benchmark, []).extend(one.judged)
    shaped = papers.find(built.archive, verdicts, of_verdicts, departures.of)
    extras = Extras(shaped, judged.find(results, of_verdicts), said, run_pages or {})
    with _unwritable():
        _say_written(index.write(built, out, extras))


def _run_pages(built: Built, out: Path, examples: Examples) -> dict[Path, str]:
    """A page for every run; what they are called, by the runs' folders."""
    from leaderboard.page import runs

    with _unwritable():
        written = runs.write_runs(built.archive, out, examples)
    say(f"wrote {len(written)} pages of runs into {out / runs.FOLDER}")
    return runs.page_names(built.archive)


def _program(results: Path, tables: Path, asked: Options) -> int:
    """A program's tables, printed and written; see `_inject` for those that a file wants."""
    from leaderboard import build, programs

    program = programs.load(tables)
    if asked.inject is not None:
        return _inject(results, program, asked.inject, asked)
    with _unwritable():
        built = build.build_program(results, program, asked.out, cast("Axis | None", asked.axis), asked.submissions)
    for section in built.markdown:
        say(section)
    for name in built.empty:
        say(f"note: table {name} finds no run, and is left out")
    _say_written(built.paths)
    return 0


def _inject(results: Path, program: Program, target: Path, asked: Options) -> int:
    """Fill the file between its markers, which are looked at before any record, and write the program's own files."""
    from leaderboard import build
    from leaderboard.export import inject as into

    before = into.read(target)
    into.places(before, {table.name for table in program.tables}, target)
    with _unwritable():
        built = build.build_program(
            results, program, asked.out, cast("Axis | None", asked.axis), asked.submissions, files=False
        )
        after = into.injected(before, build.for_injection(built, program), target)
        out = results if asked.out is None else asked.out
        _say_written([] if asked.check else build.write_program(built, program, out))
    if before == after:
        say(f"{target}: up to date")
        return 0
    if asked.check:
        say(f"{target}: would change; the same command without --check changes it")
        return 1
    into.write(target, after)
    say(f"wrote {target}")
    return 0


@contextmanager
def _unwritable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"leaderboard: {error.filename}: {error.strerror}") from None


def _say_written(paths: Sequence[Path]) -> None:
    for path in paths:
        say(f"wrote {path}")
