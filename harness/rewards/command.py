"""`groupbench train-reward` and `groupbench reward-accuracy`: all is checked, then weights are read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from leaderboard.declared import suggestion
from leaderboard.stats.preferences import LN2, Rate
from tasks.pairs import Pairs
from tasks.pairs.loading import SUFFIXES

from .. import models, plugins
from ..console import console, quiet_libraries, say
from ..cores import resolve_device
from ..errors import UserError
from ..settings import RewardTraining
from .pairs import Measured, find_pairs, measure
from .scorer import RewardScorer
from .training import TOKENS_AT_ONCE, train_reward

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Sets:
    """Sets of pairs as the command line has them, not checked yet."""

    settings: Sequence[str] = ()  # TASK.PARAMETER=VALUE
    limit: int | None = None
    seed: int = 0
    plugin_files: Sequence[Path] = ()

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Of each task, plug-ins being loaded first. Raises UserError."""
        for file in self.plugin_files:
            plugins.load_file(file)
        found = plugins.parse_settings(self.settings)
        for name in found:
            if name not in plugins.known_tasks():
                raise UserError(f"--set {name}.…: no such task{suggestion(name, plugins.known_tasks())}")
        return found

    def find(self, names: Sequence[str], seed: int, limit: int | None = None) -> dict[str, Pairs]:
        """Each set by the name that it is shown by, and what there is of it is said. Raises UserError, TaskDataError.

        Of a set with fewer pairs than `limit` all are taken.
        """
        parameters, found = self.parameters(), dict[str, Pairs]()
        for name in names:
            generated = name in plugins.known_tasks()
            pairs = find_pairs(name, parameters.get(name), limit if generated else None, seed)
            if limit is not None and len(pairs.pairs) > limit:
                pairs = pairs.limited(limit)
            found[name] = pairs
            say(pairs.said())
        shorts = [_short(name) for name in found]
        if len(set(shorts)) < len(shorts):  # two files of one name, two splits of one set
            return found
        return dict(zip(shorts, found.values(), strict=True))


def train(
    training: Mapping[str, Any], sets: Sets, heldout: Sequence[str], folder: Path, device: str,
    tokens_at_once: int = TOKENS_AT_ONCE,
) -> int:  # fmt: skip
    """See `groupbench train-reward`; `training` are values of RewardTraining. Returns the exit code."""
    quiet_libraries()
    settings = plugins.build(RewardTraining, training, "train-reward")
    settings = replace(settings, parameters=sets.parameters().get(settings.pairs, {}))
    on = resolve_device(device)
    pairs = find_pairs(settings.pairs, settings.parameters, settings.limit, settings.seed)
    further = sets.find(heldout, settings.seed + 1)
    report = train_reward(settings, folder, on, say, pairs=pairs, further=further, tokens_at_once=tokens_at_once)
    show(report.measured)
    say(f"fitted to {report.fitted} pairs in {report.seconds:.0f} s; wrote {folder}")
    return 0


def accuracy(
    model: str, names: Sequence[str], sets: Sets, revision: str | None, device: str, precision: str, out: Path | None
) -> int:
    """See `groupbench reward-accuracy`. Returns the exit code."""
    quiet_libraries()
    if precision not in PRECISIONS:
        raise UserError(f"--precision {precision}{suggestion(precision, PRECISIONS)}")
    if not names:
        raise UserError("--pairs: name a set to measure on: a file, a folder, an owner/name on the Hub, or a task")
    on = resolve_device(device)
    if precision == "auto":
        precision = "bfloat16" if on == "cuda" else "float32"
    scorer = RewardScorer(models.find(model, revision), precision, on)
    scorer.check()
    measured = [measure(scorer, name, pairs) for name, pairs in sets.find(names, sets.seed, sets.limit).items()]
    if out is not None:
        record = {"model": model, "revision": scorer.revision, "backend": scorer.backend}
        try:
            out.write_text(json.dumps({**record, "measured": [asdict(one) for one in measured]}, indent=1) + "\n")
        except OSError as error:
            raise UserError(f"--json {out}: {error.strerror}") from None
    show(measured)
    return 0


def show(measured: Sequence[Measured]) -> None:
    """A table of all sets, and each one's reliability."""
    if not measured:
        return
    table = Table(box=None, pad_edge=False, title="accuracy on pairs, with 95 % intervals", title_justify="left")
    table.add_column("")
    for one in measured:
        table.add_column(one.name, justify="right", overflow="fold")
    for title, *values in zip(TITLES, *(_lines(one) for one in measured), strict=True):
        table.add_row(title, *values)
    console.print(table)
    for one in measured:
        bins = one.report.calibration.bins
        said = "; ".join(f"{b.confidence:.2f}: {b.accuracy}" for b in bins)
        say(f"reliability on {one.name}, confidence: share right: {said}")
        if verdict := reading(one):
            say(f"{one.name}: {verdict}")


TITLES = (
    "pairs", "prompts", "left out, too long", "accuracy", "log-loss (chance 0.693)", "calibration error",
    "temperature that calibrates", "log-loss with it", "the longer one wins", "accuracy minus that",
    "accuracy, chosen longer", "accuracy, chosen shorter", "accuracy at equal length", "length, log-odds: model",
    "length, log-odds: labels", "length, log-odds: model given label",
)  # fmt: skip


def _lines(one: Measured) -> Iterator[str]:
    report = one.report
    calibration, length = report.calibration, report.length
    yield from (str(report.pairs), str(report.clusters), str(one.too_long), str(report.accuracy), str(report.log_loss))
    yield from (f"{calibration.ece:.3f}", f"{calibration.temperature:.2f}", f"{calibration.calibrated_loss:.3f}")
    yield from map(_rate, (length.baseline, length.gain, length.longer, length.shorter, length.equal_length))
    yield from map(_rate, (length.model, length.labels, length.given_label))


def _rate(rate: Rate | None) -> str:
    return "–" if rate is None else str(rate)


def reading(one: Measured) -> str:
    """What the numbers come to, in words; empty where they say nothing against the model."""
    found, report = [], one.report
    low, high = (math.nan if end is None else end for end in (report.accuracy.low, report.accuracy.high))
    if not low > 0.5:
        found.append("worse than chance" if high < 0.5 else "not shown to be better than chance")
    elif (gain := report.length.gain).low is not None and not gain.low > 0:
        found.append("not shown to be better than taking the longer answer")
    given = report.length.given_label
    if given.low is not None and given.high is not None and (given.low > 0 or given.high < 0):
        longer = "longer" if given.mean > 0 else "shorter"
        found.append(f"it prefers the {longer} answer beyond what its other preferences explain")
    if (report.log_loss.low or 0.0) > LN2:
        found.append("its log-loss is worse than saying nothing")
    return "; ".join(found)


def _short(name: str) -> str:
    """A file's or a Hub set's own name, for the head of a column."""
    place, hash_, pattern = name.partition("#")
    own = Path(place).name
    for suffix in SUFFIXES:
        own = own.removesuffix(suffix)
    return own + hash_ + pattern if "/" in place else name
