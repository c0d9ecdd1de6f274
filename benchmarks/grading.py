r"""Grade many answers, some of them hostile, from a thread that is not the main one.

    python benchmarks/grading.py [--answers 10000] [--hostile 0.01] [--seed 0]

Nine tenths of the ordinary answers are whole numbers in a box, the others fractions, roots, sets, polynomials, and
numbers in running text; one in four is wrong. Hostile ones would cost sympy or the parser seconds to centuries, or are
no text that anyone would write. Prints the throughput, the slowest group of 64, what timed out, how many workers were
started, the peak memory; exits with 1 when any verdict is not the one expected.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import threading
import time
from typing import NamedTuple

from tasks.grading import judge, pool

GROUP = 64  # answers a call of `judge`


class Item(NamedTuple):
    """A right answer, a response, and the (strict, lenient) verdict on it."""

    gold: str
    response: str
    expected: tuple[bool, bool]


RIGHT, WRONG, UNMARKED = (True, True), (False, False), (False, True)


def boxed(text: str) -> str:
    r"""`text` in a `\boxed{}`, at the end of a sentence."""
    return f"So the answer is \\boxed{{{text}}}."


def ordinary(draw: random.Random) -> Item:
    """An answer such as models give."""
    number, right = draw.randrange(2, 10_000), draw.random() < 0.75
    other = number if right else number + 1
    verdict = RIGHT if right else WRONG
    if draw.random() < 0.9:
        return Item(f"{number:,}", boxed(str(other)), verdict)
    kind = draw.randrange(5)
    if kind == 0:
        return Item(f"\\frac{{{number}}}{{10007}}", boxed(f"{other}/10007"), verdict)
    if kind == 1:
        return Item(f"\\sqrt{{{number}}}", boxed(f"\\sqrt {{{other}}}"), verdict)
    if kind == 2:
        return Item(f"\\{{1,{number}\\}}", boxed(f"\\{{{other}, 1\\}}"), verdict)
    if kind == 3:
        return Item(f"(x+1)(x+{number})", boxed(f"x^2+{other + 1}x+{other}"), verdict)
    return Item(str(number), f"The answer is ${other}.00.", UNMARKED if right else WRONG)


def hostile(salt: int) -> list[Item]:
    """One of each kind; `salt` makes them new, so that no remembered reply helps."""
    endless = [
        f"9^{{9^{{9^{{{salt + 2}}}}}}}",
        f"{salt + 9}^{{9^9}}",
        f"2^{{10^{{{salt + 10}}}}}",
        f"{100_000_000 + salt}!",
        f"(10^8+{salt})!",
        f"\\binom{{{10**9 + salt}}}{{500000000}}",
        f"\\sum_{{i=1}}^{{{10**7 + salt}}} i^i",
        f"\\sin(7^{{3 \\cdot 10^8+{salt}}})",
        f"(x+y)^{{{9000 + salt}}}",
        f"{{{salt}" + "^{9" * 10 + "}" * 11,
    ]
    odd = [
        "{" * 50 + str(salt + 6) + "}" * 50,
        "(" * 90 + str(salt + 6) + ")" * 90,
        "0." + "3" * 100_000 + str(salt),
        "9" * 1_000_000 + str(salt),
        f"\x00{salt + 6}\x00",
        f"\ud800{salt + 6}\udfff",
        f"\\frac{{{salt + 6}}}{{",
        f"\\frac{{{salt + 6}}}{{}}",
        f"\\sqrt[{salt}]",
        f"{salt + 6}/0",
        f"\\begin{{pmatrix}}{salt + 6}\\\\",
        "1," * 90 + str(salt),
        f"__import__('os').system('exit {salt}')",
    ]
    texts = [
        "\\boxed{" * 100_000 + str(salt),
        f"{salt}" + " {" * 500_000,
        "$" * 400 + str(salt),
        "\\[" * 300 + f" answer {salt + 6} ",
        "a" * 1_000_000 + f" {salt + 6}",
        "final answer is " * 60 + f"{salt + 6}=",
    ]
    return [Item("5", boxed(text), WRONG) for text in endless + odd] + [Item("5", text, WRONG) for text in texts]


def items(count: int, share: float, seed: int) -> list[Item]:
    """`count` answers in random order, of which `share` are hostile."""
    draw = random.Random(seed)
    bad: list[Item] = []
    while len(bad) < count * share:
        bad += hostile(len(bad))
    mixed = bad[: round(count * share)]
    mixed += [ordinary(draw) for _ in range(count - len(mixed))]
    draw.shuffle(mixed)
    return mixed


class Outcome(NamedTuple):
    """What grading took: seconds in all and of the slowest call, time-outs, and items with another verdict."""

    seconds: float
    slowest: float
    timed_out: int
    surprises: list[Item]


def grade(mixed: list[Item]) -> Outcome:
    """Grade groups of `GROUP` in a thread."""
    outcome: list[Outcome] = []

    def work() -> None:
        started, slowest, timed_out, surprises = time.perf_counter(), 0.0, 0, []
        for start in range(0, len(mixed), GROUP):
            group, began = mixed[start : start + GROUP], time.perf_counter()
            verdicts = judge([(item.gold, item.response) for item in group])
            slowest = max(slowest, time.perf_counter() - began)
            timed_out += sum(verdict.timed_out for verdict in verdicts)
            for item, verdict in zip(group, verdicts, strict=True):
                if (verdict.strict, verdict.lenient) != item.expected:
                    surprises.append(item)
        outcome.append(Outcome(time.perf_counter() - started, slowest, timed_out, surprises))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return outcome[0]


def main() -> int:
    """Print what it took; 1 when a verdict was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--hostile", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcome = grade(items(arguments.answers, arguments.hostile, arguments.seed))
    counts = dict(pool.shared().counts)
    pool.shared().close()
    here, workers = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(f"{arguments.answers / outcome.seconds:,.0f} answers a second, {outcome.seconds:.1f} s in all")
    print(f"slowest call of {GROUP}: {outcome.slowest:.2f} s")
    print(f"timed out: {outcome.timed_out}; workers: {counts}")
    print(f"peak memory: {here:.0f} MB here, {workers:.0f} MB in the largest worker")
    for item in outcome.surprises:
        print(f"not as expected: right {item.gold!r}, response {item.response[:80]!a}, expected {item.expected}")
    return 1 if outcome.surprises else 0


if __name__ == "__main__":
    sys.exit(main())
