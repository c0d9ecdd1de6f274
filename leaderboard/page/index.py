"""index.html and leaderboard.json: the leaderboard for people, in one file that needs no network, and for machines."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ..build import Built
from ..plot import COLOURS
from .data import Extras, payload
from .shell import document, embedded

HTML, JSON = "index.html", "leaderboard.json"
SCRIPTS = (
    "dom", "state", "numbers", "chart", "curves", "compared", "table", "choose", "leaderboards", "convergence",
    "profile", "compare", "claims", "runs", "method", "main",
)  # fmt: skip
BODY = """<a class="skip" href="#main">Skip to the tables</a>
<header id="top"></header>
<nav id="tabs" aria-label="Views"></nav>
<main id="main" tabindex="-1"></main>
<noscript><p class="noscript">This page is drawn by its own script, which this browser does not run.
leaderboard.md beside it has the same numbers.</p></noscript>"""


def write(built: Built, folder: Path, extras: Extras | None = None) -> list[Path]:
    """Write both files into `folder`; the same records give the same bytes. Returns their paths."""
    made = payload(built, extras or Extras())
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        HTML: document(made["title"], BODY, _style(), _script(), made),
        JSON: embedded(made) + "\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content.encode("utf-8", "replace"))
    return [folder / name for name in files]


def _style() -> str:
    """The palette is that of the figures: a row has one colour everywhere."""
    colours = "".join(f"--c{n}:{colour};" for n, colour in enumerate(COLOURS))
    return f":root{{{colours}}}\n{_asset('page.css')}"


def _script() -> str:
    return '"use strict";\n(() => {\n' + "\n".join(_asset(f"{name}.js") for name in SCRIPTS) + "\n})();"


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")
