"""A browser that is watched, and results whose every text would like to run in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from leaderboard import programs, verdicts
from leaderboard.build import LEADERBOARD, Built, build
from leaderboard.claims.base import Finding
from leaderboard.loading import load
from leaderboard.page.data import Extras
from leaderboard.page.index import write
from leaderboard.page.judged import find
from leaderboard.runs import Submission
from leaderboard.selection import Archive
from leaderboard.tables import grids

from ..conftest import Results, reward_runs

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
SCRIPT = "</script><script>window.ran = 1; alert(1)</script>"
IMAGE = '"><img src="https://example.invalid/x.png" onerror="window.ran = 1; alert(1)">'


@dataclass
class Seen:
    """What a page did that a leaderboard must not do."""

    requests: list[str] = field(default_factory=list)  # but for the page itself, from its file
    console: list[str] = field(default_factory=list)  # warnings, errors, and what was thrown
    dialogs: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return not (self.requests or self.console or self.dialogs)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium without a window. Without one a test is skipped; in CI it fails."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without("playwright is not installed: pip install 'groupbench[dev]'")
    with sync_playwright() as playwright:
        found = next((path for name in BROWSERS if (path := shutil.which(name))), playwright.chromium.executable_path)
        if not Path(found).exists():
            _without("there is no Chromium: `playwright install --with-deps chromium`, or the system's package")
        running = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield running
        running.close()


def _without(missing: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture
def browser_page(browser: Any) -> Iterator[Any]:
    """A fresh page, 1280 pixels wide; `seen` has what it did. A request to anywhere but a file is recorded and ends."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, seen = context.new_page(), Seen()
    page.seen = seen
    page.on("request", lambda one: None if one.url.startswith("file:") else seen.requests.append(one.url))
    page.on("console", lambda one: seen.console.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda one: seen.console.append(str(one)))
    page.on("dialog", lambda one: (seen.dialogs.append(one.message), one.dismiss()))
    yield page
    context.close()


def tell(folder: Path, text: str) -> None:
    """Give the items of a cell's last held-out evaluations prompts, answers and responses, all with `text`."""
    evals = [json.loads(line) for line in (folder / "evals.jsonl").read_text().splitlines()]
    content, made = (folder / "items.jsonl").read_bytes(), b""
    last = max(one["step"] for one in evals)
    for one in evals:
        if "items" not in one:
            continue
        start, stop = one["items"]
        items = [json.loads(line) for line in content[start:stop].splitlines()]
        if one["step"] == last and one["split"] == "heldout":
            for item in items:
                samples = len(item["correct"]) or len(item["reward"])
                item |= {"prompt": f"What is {item['id']}? {text}", "answer": f"42 {text}"}
                item["texts"] = [f"I say {n} {text}" for n in range(samples)]
        lines = b"".join(json.dumps(item).encode() + b"\n" for item in items)
        one["items"], made = [len(made), len(made) + len(lines)], made + lines
    (folder / "items.jsonl").write_bytes(made)
    (folder / "evals.jsonl").write_text("".join(json.dumps(one) + "\n" for one in evals))


def fill(results: Results) -> Path:
    """Six rows of four seeds on a verified task, one of them a control, one hostile; and three of a reward."""
    gains = {"grpo": 0.25, "gift@released(epsilon=0.003)": 0.58, "dapo@verl": 0.27, f"mine {IMAGE}": 0.3, "gspo": 0.05}
    easy = np.random.default_rng(1).uniform(0, 0.4, 40)
    for n, (label, gain) in enumerate([*gains.items(), ("grpo, again", 0.25)]):
        for seed in range(1 if label == "gspo" else 4):
            rng = np.random.default_rng([n, seed])
            items: dict[tuple[str, str, int], Any] = {}
            for step in range(0, 12, 2):
                chance = np.clip(easy + gain * min(1, step / 6) * (1 + 0.05 * seed), 0, 1)
                for mode, samples in (("sampled", 4), ("greedy", 1)):
                    items["heldout", mode, step] = (rng.random((40, samples)) < chance[:, None]).astype(int).tolist()
            control = {"control": "a-a"} if label == "grpo, again" else {}
            command = ["curl", IMAGE] if label.startswith("mine") else ["groupbench", "run", "recipes/sums.yaml", IMAGE]
            device = f"gpu: another {SCRIPT}" if label.startswith("dapo") else "cpu: a machine"
            known = {"started": "2026-01-02T03:04:05+00:00", "device": device, "command": command, **control}
            folder = results.cell(
                label, seed, items=items, benchmark="sums", provenance=known, name=label.partition("@")[0],
                model={"name": f"tiny {SCRIPT}"},
            )  # fmt: skip
            tell(folder, SCRIPT + IMAGE)
    results.cell(
        "gspo", 1, state="failed", error=f"it broke {SCRIPT}", benchmark="sums", name="gspo",
        model={"name": f"tiny {SCRIPT}"},
    )  # fmt: skip
    reward_runs(results)
    folder = results.plan()
    for judge, better in (("judge-a", 1.0), ("judge-b", 0.0)):
        for seed in range(2):
            for label, share in {"gift": better, "dapo": 0.5}.items():
                judged(folder / "judged" / "preference" / f"{label}-{seed}" / judge, judge, label, seed, share)
    return folder


