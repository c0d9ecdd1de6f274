r"""Is a response right? Two verdicts, by math-verify (https://github.com/huggingface/Math-Verify) in other processes.

*Strict*, which training sees: the response marks its final answer, by its last `\boxed{}`, else by its last line
`#### number`. (The second is the mark of GSM8K's own solutions, which are demonstrations too; a line that is one
number, with a unit at most, after four hashes is as explicit as a box, and an echo of the question has none.) What is
marked equals the right answer as text, as a decimal number, or by math-verify under the normalisation that it
recommends for rewards; in the same base, where numbers have one. A formula of the question that only math-verify finds
equal is not strictly right.

*Lenient*, which tables count: what is marked, where something is, under math-verify's default normalisation too; else
what math-verify finds in the end of the response ("The answer is 18", `$18.00`). Strictly right is leniently right.

math-verify is not symmetric (`x \in [1,2]` is `[1,2]`, not the other way round); the right answer comes first.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ..base import Grade
from . import pool
from .echo import echoes
from .extraction import MAX_ANSWER_CHARS, extract_answer, last_boxed, stripped, without_empty_boxes
from .numeric import normalise_number, number_in_base, numbers_in_bases, same_number
from .pool import Question, Reply

try:
    VERIFIER = f"math-2 (math-verify {version('math-verify')}, sympy {version('sympy')})"
except PackageNotFoundError:
    VERIFIER = "math-2 (without math-verify)"

MAX_GOLD_CHARS = 1000  # longer right answers are compared as text; CollegeMath has 993
TAIL_CHARS = 500  # where an unmarked answer is looked for
MAX_NESTING = 12  # brackets in brackets; 57,265 right answers of 26 data sets have at most 5
CACHED_REPLIES = 1 << 15
MAX_DEATHS = 3  # in one vote; then the answers left are compared as text and numbers only

# Numbers about which math-verify says what their decimals say: it rounds to six places and reads % in two ways.
_PLAIN = re.compile(r"\s*(?:\\?\$)?[-+]?[0-9][0-9,]{0,14}(?:\.[0-9]{1,6})?\s*\$?\s*")
_BOX = re.compile(r"\\(?:boxed|fbox)")
# Nobody's final answer, and a week of sympy's time: x^1000000, 100000!, and towers of three powers.
_HUGE = re.compile(r"(?:\^|\*\*)\s*\{?\s*[-+]?[0-9]{6}|[0-9]{5}\s*[})\]]*\s*!|(?:\^[\s{(]*[0-9]+[\s}]*){3}")


@dataclass(frozen=True)
class Verdict:
    """On one response; see the module. `timed_out`: the verifier gave up, and so it is wrong."""

    strict: bool
    lenient: bool
    extracted: str | None
    timed_out: bool = False

    def grade(self) -> Grade:
        """Reward 1.0 for a strictly right response, else 0.0."""
        return Grade(
            reward=float(self.strict),
            correct=self.strict,
            extracted=self.extracted,
            lenient=self.lenient,
            timed_out=self.timed_out,
        )


def judge(pairs: Sequence[tuple[str, str]], questions: Sequence[str] | None = None) -> list[Verdict]:
    """The verdict on each (right answer, response), in order. No text makes it raise, hang or run code.

    With `questions`, one a pair, a boxed formula of the question is not strictly right for being equal to the right
    answer; see `echo`. Raises VerifierError where no process can be started that compares answers; `require_verifier`
    says so in time.
    """
    verdicts: list[Verdict | Question] = [_at_sight(stripped(gold), response) for gold, response in pairs]
    open_questions = [verdict for verdict in verdicts if isinstance(verdict, Question)]
    replies = _ask(open_questions)
    asked = [""] * len(pairs) if questions is None else questions
    return [
        _verdict(item, replies[item], text) if isinstance(item, Question) else item
        for item, text in zip(verdicts, asked, strict=True)
    ]


def same(answers: Sequence[str]) -> list[int]:
    """A label for each extracted answer, the position of the first that equals it: what a majority vote counts.

    Equal are the same texts, the same numbers, and what math-verify finds equal to the first of its kind. No text makes
    it raise. After `MAX_DEATHS` comparisons that came to no end, the rest is compared as texts and numbers.
    """
    labels: list[int] = []
    first: dict[object, int] = {}  # by text and by number
    hopeless: set[int] = set()
    deaths = 0
    for position, answer in enumerate(answers):
        answer = stripped(answer)
        numbers = (normalise_number(answer), number_in_base(answer))
        keys = [answer, *(number for number in numbers if number is not None)]
        label = next((first[key] for key in keys if key in first), None)
        for other in sorted(set(first.values()) - hopeless) if label is None else ():
            representative = stripped(answers[other])
            if deaths == MAX_DEATHS or _quick(representative, answer) is not None:
                continue
            question = _question(representative, answer)
            reply = _ask([question])[question] if isinstance(question, Question) else Reply()
            if reply.died:
                deaths += 1
                hopeless |= {other, position}
                break
            if reply.strict and numbers_in_bases(representative) == numbers_in_bases(answer):
                label = other
                break
        labels.append(position if label is None else label)
        for key in keys:
            first.setdefault(key, labels[-1])
    return labels


def require_verifier() -> None:
    """Raise VerifierError unless answers can be compared: to be called before anything is sampled or trained."""
    reply = pool.shared().ask([Question(r"\frac{1}{2}", "0.5")])[0]
    if not reply.strict:
        raise pool.VerifierError(f"math-verify does not find 0.5 equal to one half: {reply}")


# --------------------------------------------------------------------------------------------- what needs no process


def _at_sight(gold: str, response: str) -> Verdict | Question:
    limit = max(MAX_ANSWER_CHARS, 2 * min(len(gold), MAX_GOLD_CHARS))
    response = without_empty_boxes(response)
    answer = extract_answer(response, limit)
    if answer is None:
        if last_boxed(response) is not None:  # an endless one
            return Verdict(False, False, None)
        return _question(gold, _tail(response), anywhere=True)
    right = _quick(gold, answer)
    return _question(gold, answer) if right is None else Verdict(right, right, answer)


def _question(gold: str, answer: str, anywhere: bool = False) -> Verdict | Question:
    """What to ask, or the verdict where math-verify would not come to an end."""
    if len(gold) > MAX_GOLD_CHARS or not answer:
        return Verdict(False, False, None if anywhere else answer)
    if _nesting(answer) > MAX_NESTING or (_HUGE.search(answer) and not _HUGE.search(gold)):
        return Verdict(False, False, None if anywhere else answer, timed_out=True)
    return Question(gold, answer, anywhere)


def _quick(gold: str, answer: str) -> bool | None:
    """Right for equal texts and numbers, wrong for plain numbers that differ, None where math-verify must be asked."""
    if gold == answer or same_number(gold, answer):
        return True
    right, given = number_in_base(gold), number_in_base(answer)
    if right and given:
        return right == given
    return False if _PLAIN.fullmatch(gold) and _PLAIN.fullmatch(answer) and normalise_number(answer) else None


def _tail(response: str) -> str:
    """The end of the response, from a word's start, and from its last box if that never closes."""
    tail = response[-TAIL_CHARS:]
    if len(response) > TAIL_CHARS:
        tail = tail.partition(" ")[2] or tail
    boxes = list(_BOX.finditer(tail))
    return tail[boxes[-1].start() :] if boxes else tail.strip()


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "{([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "})]":
            depth -= 1
    return deepest


