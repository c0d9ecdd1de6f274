"""Judging pairs: both orders, cached replies first, one more question after a reply that cannot be read.

What a pair's games amount to (consistency, win rates, intervals) is the leaderboard's business.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from . import prices
from .base import Judge, JudgeError, JudgeStopped
from .cache import Cache, key_of
from .games import Failure, Game, Pair, Reply
from .prices import Price
from .results import Compared, Estimate, Judged, Progress, Usage, Verdict
from .texts import CAP_CHARS, Prepared, prepare

TURN_TOKENS = 16  # what a chat template may put around a turn
MEAN_TOKEN_BYTES = 4.0  # of English text; a token has at least one

Watch = Callable[[Progress], None]


@dataclass(frozen=True)
class Budget:
    """`price`: the user's, before the table's. `max_usd`: what this session may cost; None: no limit."""

    max_usd: float | None = None
    price: Price | None = None

    def __post_init__(self) -> None:
        if self.max_usd is not None and not self.max_usd >= 0:
            raise JudgeError(f"--max-cost {self.max_usd}; expected dollars, at least 0")


def compare(
    judge: Judge,
    pairs: Sequence[Pair],
    cache: Cache | None,
    *,
    orders: int = 2,
    budget: Budget | None = None,
    watch: Watch | None = None,
    cap_chars: int = CAP_CHARS,
) -> Compared:
    """Judge all pairs. With one order, the one that AlpacaEval shows; a symmetric judge always plays one game a pair.

    Every reply is in the cache as soon as it is there, so an interrupted call is resumed by the same call. A reply that
    cannot be read is asked for once more; what then cannot be read is "invalid". A game without a reply has "failed",
    and is asked again by the next call.

    Raises JudgeError when two pairs share an id, when the judge cannot be asked or gives up, and when the next question
    might exceed the budget; nothing is asked of a judge whose replies are all there.
    """
    session = _Session(judge, prepare(_distinct(pairs), cap_chars), cache, orders, budget or Budget(), watch)
    began = time.monotonic()
    session.ask(session.games)
    session.ask(session.again())
    return session.result(time.monotonic() - began)


def estimate(
    judge: Judge,
    pairs: Sequence[Pair],
    cache: Cache | None,
    *,
    orders: int = 2,
    budget: Budget | None = None,
    cap_chars: int = CAP_CHARS,
) -> Estimate:
    """What `compare` would take. Asks nothing."""
    session = _Session(judge, prepare(_distinct(pairs), cap_chars), cache, orders, budget or Budget(), None)
    waiting = session.waiting(session.games)
    waiting += session.waiting(session.again())
    about = round(sum(map(session.prompt_bytes, waiting)) / MEAN_TOKEN_BYTES)
    price, times = session.price, 1 if judge.deterministic else 2
    return Estimate(
        games=len(session.games) + session.same,
        same=session.same,
        cached=session.usage.cached,
        calls=len(waiting),
        prompt_tokens=about,
        completion_tokens=judge.identity.decode.max_tokens * len(waiting),
        least_usd=price.usd(about, 0) if price else None,
        most_usd=times * sum(map(session.most_usd, waiting)) if price else None,
        price=price,
    )


def alpaca_eval_order(instruction: str) -> bool:
    """Whether AlpacaEval shows the candidate first: `RandomSwitchTwoColumnsProcessor` with seed 0 of alpaca_eval."""
    return random.Random("is_switched_outputs" + instruction + "0").choices([False, True])[0]


class _Session:
    """The games of one call, and what has come of them. Games of equal content are one question."""

    def __init__(
        self,
        judge: Judge,
        prepared: Sequence[Prepared],
        cache: Cache | None,
        orders: int,
        budget: Budget,
        watch: Watch | None,
    ) -> None:
        self.judge, self.prepared, self.cache, self.watch = judge, prepared, cache, watch
        self.identity = judge.identity
        self.limit, self.price = budget.max_usd, prices.find(judge, budget.price)
        if self.limit is not None and self.price is None:
            raise JudgeError(
                f"--max-cost {self.limit:g}: what tokens of {self.identity.model!r} cost is not known; give --price"
            )
        self.orders = {item.pair.id: self._orders(item.pair, orders) for item in prepared}
        self.games = [
            Game(item.pair, first) for item in prepared if not item.same for first in self.orders[item.pair.id]
        ]
        self.same = sum(len(self.orders[item.pair.id]) for item in prepared if item.same)
        self.replies: dict[str, Reply | Failure] = {}
        self.usage, self.spent = Usage(), 0.0
        self._keys: dict[tuple[str, bool, int], str] = {}
        self._required = False
        self._total = 0

    def _orders(self, pair: Pair, orders: int) -> tuple[bool, ...]:
        if orders not in (1, 2):
            raise ValueError(f"orders = {orders}; allowed: 1, 2")
        if self.judge.symmetric:
            return (True,)
        return (True, False) if orders == 2 else (alpaca_eval_order(pair.instruction),)

    def waiting(self, games: Iterable[Game]) -> list[Game]:
        """One game of each content that has no reply, neither of this call nor in the cache."""
        found: dict[str, Game] = {}
        for game in games:
            key = self._key(game)
            if key in self.replies or key in found:
                continue
            kept = self.cache.get(key) if self.cache is not None else None
            if kept is None:
                found[key] = game
            else:
                self.replies[key] = kept
                self.usage = self.usage.with_reply(kept, cached=True)
        return list(found.values())

    def again(self) -> list[Game]:
        """The games to ask once more: those whose first reply cannot be read."""
        if self.judge.deterministic:
            return []
        replies = [(game, self.replies.get(self._key(game))) for game in self.games]
        return [
            replace(game, sample=1)
            for game, reply in replies
            if isinstance(reply, Reply) and self.judge.parser(reply).first is None
        ]

    def ask(self, games: Iterable[Game]) -> None:
        """Ask what has no reply, in parts that cannot exceed the budget, each as large as can be."""
        waiting = self.waiting(games)
        if waiting and not self._required:
            self._affordable(waiting)
            self.judge.require()
            self._required = True
        self._total = len(self.replies) + len(waiting)
        while waiting:
            count = self._affordable(waiting)
            part, waiting = waiting[:count], waiting[count:]
            self.judge.ask(part, self._take)
            for game in part:
                if self._key(game) not in self.replies:
                    self._take(game, Failure("the judge gave no reply"))

    def _affordable(self, waiting: Sequence[Game]) -> int:
        """How many of the next games fit into the budget, whatever their replies."""
        if self.limit is None or self.price is None:
            return len(waiting)
        if not self._required:
            least = self.price.usd(round(sum(map(self.prompt_bytes, waiting)) / MEAN_TOKEN_BYTES), 0)
            if least > self.limit:
                raise JudgeError(
                    f"--max-cost {self.limit:g}: the prompts of {len(waiting)} questions alone cost about ${least:.2f}"
                )
        bounds = itertools.accumulate(map(self.most_usd, waiting), initial=self.spent)
        count = sum(bound <= self.limit for bound in bounds) - 1
        if count < 1:
            raise JudgeStopped(
                f"--max-cost {self.limit:g}: ${self.spent:.4f} spent, and the next question may cost "
                f"${self.most_usd(waiting[0]):.4f}; {len(waiting)} are left; replies are kept, so a larger one goes on"
            )
        return count

    def _take(self, game: Game, reply: Reply | Failure) -> None:
        key = self._key(game)
        if key in self.replies:
            raise ValueError(f"judge {self.identity.kind!r} replied twice to pair {game.pair.id!r}")
        self.replies[key] = reply
        if isinstance(reply, Failure):
            self.usage = replace(self.usage, failed=self.usage.failed + 1)
        else:
            if self.cache is not None:
                self.cache.put(self.identity, game, reply, self.judge.parser(reply))
            self.usage = self.usage.with_reply(reply, cached=False)
            metered = reply.prompt_tokens > 0
            usd = self.price and self.price.usd(reply.prompt_tokens, reply.completion_tokens)
            self.spent += (usd if metered else self.most_usd(game)) or 0.0
        if self.watch is not None:
            usd = self.spent if self.price else None
            self.watch(Progress(len(self.replies), self._total, self.usage.failed, usd))

    def prompt_bytes(self, game: Game) -> int:
        """Bytes of what is sent, with what a template puts around it: no prompt has more tokens."""
        messages = self.judge.messages(game)
        if messages is None:
            return 0
        return sum(len(message["content"].encode()) + TURN_TOKENS for message in messages)

    def most_usd(self, game: Game) -> float:
        """What the longest reply would cost; 0 where no price is known."""
        return self.price.usd(self.prompt_bytes(game), self.identity.decode.max_tokens) if self.price else 0.0

    def _key(self, game: Game) -> str:
        name = (game.pair.id, game.candidate_first, game.sample)
        if name not in self._keys:
            self._keys[name] = key_of(self.identity, game)
        return self._keys[name]

    def result(self, wall_seconds: float) -> Compared:
        """What has come of all games."""
        usage, price = replace(self.usage, wall_seconds=wall_seconds), self.price
        return Compared(
            identity=self.identity,
            parser=self.judge.parser_name,
            pairs=tuple(
                Judged(
                    item.pair,
                    tuple(self._verdict(item, first) for first in self.orders[item.pair.id]),
                    item.flags,
                    item.baseline_flags,
                )
                for item in self.prepared
            ),
            usage=usage,
            price=price,
            usd=self.spent if price else None,
            cached_usd=self._cached_usd(usage),
        )

    def _cached_usd(self, usage: Usage) -> float | None:
        """What earlier sessions paid; None where the price is not known, or replies do not say their tokens."""
        if self.price is None or (usage.cached_unmetered and self.price.usd(1, 1)):
            return None
        return self.price.usd(usage.cached_prompt_tokens, usage.cached_completion_tokens)

    def _verdict(self, item: Prepared, first: bool) -> Verdict:
        """What a game has come to: the second reply's reading where there is one."""
        if item.same:
            return Verdict(item.pair.id, first, "same", 0.5)
        game = Game(item.pair, first)
        second = self.replies.get(self._key(replace(game, sample=1)))
        reply, sample = (self.replies[self._key(game)], 0) if second is None else (second, 1)
        if isinstance(reply, Failure):
            return Verdict(item.pair.id, first, "failed", sample=sample, reason=reply.reason)
        reading = self.judge.parser(reply)
        if reading.first is None:
            return Verdict(item.pair.id, first, "invalid", label=reading.label, sample=sample, finish=reply.finish)
        return Verdict(
            item.pair.id, first, "read", reading.first if first else 1 - reading.first, reading.weight, reading.label,
            sample, reading.mass, reply.finish,
        )  # fmt: skip


def _distinct(pairs: Sequence[Pair]) -> Sequence[Pair]:
    twice = [name for name, count in Counter(pair.id for pair in pairs).items() if count > 1]
    if twice:
        raise JudgeError(f"pair {twice[0]!r} is there twice; expected one pair an id")
    return pairs
