"""Control arms: runs whose true difference is known, so that a table can be seen to tell noise from learning."""

from __future__ import annotations

from dataclasses import replace

from tasks.base import Grade

from .seeds import derive
from .settings import Control

LABELS: dict[Control, str] = {"random-reward": "random reward", "a-a": "A/A"}


def stream(control: Control | None) -> tuple[str, ...]:
    """What a response's seed is salted with: an A/A arm has the same prompts, and draws of its own."""
    return ("a-a",) if control == "a-a" else ()


def reward(control: Control | None, grade: Grade, seed: int) -> Grade:
    """The grade that training sees. With random rewards it is a fair coin of the response's own `seed`.

    The verdict is the coin as well, or dynamic sampling would still select by the truth. Held-out evaluation is graded
    as ever: what such an arm gains there, it gains without any information (Shao et al. 2025, arXiv 2506.10947).
    """
    if control != "random-reward":
        return grade
    heads = bool(derive("coin", seed) & 1)
    return replace(grade, reward=float(heads), correct=None if grade.correct is None else heads, lenient=None)
