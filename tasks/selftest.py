"""Does a task grade its own answers as it should? What `groupbench check TASK` runs over a whole held-out set.

Tasks without a verifier are asked whether they can be judged: an instruction and a baseline's answer in every example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .base import Example, Grade, Task
from .comparison import ComparisonTask
from .grading import same_number
from .open_ended import OpenEnded

GARBAGE = "I am not sure. The question asks for \\boxed{\\text{banana}}, or so it seems #### !"


@dataclass(frozen=True)
class Findings:
    """Of one task's held-out set. Ids are in its order; `strict` and `lenient` count examples."""

    task: str
    examples: int
    strict: int  # whose gold answer, and whose gold solution where there is one, gets reward 1
    lenient: int  # of which both are counted as right
    refused: tuple[str, ...]  # ids of those that are not right strictly
    credited: tuple[str, ...]  # ids at which an empty response or garbage is right
    confused: tuple[tuple[str, str], ...]  # id, and that of the example whose different gold answer is right too

    @property
    def passed(self) -> bool:
        """Whether gold answers are right, but for one in a hundred, and wrong responses wrong, as far."""
        few = self.examples / 100
        return len(self.refused) <= few and not self.credited and len(self.confused) <= few

    @property
    def wrong(self) -> dict[str, tuple[str, ...]]:
        """Ids under what is wrong with them."""
        found = {
            "gold answer refused": self.refused,
            "empty response or garbage right": self.credited,
            "another example's answer right": tuple(identity for identity, _ in self.confused),
        }
        return {what: ids for what, ids in found.items() if ids}

    def __str__(self) -> str:
        return (
            f"{self.task}: gold answers right {self.strict} strictly, {self.lenient} leniently, of {self.examples}; "
            f"empty or garbage right {len(self.credited)}; other examples' answers right {len(self.confused)}"
        )


@dataclass(frozen=True)
class OpenFindings:
    """Of one task's open instructions. Ids are in its order."""

    task: str
    examples: int
    opponents: tuple[str, ...]
    silent: tuple[str, ...]  # ids of those to which the baseline's (or the data's own) answer is empty, or missing
    blank: tuple[str, ...]  # whose instruction is
    graded: tuple[str, ...]  # whose baseline's answer gets a verdict, or a reward, from no judge

    @property
    def passed(self) -> bool:
        """Whether none is empty or graded, and a baseline, if there is one, answers all but one in a hundred."""
        answered = not self.opponents or len(self.silent) <= self.examples / 100
        return answered and not self.blank and not self.graded

    @property
    def wrong(self) -> dict[str, tuple[str, ...]]:
        """Ids under what is wrong with them."""
        found = {
            "empty answer of the baseline": self.silent if self.opponents else (),
            "empty instruction": self.blank,
            "graded without a judge": self.graded,
        }
        return {what: ids for what, ids in found.items() if ids}

    def __str__(self) -> str:
        answered = self.examples - len(self.silent)
        return (
            f"{self.task}: {self.examples} different instructions, of which "
            f"{' and '.join(self.opponents) or 'the data set itself'} answers {answered}; no verifier: only a judge"
            f"{'' if self.opponents else ' or a reward'} scores them"
        )


def selftest(task: Task, examples: Sequence[Example] | None = None) -> Findings | OpenFindings:
    """Grade right and wrong responses to each of `examples` (default: all that are held out), in one call.

    Right are the gold answer in a box and, where there is one, the expert's demonstration; wrong are an empty response,
    garbage, and the gold answer of the next example where it is another text and another number.
    """
    asked = task.heldout if examples is None else examples
    if isinstance(task, OpenEnded):
        return _open(task, asked)
    pairs: list[tuple[Example, str]] = []
    right: list[range] = []
    wrong: list[range] = []
    other: list[Example | None] = []
    for position, example in enumerate(asked):
        good = _right_responses(task, example)
        right.append(range(len(pairs), len(pairs) + len(good)))
        pairs += [(example, response) for response in good]
        wrong.append(range(len(pairs), len(pairs) + 2))
        pairs += [(example, ""), (example, GARBAGE)]
        following = asked[(position + 1) % len(asked)]
        differs = following.answer != example.answer and not same_number(following.answer, example.answer)
        other.append(following if differs else None)
        pairs.append((example, _right_responses(task, following)[0]))
    grades = task.grade_all(pairs)
    return _findings(task, asked, grades, right, wrong, other)


def _open(task: OpenEnded, asked: Sequence[Example]) -> OpenFindings:
    compared = isinstance(task, ComparisonTask)
    texts = [e.answer if compared else "".join(task.demonstrate(e, "expert", 1, 0)) for e in asked]
    grades = task.grade_all(list(zip(asked, texts, strict=True)))
    silent = [example.id for example, text in zip(asked, texts, strict=True) if not text.strip()]
    return OpenFindings(
        task.name,
        len(asked),
        task.opponents if isinstance(task, ComparisonTask) else (),
        tuple(silent),
        tuple(example.id for example in asked if not task.instruction(example).strip()),
        tuple(
            example.id
            for example, grade in zip(asked, grades, strict=True)
            if grade.counted is not None or grade.reward != 0
        ),
    )


def _right_responses(task: Task, example: Example) -> list[str]:
    shown = list(task.demonstrate(example, "expert", 1, 0))
    in_a_box = [f"So the answer is $\\boxed{{{example.answer}}}$."] if isinstance(example.prompt, tuple) else []
    return [*in_a_box, *shown]


def _findings(
    task: Task,
    examples: Sequence[Example],
    grades: Sequence[Grade],
    right: Sequence[range],
    wrong: Sequence[range],
    other: Sequence[Example | None],
) -> Findings:
    refused, credited, confused, lenient = [], [], [], 0
    for example, good, bad, following in zip(examples, right, wrong, other, strict=True):
        if not all(grades[n].correct and grades[n].reward == 1 for n in good):
            refused.append(example.id)
        lenient += all(grades[n].counted for n in good)
        if any(grades[n].counted or grades[n].reward > 0 for n in bad):
            credited.append(example.id)
        if following is not None and (grades[bad.stop].counted or grades[bad.stop].reward > 0):
            confused.append((example.id, following.id))
    return Findings(
        task.name,
        len(examples),
        len(examples) - len(refused),
        lenient,
        tuple(refused),
        tuple(credited),
        tuple(confused),
    )
