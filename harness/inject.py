"""`groupbench leaderboard --inject`: a program's tables between the markers of a Markdown file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from .errors import UserError

if TYPE_CHECKING:
    from leaderboard.records import Axis


def inject(
    path: Path | None, results: Path, out: Path | None, axis: str | None, tables: Path | None,
    submissions: Path | None, check: bool,
) -> int:  # fmt: skip
    """Fill the file at `path` and write the program's own files; with `check` neither.

    Returns the exit code: 1 where `check` finds that the file would change. Markers are looked at before any record.
    """
    from leaderboard import build, programs
    from leaderboard.export import inject as into

    from .commands import say

    if path is None:
        raise UserError("--check: needs --inject FILE, which is compared with what it should be")
    if tables is None:
        raise UserError(f"--inject {path}: needs --tables PROGRAM.toml, whose tables are put there")
    program = programs.load(tables)
    before = into.read(path)
    into.places(before, {table.name for table in program.tables}, path)
    try:
        built = build.build_program(results, program, out, cast("Axis | None", axis), submissions, files=False)
        after = into.injected(before, build.for_injection(built, program), path)
        written = [] if check else build.write_program(built, program, results if out is None else out)
    except OSError as error:
        raise UserError(f"leaderboard: {error.filename}: {error.strerror}") from None
    for place in written:
        say(f"wrote {place}")
    if before == after:
        say(f"{path}: up to date")
        return 0
    if check:
        say(f"{path}: would change; the same command without --check changes it")
        return 1
    into.write(path, after)
    say(f"wrote {path}")
    return 0