def judged(folder: Path, judge: str, label: str, seed: int, share: float, kind: str = "openai") -> None:
    """Twenty pairs of one row's seed against the start."""
    names = [f"pair-{n}" for n in range(20)]
    rng = np.random.default_rng([len(label), seed])
    games = [
        verdicts.GameRecord(name, first, "read", float(np.clip(share + 0.2 * rng.normal(), 0, 1)))
        for name in names
        for first in (True, False)
    ]
    pairs = [
        verdicts.PairRecord(name, f"content {label} {name}", tuple(map(int, rng.integers(50, 99, 2)))) for name in names
    ]
    record = verdicts.Record(
        1, verdicts.Task("preference"), verdicts.Player(f"{label}-{seed}", "f", label, None, seed, "sha"),
        verdicts.Player("start", "s"), verdicts.JudgeRecord(kind, judge, "r1", "labels", "sha"), "labels", names,
    )  # fmt: skip
    verdicts.write(folder, verdicts.Judged(record, pairs, games))


FINDINGS = (
    Finding(
        "gift-converges-faster", "gift", f"GIFT needs fewer steps {IMAGE}", "abstract", "tiny", "steps to target",
        "gift minus grpo, by seed", "supported", "the interval excludes 0", "groupbench reproduce gift --scale tiny",
        4.0, 2.0, 6.0, "steps", 3, "arithmetic",
    ),
    Finding(
        "gift-converges-faster", "gift", f"GIFT needs fewer steps {IMAGE}", "abstract", "paper", "steps to target",
        "gift minus grpo, by seed", "not run", "no runs at this scale", "groupbench reproduce gift --scale paper",
    ),
    Finding(
        "gft-beats-sft", "gft", "GFT beats SFT", "table 2", "tiny", "accuracy", "GFT minus SFT", "inconclusive",
        f"two seeds {SCRIPT}", "groupbench reproduce gft --scale tiny", unit="points",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    folder: Path
    built: Built
    extras: Extras

    @property
    def address(self) -> str:
        return (self.folder / "index.html").as_uri()


def uneven(results: Results) -> Path:
    """Two rows of three seeds that were evaluated at the start and at the end, which is another step for each seed."""
    for n, label in enumerate(("grpo", "gift")):
        for seed in range(3):
            rng = np.random.default_rng([n, seed])
            ends = {0: 0.2, 7 + seed: 0.5 + 0.3 * n}
            drawn = {step: (rng.random((30, 4)) < chance).astype(int).tolist() for step, chance in ends.items()}
            results.cell(label, seed, items={("heldout", "sampled", step): each for step, each in drawn.items()})
    return results.plan()


def several_tasks(results: Results, seeds: int = 10, tasks: int = 3) -> Path:
    """Three rows with commas in their labels and one of four seeds, on tasks of which each is easier than the last."""
    gains = {"grpo": 0.25, "gift(epsilon=0.003, tau=1)": 0.4, "gift(epsilon=0.1, tau=1)": 0.3, f"gspo {IMAGE}": 0.1}
    for task in range(tasks):
        for n, (label, gain) in enumerate(gains.items()):
            for seed in range(4 if label.startswith("gspo") else seeds):
                rng = np.random.default_rng([task, n, seed])
                final = 0.2 + 0.15 * task + gain + 0.04 * rng.normal()
                curves = [[0.1, round(value, 3), round(value, 3)] for value in (final, final - 0.05)]
                results.cell(label, seed, *curves, benchmark=f"of-{task}", task={"name": f"task-{task}"})
    return results.plan()


def studies(results: Results) -> Path:
    """Some of the rows of a study of each paper at the scale tiny; the gold judge's verdicts lie in one of them."""
    for number, label in enumerate(("SFT", "GRPO", "GFT")):
        for seed in range(3):
            folder = results.cell(label, seed, [0.1, 0.5], benchmark="gft-tiny-main")
            for task in ("sums-19", "sums-49", "sums-99"):
                results.final(folder, task, [[1, 0], [int(seed > 0), 1], [number % 2, 1], [0, seed % 2]])
    for seed in range(3):
        for n, label in enumerate(("GRPO", "GIFT")):
            results.cell(label, seed, [0.1, 0.3 + 0.1 * n + 0.01 * seed], benchmark="gift-tiny-rlhf")
            place = results.folder / "gift-tiny-rlhf" / "judged" / f"{label}-{seed}"
            judged(place, "gold", label, seed, 0.4 + 0.2 * n, "gold")
    return results.plan()


def handed_in(results: Results) -> Built:
    """Three rows of one algorithm, two of which are others' with long and with the same settings."""
    settings = "gift@released(epsilon=0.003, learning_rate=0.0001)"
    labels = {settings: None, f"{settings} (mine)": Submission("mine", f"A. Person {IMAGE}"),
              f"{settings} (a-long-name-of-somebody)": Submission("a-long-name-of-somebody")}  # fmt: skip
    for n, label in enumerate(labels):
        for seed in range(2):
            rng = np.random.default_rng([n, seed])
            items = {("heldout", "sampled", step): rng.integers(0, 2, (20, 2)).tolist() for step in (0, 4)}
            results.cell(label, seed, items=items)
    (table,) = load(results.plan())
    table = replace(table, rows=tuple(replace(row, submission=labels[row.label]) for row in table.rows))
    program, archive = programs.load(LEADERBOARD), Archive([table])
    return Built(archive, grids(archive, program), [], [], program.tables[0].view)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    results = fill(Results(folder / "results"))
    built = build(results, folder / "out", figures=False)
    extras = Extras(judged=find(results), findings=FINDINGS)
    write(built, folder / "out", extras)
    return Site(folder / "out", built, extras)