# -------------------------------------------------------------------------------------------------------- the asking

_replies: OrderedDict[Question, Reply] = OrderedDict()
_lock = threading.Lock()


def _ask(questions: Sequence[Question]) -> dict[Question, Reply]:
    """The reply to each; those to questions that were asked before are remembered."""
    known: dict[Question, Reply] = {}
    with _lock:
        for question in questions:
            if question in _replies:
                _replies.move_to_end(question)
                known[question] = _replies[question]
    new = [question for question in dict.fromkeys(questions) if question not in known]
    if new:
        known |= zip(new, pool.shared().ask(new), strict=True)
        with _lock:
            _replies.update((question, known[question]) for question in new if known[question].final)
            while len(_replies) > CACHED_REPLIES:
                _replies.popitem(last=False)
    return known


def _verdict(question: Question, reply: Reply, asked: str) -> Verdict:
    found = (reply.found or "")[:MAX_ANSWER_CHARS] or None if question.anywhere else question.answer
    strict = reply.strict
    lenient = reply.lenient or (question.anywhere and found is not None and same_number(question.gold, found))
    right, given = numbers_in_bases(question.gold), numbers_in_bases(found or "")
    if right != given:  # math-verify does not read the base; that only one side has one is a matter of form
        strict, lenient = False, lenient and not (right and given)
    if strict and echoes(question.gold, question.answer, asked):
        strict = False
    return Verdict(strict, lenient, found, reply.died is not None)
