"""Training questions that are also asked in evaluation: exact equality of their letters and digits, in lower case.

DAPO's prompts hold a fifth of MATH's test set, and a score there says little about a model trained on them. Only equal
texts are found: a reworded question is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from . import registry
from .base import Task, TaskDataError
from .splits import normal_form


@dataclass(frozen=True)
class Overlap:
    """One evaluation set's questions that are also trained on."""

    ids: tuple[str, ...]  # in the evaluation set's order
    questions: int  # of the whole evaluation set

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.ids)


@dataclass(frozen=True)
class Report:
    """What a task's training questions were compared with."""

    overlaps: Mapping[str, Overlap] = field(default_factory=dict)  # by task, of sets that share at least one question
    clean: tuple[str, ...] = ()  # tasks that share none
    unseen: Mapping[str, str] = field(default_factory=dict)  # tasks that could not be looked at, and why


def overlap(train: Iterable[str], evaluation: Mapping[str, str]) -> Overlap:
    """The evaluation questions (by id) whose normal form is that of a training question.

    Of evaluation questions of equal form the first is counted. Forms that are empty are equal to none.
    """
    return _overlap(_forms(train), evaluation)


def _forms(questions: Iterable[str]) -> set[str]:
    return {normal_form(question) for question in questions} - {""}


def _overlap(trained: Set[str], evaluation: Mapping[str, str]) -> Overlap:
    first: dict[str, str] = {}
    for identity, question in evaluation.items():
        first.setdefault(normal_form(question), identity)
    return Overlap(tuple(identity for form, identity in first.items() if form in trained), len(evaluation))


def with_evaluation_sets(task: Task) -> Report:
    """Compare what `task` trains on with the held-out questions of every registered task.

    Reads only what lies in GROUPBENCH_DATA (or is the task's own): never the network, and of a file only the columns of
    the question. Tasks that ask generated questions have no part in it. Raises TaskDataError for the task's own data.
    """
    asked = [question for example in task.train if (question := task.question(example)) is not None]
    if not asked:
        return Report()
    trained = _forms(asked)
    found, clean, unseen = {}, [], {}
    for name, cls in registry.load().items():
        try:
            evaluation = task.questions_at_hand() if name == task.name else cls().questions_at_hand()
        except (TaskDataError, TypeError, ValueError) as error:  # an unreadable file, or a task without defaults
            unseen[name] = str(error)
            continue
        if evaluation is None:
            unseen[name] = "its held-out set is not in GROUPBENCH_DATA"
        elif evaluation:
            shared = _overlap(trained, evaluation)
            if shared.count:
                found[name] = shared
            else:
                clean.append(name)
    return Report(found, tuple(clean), unseen)
