"""Requests to a chat endpoint until each game has a reply or has failed.

Tried again are timeouts, lost connections, bodies that are no JSON of the expected form, and the statuses of RETRIED:
RETRIES times, after U(0, min(60, 2^a)) seconds or, if it is longer, what the server asks for. 401, 404 and an empty
account end the run at once; any other status is that game's failure, and so are MAX_FAILURES games in a row the run's.
A 429 halves the number of open requests, once for all that were open; every reply lets it grow by its inverse (AIMD).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn

from .base import JudgeError, JudgeStopped, Sink
from .games import Failure, Game, Reply

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

RETRIED = frozenset({408, 409, 425, 429}) | frozenset(range(500, 600))
RETRIES = 7  # a = 0 … 6
BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
MAX_RETRY_AFTER_SECONDS = 300.0  # a server that asks for more (a daily quota, say) has refused
MAX_FAILURES = 20


class Again(Exception):
    """An attempt that failed and may be repeated; `after`: seconds that the server asks to wait."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Refused(Exception):
    """An attempt that would fail again."""


class Attempts:
    """All requests of one call. Replies reach the sink in the loop's own thread, as they come."""

    def __init__(
        self,
        client: AsyncOpenAI,
        body: Callable[[Game], dict[str, Any]],
        needs_logprobs: bool,
        open_at_most: int,
        timeout_seconds: float,
        sink: Sink,
    ) -> None:
        self.client, self.body, self.needs_logprobs = client, body, needs_logprobs
        self.open_at_most, self.timeout_seconds, self.sink = open_at_most, timeout_seconds, sink
        self.window, self.open, self.halved = float(open_at_most), 0, -1.0
        self.failures = 0  # games in a row
        self.without_logprobs = 0  # replies in a row, from the first on; −1 once one had them
        self.limit_name = "max_tokens"  # newer OpenAI models want another name
        self._random = random.Random()
        self._room = asyncio.Condition()

    async def all(self, games: Sequence[Game]) -> None:
        """Ask; raises JudgeError to stop."""
        waiting = iter(games)
        workers = [asyncio.create_task(self._work(waiting)) for _ in range(min(self.open_at_most, len(games)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, waiting: Iterator[Game]) -> None:
        for game in waiting:
            outcome = await self._game(game)
            self.sink(game, outcome)
            self.failures = self.failures + 1 if isinstance(outcome, Failure) else 0
            if isinstance(outcome, Failure) and self.failures >= MAX_FAILURES:
                raise JudgeStopped(
                    f"{self.client.base_url}: {self.failures} questions in a row got no reply, the last one because: "
                    f"{outcome.reason}; the replies so far are kept"
                )

    async def _game(self, game: Game) -> Reply | Failure:
        for attempt in range(RETRIES + 1):
            async with self._room:
                await self._room.wait_for(lambda: self.open < max(1, int(self.window)))
                self.open += 1
            try:
                return await self._once(game)
            except Refused as error:
                return Failure(str(error))
            except Again as error:
                reason, after = str(error), error.after
            finally:
                async with self._room:
                    self.open -= 1
                    self._room.notify_all()
            if after > MAX_RETRY_AFTER_SECONDS:
                return Failure(f"{reason}; the server asks to wait {after:.0f} s")
            if attempt < RETRIES:
                most = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2**attempt)
                await asyncio.sleep(max(after, self._random.uniform(0, most)))
        return Failure(f"{reason} ({RETRIES + 1} attempts)")

    async def _once(self, game: Game) -> Reply:
        import openai

        body = self.body(game)
        body[self.limit_name] = body.pop("max_tokens")
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                response = await self.client.chat.completions.with_raw_response.create(**body)
        except (TimeoutError, openai.APITimeoutError):
            raise Again(f"no reply in {self.timeout_seconds:g} s") from None
        except openai.APIConnectionError as error:
            raise Again(f"connection lost: {error.__cause__ or error}") from None
        except openai.APIStatusError as error:
            self._status(error, began)
        now = time.monotonic()
        self.window = min(float(self.open_at_most), self.window + 1 / self.window)
        return self._checked(reply_of(response.http_response.content, now - began))

    def _checked(self, reply: Reply) -> Reply:
        """The reply; one without the log-probabilities that its prompt is read by is unreadable.

        JudgeStopped where the endpoint writes, and has not reported any in its first MAX_FAILURES replies.
        """
        if not self.needs_logprobs or not reply.text or self.without_logprobs < 0:
            return reply
        self.without_logprobs = -1 if reply.logprobs is not None else self.without_logprobs + 1
        if self.without_logprobs >= MAX_FAILURES:
            raise JudgeStopped(
                f"{self.client.base_url} gives no log-probabilities, by which this prompt is read; "
                "ask with a prompt whose reply is a verdict, or serve the judge by something that gives them"
            )
        return reply

    def _status(self, error: APIStatusError, began: float) -> NoReturn:
        """What a status means."""
        status, reason = error.status_code, f"HTTP {error.status_code}: {' '.join(error.response.text.split())[:300]}"
        if status in (401, 404) or "insufficient_quota" in reason:
            raise JudgeError(f"{self.client.base_url}: {reason}")
        if status == 429 and began > self.halved:
            self.window, self.halved = max(1.0, self.window / 2), time.monotonic()
        if status in RETRIED:
            raise Again(reason, retry_after(error.response.headers))
        if status == 400 and "max_completion_tokens" in reason and self.limit_name == "max_tokens":
            self.limit_name = "max_completion_tokens"
            raise Again(reason)
        raise Refused(reason)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a reply's Retry-After asks for, in either of its forms; 0 where it asks for none."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def reply_of(body: bytes, seconds: float) -> Reply:
    """The reply in a chat completion's JSON. Raises Again where it is none.

    A refusal has an empty text and its own `finish`. Log-probabilities are those of the first token's `top_logprobs`.
    """
    try:
        completion = json.loads(body)
        choice = completion["choices"][0]
        message, usage = choice["message"], completion.get("usage") or {}
        text = message.get("content") or ""
        if not isinstance(text, str):
            raise TypeError(f"content is {type(text).__name__}")
        return Reply(
            text=text,
            logprobs=logprobs_of(choice),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            seconds=seconds,
            finish="refusal" if message.get("refusal") else str(choice.get("finish_reason") or "stop"),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise Again(f"no chat completion ({type(error).__name__}: {str(error)[:80]}): {body[:80]!r}") from None


def logprobs_of(choice: Mapping[str, Any]) -> dict[str, float] | None:
    """A choice's log-probabilities of the first token, by its text; None where it reports none."""
    tokens = (choice.get("logprobs") or {}).get("content") or []
    return {top["token"]: float(top["logprob"]) for top in tokens[0]["top_logprobs"]} if tokens else None
