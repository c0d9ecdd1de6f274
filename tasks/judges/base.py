"""What a judge is: asked which of two answers to an instruction is better, it replies; a parser reads the reply.

A game is one such question, in one order. A pair of answers is judged in two games, the second with the answers
swapped, because judges prefer a place. A reply is what is kept (`cache`); what it means is read anew each time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from ..base import Message, TaskError

AGAIN_TEMPERATURE = 0.7  # of a greedy judge that is asked once more


class JudgeError(TaskError):
    """A judge that cannot be asked here, or that stopped answering; the message says why, and what would help."""


class JudgeStopped(JudgeError):
    """A judge that was asked, and gave up on the way: what it replied is kept, and the same command goes on with it."""


@dataclass(frozen=True)
class Pair:
    """Two answers to one instruction. `id` is the item's; the baseline is what the candidate is measured against."""

    id: str
    instruction: str
    candidate: str
    baseline: str


@dataclass(frozen=True)
class Game:
    """One question to a judge: a pair in one order. `candidate_first` is known to us, never to the judge."""

    pair: Pair
    candidate_first: bool
    sample: int = 0  # 1: asked once more, after a reply that could not be read

    @property
    def first(self) -> str:
        """The answer that is shown first."""
        return self.pair.candidate if self.candidate_first else self.pair.baseline

    @property
    def second(self) -> str:
        """The answer that is shown second."""
        return self.pair.baseline if self.candidate_first else self.pair.candidate


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


@dataclass(frozen=True)
class Reply:
    """What a judge answered to one game."""

    text: str
    logprobs: Mapping[str, float] | None = None  # of the first token, by its text
    share: float | None = None  # the first answer's share of the point, where no text is written (a reward model)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    finish: str = "stop"  # "length": the reply was cut off


@dataclass(frozen=True)
class Failure:
    """A game that got no reply. Never cached, never scored."""

    reason: str


@dataclass(frozen=True)
class Reading:
    """What a reply says. `first` is the first answer's share of the point: 1, ½, 0 or a probability; None: unreadable.

    `weight` is how often it counts (Arena-Hard's "much better" counts three times).
    """

    label: str | None
    first: float | None
    weight: int = 1
    mass: float | None = None  # probability of the labels together, where log-probabilities are read


Parser = Callable[[Reply], Reading]
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
        from .parsing import PARSERS

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
