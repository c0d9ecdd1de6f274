"""A recipe's own reward model: fitted once, before its cells, and kept in the user's cache like a warm start."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

import torch

from tasks.base import Task
from tasks.pairs import Pairs

from .. import models, wheels
from ..settings import RewardTraining
from .pairs import find_pairs
from .scorer import RewardScorer
from .templates import give_template
from .training import BeingTrained, identity, prepare, resolve, train_reward

POLL_SECONDS = 2.0  # between two looks at a model that another process is training


@dataclass(frozen=True, eq=False)
class Stage:
    """A reward model that is to be fitted, or that is there from an earlier run."""

    settings: RewardTraining  # resolved
    pairs: Pairs
    device: str
    threads: int | None  # on a CPU; another number may give other bits

    @cached_property
    def id(self) -> str:
        """A hash of what decides the weights."""
        return sha256(dumps(identity(self.settings, self.pairs), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        return wheels.cache_folder() / "rewards" / self.id

    @property
    def title(self) -> str:
        """For people."""
        return f"{Path(self.settings.base).name} on {Path(self.settings.pairs).stem}"

    def scorer(self, precision: Any) -> TrainedScorer:
        """What rates responses with it."""
        return TrainedScorer(models.Source(str(self.folder), self.folder), precision, self.device, self)

    def run(self, say: Callable[[str], None]) -> None:
        """Fit it, unless it is there; where another process is at it, wait. Raises as `train_reward`."""
        there, told = self.folder.exists(), False
        if not there:
            say(f"reward model: {self.title}, into {self.folder}")
        with _threads(self.threads):
            while True:
                try:
                    report = train_reward(self.settings, self.folder, self.device, _quiet, pairs=self.pairs)
                    break
                except BeingTrained as held:
                    if not told:
                        say(f"{held}; waiting for it")
                    told = True
                    time.sleep(POLL_SECONDS)
        for one in report.measured:
            length = one.report.length
            say(
                f"reward model {self.title}: right about {one.report.accuracy} of {one.report.pairs} {one.name} pairs; "
                f"the longer answer is chosen in {length.baseline}"
            )


@dataclass(frozen=True)
class TrainedScorer(RewardScorer):
    """The scorer of a stage's model: known by what it is fitted to, also before it is."""

    stage: Stage

    @property
    def model(self) -> str:
        """What it was fitted to."""
        return self.stage.title

    @property
    def revision(self) -> str:
        """The stage's: there may be no files yet."""
        return self.stage.id

    @cached_property
    def tokenizer(self) -> Any:
        """The base's, with the template that fitting gives it."""
        tokenizer = models.load_tokenizer(models.find(self.stage.settings.base, self.stage.settings.revision))
        give_template(tokenizer)
        return tokenizer

    @cached_property
    def limit(self) -> int | None:
        """The base's."""
        return models.context_limit(models.find(self.stage.settings.base, self.stage.settings.revision))

    def configuration(self) -> Any:
        """The base's, with one output."""
        found = models.config(models.find(self.stage.settings.base, self.stage.settings.revision))
        found.num_labels = 1
        return found


def plan(settings: RewardTraining, task: Task, parameters: dict[str, Any], device: str, threads: int | None) -> Stage:
    """Find the base and the pairs, and check what can be known before weights are read. Raises UserError, TaskError.

    `task` and `parameters` are the recipe's: where it gives its own pairs, these are of the same task.
    """
    if settings.pairs == task.name and not settings.parameters:
        settings = replace(settings, parameters=parameters)
    settings = resolve(settings, device)
    pairs = find_pairs(settings.pairs, settings.parameters, settings.limit, settings.seed)
    prepare(settings, pairs)
    return Stage(settings, pairs, device, threads)


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _quiet(_: str) -> None:
    """What fitting says line by line is not news in a run."""
