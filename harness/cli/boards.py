"""Commands that turn what runs left on disk into tables, pages and verdicts, and what others handed in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import Plugin, app


@app.command()
def leaderboard(
    results: Annotated[Path, typer.Argument(help="A results folder, or a folder of several.")],
    out: Annotated[Path | None, typer.Option(help="Where tables and figures go; default: the results folder.")] = None,
    axis: Annotated[
        str | None, typer.Option(help="What curves and ways to a target are measured on, e.g. generated_tokens.")
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(help="A TOML file of tables to be made instead; see docs/tables.md.")
    ] = None,
    submissions: Annotated[
        Path | None, typer.Option(help="A folder of submissions, beside those in RESULTS/submissions.")
    ] = None,
    inject: Annotated[
        Path | None, typer.Option(help="A Markdown file whose markers are filled with the tables; see docs/tables.md.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 where --inject would change the file.")
    ] = False,
    examples: Annotated[
        str | None, typer.Option(help="On the runs' pages, which --out has: none, sample (the default) or all.")
    ] = None,
) -> None:
    """Make tables (Markdown, CSV, LaTeX) and figures (SVG, PNG, PDF) from what runs left; with --out, run pages."""
    from .. import board

    sys.exit(board.run(results, board.Options(out, axis, tables, submissions, inject, check, examples)))


@app.command()
def submit(
    run: Annotated[Path, typer.Argument(help="A results folder with a benchmark.json, or the folder of one cell.")],
    out: Annotated[Path, typer.Option(help="The folder of submissions; it is written to OUT/NAME.")],
    name: Annotated[str | None, typer.Option(help="Of the submission; default: the benchmark's.")] = None,
    by: Annotated[str, typer.Option(help="Who made it.")] = "",
    note: Annotated[str, typer.Option(help="One line, shown with its rows.")] = "",
    row: Annotated[list[str] | None, typer.Option(help="A row's label; may be repeated; default: all.")] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="With prompts, references and responses, so that others can grade again.")
    ] = False,
) -> None:
    """Pack a run for a pull request: records and items without weights; see docs/submissions.md."""
    from .. import submissions

    sys.exit(submissions.submit(run, out, name, by, note, row or [], texts))


@app.command()
def verify(
    paths: Annotated[list[Path], typer.Argument(help="Submissions, or folders of them.")],
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON; -: to standard output.")] = None,
) -> None:
    """Compute every score of submissions again from their items. Exit codes: 0 verified, 1 a fault, 2 usage."""
    from .. import submissions

    sys.exit(submissions.verify(paths, json))


@app.command()
def claims(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Folders of runs, verdicts and the lab's record; default: results.")
    ] = None,
    paper: Annotated[str | None, typer.Option(help="gift or gft alone.")] = None,
    json: Annotated[Path | None, typer.Option(help="The findings as JSON, to this file as well.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where claims.md and claims.json go; default: the first folder.")
    ] = None,
) -> None:
    """Hold the papers' claims to what runs left on disk: supported, refuted, inconclusive, or not run and how to."""
    from .. import claims

    sys.exit(claims.run(results or [], paper, json, out))


@app.command()
def reproduce(
    paper: Annotated[str, typer.Argument(help="gift or gft")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings of all its recipes: key.sub=value, or key+=[...].")
    ] = None,
    scale: Annotated[str, typer.Option(help="tiny (two cores, minutes), small (one GPU) or paper")] = "tiny",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all, list the cells and what they cost, run nothing.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the studies' results and of the tables.")] = Path(
        "results/papers"
    ),
    jobs: Annotated[
        int | None, typer.Option(help="Cells at the same time; default: one a core, on a GPU one.", min=1)
    ] = None,
    plugin: Plugin = None,
) -> None:
    """Run what is missing of a paper's studies and put its tables beside the published ones."""
    from ..papers import command

    sys.exit(command.run(paper, scale, dry_run, out, jobs, overrides or [], plugin or []))
