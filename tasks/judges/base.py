"""What a judge is: asked which of two answers to an instruction is better, it replies; a parser reads the reply.

A game is one such question, in one order. A pair of answers is judged in two games, the second with the answers
swapped, because judges prefer a place. A reply is what is kept (`cache`); what it means is read anew each time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from ..base import Message, TaskError
from .games import Failure, Game, Parser, Reply
from .parsing import PARSERS

AGAIN_TEMPERATURE = 0.7  # of a greedy judge that is asked once more


class JudgeError(TaskError):
    """A judge that cannot be asked here, or that stopped answering; the message says why, and what would help."""


class JudgeStopped(JudgeError):
    """A judge that was asked, and gave up on the way: what it replied is kept, and the same command goes on with it."""


@dataclass(frozen=True)
class Decode:
    """How a judge's reply is drawn."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int = 0
    logprobs: int = 0  # most probable first tokens that are reported; 0: none

    def fresh(self, sample: int) -> Decode:
        """What is sent for a game's sample. Asked again, a judge must be free to say something else: with the seed
        alone, greedy decoding would repeat itself.
        """
        if sample == 0:
            return self
        return replace(self, seed=self.seed + sample, temperature=self.temperature or AGAIN_TEMPERATURE)


@dataclass(frozen=True)
class Identity:
    """What decides a verdict besides the answers: verdicts of two identities never share a table or a cached reply.

    The backend parts cached replies only: bfloat16's are not float32's, nor one host's another's of the same name.
    """

    kind: str  # the registered name: openai, engine, …
    model: str  # as the endpoint, the Hub or the disk names it
    revision: str  # of the weights, as far as it is known; "" where an endpoint does not say
    prompt: str  # the prompt's name
    prompt_sha: str  # sha256 of its texts
    decode: Decode = field(default_factory=Decode)
    backend: str = ""  # engine and precision, or the host's name; no port


Sink = Callable[[Game, "Reply | Failure"], None]


class Judge(ABC):
    """Asked games, it hands each reply to `sink` as soon as it is there, so that a kill loses none that was given."""

    name: ClassVar[str]  # set by @register
    symmetric: ClassVar[bool] = False  # whether the order cannot matter: then one game a pair is enough
    deterministic: ClassVar[bool] = False  # whether asking once more gives the same reply

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """What decides its verdicts."""

    @property
    @abstractmethod
    def parser_name(self) -> str:
        """The parser's name, for records: another policy reads other scores from the same replies."""

    @property
    def parser(self) -> Parser:
        """Reads its replies: by default the one of that name in `parsing.PARSERS`."""
        return PARSERS[self.parser_name]

    @abstractmethod
    def require(self) -> None:
        """Raise JudgeError unless it can be asked here: a missing key or label token is said before anything else."""

    @abstractmethod
    def ask(self, games: Sequence[Game], sink: Sink) -> None:
        """Ask all games, in any order; each reaches `sink` once, in the calling thread. Raises JudgeError to stop."""

    @property
    def free(self) -> bool:
        """Whether its tokens cost nothing: it runs here, or does not run at all."""
        return False

    def messages(self, game: Game) -> tuple[Message, ...] | None:
        """The chat that would be sent, for estimates (`--dry-run`); None where none is."""
        return None


def as_json(identity: Identity) -> dict[str, Any]:
    """An identity as records have it: without the backend, which they keep apart."""
    return {name: value for name, value in asdict(identity).items() if name != "backend"}
