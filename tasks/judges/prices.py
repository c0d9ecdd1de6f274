"""What tokens cost. The table is a convenience with a date: `--price IN,OUT` goes before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .base import Judge, JudgeError

VERSION = "2026-11"
_OPENAI = "developers.openai.com/api/docs/models, November 2026"


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens, as published; without discounts for batches or cached prompts."""

    prompt: float
    completion: float
    source: str

    def __post_init__(self) -> None:
        if not (0 <= self.prompt < float("inf") and 0 <= self.completion < float("inf")):
            raise JudgeError(f"price {self.prompt}, {self.completion}: expected two amounts of dollars, at least 0")

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars for so many tokens."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


FREE = Price(0.0, 0.0, "runs here")
TABLE: Mapping[str, Price] = {
    model: Price(prompt, completion, _OPENAI)
    for models, prompt, completion in (
        (("gpt-4", "gpt-4-0314", "gpt-4-0613"), 30.0, 60.0),
        (("gpt-4-1106-preview", "gpt-4-0125-preview", "gpt-4-turbo-preview"), 10.0, 30.0),
        (("gpt-4-turbo", "gpt-4-turbo-2024-04-09"), 10.0, 30.0),
        (("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"), 2.5, 10.0),
        (("gpt-4o-mini", "gpt-4o-mini-2024-07-18"), 0.15, 0.6),
        (("gpt-4.1", "gpt-4.1-2025-04-14"), 2.0, 8.0),
        (("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"), 0.4, 1.6),
        (("gpt-4.1-nano", "gpt-4.1-nano-2025-04-14"), 0.1, 0.4),
        (("o3-mini", "o3-mini-2025-01-31"), 1.1, 4.4),
    )
    for model in models
}


def find(judge: Judge, given: Price | None = None) -> Price | None:
    """The price of a judge's tokens: the one given, else nothing where it is free, else the table's, else unknown."""
    return given or (FREE if judge.free else TABLE.get(judge.identity.model))
