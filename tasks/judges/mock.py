"""A judge that knows nothing, always the same way: for tests, and for a dry run of a whole pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from statistics import NormalDist

from .base import Identity, Judge, JudgeError, Sink
from .games import Failure, Game, Reply
from .registry import register

_BOUNDS = (("A>>B", 1.5), ("A>B", 0.2), ("A=B", -0.2), ("B>A", -1.5))


@register("mock")
@dataclass(frozen=True)
class MockJudge(Judge):
    """A verdict is q(first) − q(second) + bias + noise·ε, in bands; q and ε are N(0, 1) by hashes of the texts."""

    seed: int = 0
    bias: float = 0.0  # for the first place
    noise: float = 0.0
    failures: float = 0.0  # share of games that fail
    unreadable: float = 0.0  # share of replies without a verdict

    def __post_init__(self) -> None:
        if not (0 <= self.failures <= 1 and 0 <= self.unreadable <= 1 and self.noise >= 0):
            raise JudgeError(f"{self}: failures and unreadable are shares in [0, 1], noise is at least 0")

    @property
    def identity(self) -> Identity:
        """All its parameters are its name."""
        return Identity("mock", ",".join(f"{name}={value}" for name, value in asdict(self).items()), "1", "", "")

    @property
    def parser_name(self) -> str:
        """Of our own labels."""
        return "ours"

    @property
    def free(self) -> bool:
        """It is."""
        return True

    def require(self) -> None:
        """Nothing."""

    def ask(self, games: Sequence[Game], sink: Sink) -> None:
        """Reply in order."""
        for game in games:
            sink(game, self._reply(game))

    def _reply(self, game: Game) -> Reply | Failure:
        shown = (game.pair.instruction, game.first, game.second, str(game.sample))
        if self._uniform("fails", *shown) < self.failures:
            return Failure("the mock judge fails here")
        if self._uniform("mumbles", *shown) < self.unreadable:
            return Reply("Both have merits.")
        first, second = (self._normal("quality", game.pair.instruction, text) for text in (game.first, game.second))
        better = first - second + self.bias + self.noise * self._normal("noise", *shown)
        label = next((label for label, bound in _BOUNDS if better > bound), "B>>A")
        return Reply(f"[[{label}]]")

    def _normal(self, *texts: str) -> float:
        return NormalDist().inv_cdf(self._uniform(*texts))

    def _uniform(self, *texts: str) -> float:
        """In (0, 1)."""
        digest = sha256("\0".join((str(self.seed), *texts)).encode()).digest()
        return (int.from_bytes(digest[:6]) + 0.5) / 2**48
