r"""Math problems with an answer that can be checked: what all such tasks share. One task is a few declarations.

The instruction is the one that Qwen2.5-Math documents (https://github.com/QwenLM/Qwen2.5-Math); for choices, which are
listed as in its evaluation, it asks for the letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import ClassVar, Literal

from .base import AVG_4, GFT_16, GREEDY, EvalProtocol, Example, Grade, Message, Source, Task, TaskDataError
from .data import Hub, fingerprint, fixed_subset
from .golds import ending_in_box
from .grading import VERIFIER, judge, judge_choice, require_verifier, same
from .splits import Problem, Split, normal_form
from .teachers import read_teacher

_INSTRUCTION = r"Please reason step by step, and put {} within \boxed{{}}."
_CHOICES = "\nAnswer Choices: "

Answers = Literal["number", "expression", "letter"]

OF_MANY_QUESTIONS: Mapping[str, EvalProtocol] = {"greedy": GREEDY, "avg@4": AVG_4, "gft": GFT_16}
"""For a thousand questions and more: between questions there is far more variance than between samples of one, so that
more samples cost four times as much and narrow the interval by a few tenths of a point."""
COMPETITION: Mapping[str, EvalProtocol] = {
    "avg@32": EvalProtocol(32, 0.6, 0.95, 32768, "mean of 32 samples, as is usual for thirty questions"),
    "greedy": replace(GREEDY, max_tokens=32768),
    "gft": GFT_16,
}


@dataclass(frozen=True)
class MathProblems(Task):
    """Trains on `training`, where there is any, and holds out `evaluation`; both are declared by the subclass."""

    folder: str | None = None
    """A folder with the files, instead of the Hub; `~` and `$VARIABLES` are expanded."""
    train_examples: int | None = None
    """Train on a fixed subset of this many questions; None: all."""
    teacher_file: str | None = None
    """A file of a teacher's responses to training questions; see `teachers`."""

    training: ClassVar[Split | None] = None
    evaluation: ClassVar[Split]
    answers: ClassVar[Answers] = "expression"
    licence: ClassVar[str] = ""
    locations: ClassVar[frozenset[str]] = frozenset({"folder", "teacher_file"})
    verifier: ClassVar[str] = VERIFIER

    def __post_init__(self) -> None:
        size = self.train_examples
        if self.training is None:
            for field in ("train_examples", "teacher_file"):
                if getattr(self, field) is not None:
                    raise ValueError(
                        f"{self.name}: {field} = {getattr(self, field)!r}; allowed: null, as it has no training data"
                    )
        if size is not None and (type(size) is not int or size < 1):
            raise ValueError(
                f"{self.name}: train_examples = {size!r}; allowed: an integer of at least 1, or null for all"
            )
        for field in ("folder", "teacher_file"):
            self._check_text(field, getattr(self, field), optional=True)

    def _check_text(self, field: str, value: object, optional: bool = False) -> None:
        if not (isinstance(value, str) and value.strip()) and not (optional and value is None):
            raise ValueError(f"{self.name}: {field} = {value!r}; allowed: text that is not empty")

    @property
    def demonstration_sources(self) -> frozenset[Source]:  # type: ignore[override]  # a class variable of a task
        """Experts where the training data have solutions, a teacher where a file of its responses is given."""
        experts = self.training is not None and any(layout.solution for layout in self.training.layouts)
        found: dict[Source, bool] = {"expert": experts, "teacher": self.teacher_file is not None}
        return frozenset(source for source, there in found.items() if there)

    @cached_property
    def train(self) -> tuple[Example, ...]:
        """The training split, in the dataset's order; empty where there is none. Raises TaskDataError."""
        return fixed_subset(self._train[0], self.train_examples, f"{self.name}: train_examples")

    @cached_property
    def heldout(self) -> tuple[Example, ...]:
        """The evaluation split, in the dataset's order. Raises TaskDataError."""
        return self._heldout[0]

    @cached_property
    def _train(self) -> tuple[tuple[Example, ...], dict[str, Problem]]:
        return ((), {}) if self.training is None else self._load(self.training)

    @cached_property
    def _heldout(self) -> tuple[tuple[Example, ...], dict[str, Problem]]:
        return self._load(self.evaluation)

    def _hub(self, split: Split) -> Hub:
        return split.hub

    def _load(self, split: Split) -> tuple[tuple[Example, ...], dict[str, Problem]]:
        hub = self._hub(split)
        problems, from_hub = split.load(self.name, self.folder, hub)
        examples = tuple(self._example(identity, problem) for identity, problem in problems.items())
        if from_hub:
            self._check_pin(hub, examples)
        return examples, problems

    def _example(self, identity: str, problem: Problem) -> Example:
        wanted = "the letter of your answer" if problem.options else "your final answer"
        message: Message = {"role": "user", "content": f"{problem.text}\n{_INSTRUCTION.format(wanted)}"}
        return Example(id=identity, prompt=(message,), answer=problem.answer)

    def _check_pin(self, hub: Hub, examples: Sequence[Example]) -> None:
        found = {"examples": len(examples), "fingerprint": fingerprint(examples)}
        for what, expected in (("examples", hub.examples), ("fingerprint", hub.fingerprint)):
            if expected is not None and found[what] != expected:
                raise TaskDataError(
                    f"{self.name}: {hub.id} (split {hub.split}, revision {hub.revision}) gives {what} = {found[what]}; "
                    f"expected {expected}: it is not the set that this task is defined by. Set `folder` to one with it."
                )

    def question(self, example: Example) -> str:
        """The problem without its options and the instruction."""
        assert isinstance(example.prompt, tuple)
        return example.prompt[0]["content"].rpartition("\n")[0].partition(_CHOICES)[0]

    def questions_at_hand(self) -> Mapping[str, str] | None:
        """Held-out questions by id, read from GROUPBENCH_DATA or already loaded; None where they are not there."""
        if "_heldout" in self.__dict__ or self.folder is not None:
            return {identity: problem.question for identity, problem in self._heldout[1].items()}
        found = self.evaluation.questions_at_hand(self.name)
        return None if found is None else {identity: problem.question for identity, problem in found.items()}

    @cached_property
    def _first_asked(self) -> dict[str, str]:
        """The id of the first training example that asks a question, by the question's normal form."""
        first: dict[str, str] = {}
        for identity, problem in self._train[1].items():
            first.setdefault(normal_form(problem.text), identity)
        return first

    def leak_key(self, example: Example) -> str:
        """The id of the first training example that asks the same."""
        if example.id in self._heldout[1]:  # before the training data: who only evaluates need not have them
            return example.id
        problem = self._train[1].get(example.id)
        return example.id if problem is None else self._first_asked[normal_form(problem.text)]

    def require_grader(self) -> None:
        """Raise VerifierError unless math-verify can be started; letters need no verifier."""
        if self.answers != "letter":
            require_verifier()

    def grade(self, example: Example, response: str) -> Grade:
        """Reward 1.0 for a right answer in the box, else 0.0; `extracted` is the answer as written."""
        return self.grade_all([(example, response)])[0]

    def grade_all(self, pairs: Sequence[tuple[Example, str]]) -> list[Grade]:
        """As `grade`, with one call of the verifier for all. Raises VerifierError where it cannot be started."""
        if self.answers == "letter":
            verdicts = [judge_choice(example.answer, self._options(example), text) for example, text in pairs]
        else:
            verdicts = judge(
                [(example.answer, text) for example, text in pairs], [self.question(example) for example, _ in pairs]
            )
        return [verdict.grade() for verdict in verdicts]

    def _options(self, example: Example) -> tuple[str, ...]:
        return (self._heldout[1].get(example.id) or self._train[1][example.id]).options

    def same_answers(self, example: Example, answers: Sequence[str]) -> list[int]:
        """Equal letters, or answers that the verifier finds equal."""
        return super().same_answers(example, answers) if self.answers == "letter" else same(answers)

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        r"""Expert: the gold solution, of which there is one a question, ending in a `\boxed{}` as the prompt asks.

        Teacher: `count` of its responses to the question, drawn without replacement by a hash of (seed, example.id),
        right ones and wrong ones alike.
        """
        if source == "expert":
            problem = self._train[1].get(example.id) or self._heldout[1].get(example.id)
            if problem is None or problem.solution is None or count < 1:
                return ()
            return (ending_in_box(problem.solution, problem.answer),)
        problem = self._train[1].get(example.id)
        if self.teacher_file is None or problem is None:
            return ()
        responses = self._teacher.get(normal_form(problem.question), ())
        order = sorted(
            range(len(responses)), key=lambda n: sha256(f"teacher|{seed}|{example.id}|{n}".encode()).digest()
        )
        return tuple(responses[n] for n in order[: max(count, 0)])

    @cached_property
    def _teacher(self) -> dict[str, tuple[str, ...]]:
        assert self.teacher_file is not None
        asked = {normal_form(problem.question) for problem in self._train[1].values()}
        found = {form: texts for form, texts in read_teacher(self.teacher_file).items() if form in asked}
        if not found:
            raise TaskDataError(
                f"{self.name}: teacher_file = {self.teacher_file!r} answers none of its training questions"
            )
        return found
