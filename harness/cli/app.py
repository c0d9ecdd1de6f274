"""The application that all commands belong to, and the options that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich takes longer than all the rest of --help
    context_settings={"max_content_width": 120},
    help="Train language models with group-based algorithms under one protocol, and compare them.",
)
Plugin = Annotated[
    list[Path] | None,
    typer.Option(help="A Python file that registers algorithms, tasks or judges; may be repeated."),
]
Judge = Annotated[
    str | None,
    typer.Option(
        help="KIND:MODEL: openai:gpt-4.1, engine:MODEL, reward_model:MODEL, replay:FILE, mock, or a plug-in's."
    ),
]
JudgeSet = Annotated[
    list[str] | None,
    typer.Option(help="KEY=VALUE for the judge, e.g. base_url=http://127.0.0.1:8000/v1; may be repeated."),
]
JudgePrompt = Annotated[
    str, typer.Option(help="official (the benchmark's), labels-1, verdict-1; auto: official of a hosted judge.")
]
Policy = Annotated[
    str | None, typer.Option(help="How replies are read: ours, upstream-v0.1, upstream-v2, …; default: the prompt's.")
]
OneOrder = Annotated[
    bool, typer.Option("--one-order", help="Each pair in the one order that AlpacaEval shows, not in both.")
]
CapChars = Annotated[int | None, typer.Option(help="Both answers of a pair are cut here.", min=1)]
Price = Annotated[str | None, typer.Option(help="IN,OUT: US dollars for a million tokens.")]
MaxCost = Annotated[float | None, typer.Option(help="US dollars that this command may spend.", min=0)]
JudgeCache = Annotated[Path, typer.Option(help="Where replies are kept: no judge is asked twice what it answered.")]
CACHE = Path("results/judge-cache")
