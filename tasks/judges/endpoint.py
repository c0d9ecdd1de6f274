"""A judge behind an OpenAI-compatible chat endpoint: hosted, or vLLM, SGLang, llama.cpp on a machine of one's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..base import Message
from .attempts import Attempts
from .base import Decode, Identity, Judge, JudgeError, Sink
from .games import Game
from .prices import TABLE
from .prompts import JudgePrompt
from .registry import register

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPEN_HOSTED, OPEN_LOCAL = 16, 64
PROBE_SECONDS = 10.0


def loopback(base_url: str) -> bool:
    """Whether a URL's host is this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@register("openai")
@dataclass(frozen=True)
class OpenAIJudge(Judge):
    """A chat model by name. The key is read from the environment variable `key_variable`, and never kept."""

    model: str
    prompt: JudgePrompt
    base_url: str = "https://api.openai.com/v1"
    key_variable: str = "OPENAI_API_KEY"
    revision: str = ""  # of the weights, where one knows it
    decode: Decode | None = None  # None: as the prompt's publisher draws
    concurrency: int | None = None  # None: 64 on loopback, else 16
    timeout_seconds: float = 300.0  # of one request
    # `Attempts.without_logprobs` after each call: what was seen of an endpoint is not forgotten between them.
    _without_logprobs: list[int] = field(default_factory=lambda: [0], init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise JudgeError(f"base_url = {self.base_url!r}; expected http(s)://HOST[:PORT]/v1")
        if self.open_at_most < 1 or not self.timeout_seconds > 0:
            found = f"concurrency = {self.concurrency}, timeout_seconds = {self.timeout_seconds}"
            raise JudgeError(f"{found}; expected at least 1, and more than 0")
        if self.prompt.needs_logprobs and self._decode.logprobs < 1:
            raise JudgeError(f"judge prompt {self.prompt.name!r} is read from log-probabilities; decode.logprobs is 0")

    @property
    def identity(self) -> Identity:
        """The host is in it, a port is not; all loopback addresses are one."""
        backend = "loopback" if self.loopback else urlsplit(self.base_url).hostname or ""
        return Identity("openai", self.model, self.revision, self.prompt.name, self.prompt.sha, self._decode, backend)

    @property
    def parser_name(self) -> str:
        """The prompt's."""
        return self.prompt.parser

    @property
    def free(self) -> bool:
        """On loopback, but for a model with a price: a proxy there hands it on."""
        return self.loopback and self.model not in TABLE

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine."""
        return loopback(self.base_url)

    @property
    def open_at_most(self) -> int:
        """Requests that are open at once."""
        return self.concurrency if self.concurrency is not None else OPEN_LOCAL if self.loopback else OPEN_HOSTED

    @property
    def _decode(self) -> Decode:
        return self.decode or self.prompt.decode

    def messages(self, game: Game) -> tuple[Message, ...]:
        """The prompt, filled."""
        return self.prompt.messages(game)

    def require(self) -> None:
        """The client, the key, and somebody who listens."""
        try:
            import openai
        except ImportError:
            raise JudgeError("judge 'openai': the client is missing; pip install 'groupbench[judges]'") from None
        if not self.loopback and not os.environ.get(self.key_variable):
            raise JudgeError(
                f"judge {self.model!r} at {self.base_url}: the environment variable {self.key_variable} holds no key; "
                f"set it, or name another one (key_variable)"
            )

        async def probe() -> None:
            async with self._client() as client:
                try:
                    await client.models.list(timeout=PROBE_SECONDS)
                except openai.AuthenticationError as error:
                    raise JudgeError(f"{self.base_url}: the key in {self.key_variable} is refused: {error}") from None
                except openai.APITimeoutError:
                    pass  # slow, and so there
                except openai.APIConnectionError as error:
                    raise JudgeError(f"{self.base_url}: no server there ({error.__cause__ or error})") from None
                except Exception:
                    pass  # whatever it says to this, it is there; many serve no list of models

        asyncio.run(probe())

    def ask(self, games: Sequence[Game], sink: Sink) -> None:
        """Ask all games, in no order."""

        async def all_of_them() -> None:
            async with self._client() as client:
                attempts = Attempts(
                    client, self.body, self.prompt.needs_logprobs, self.open_at_most, self.timeout_seconds, sink
                )
                attempts.without_logprobs = self._without_logprobs[-1]
                try:
                    await attempts.all(games)
                finally:
                    self._without_logprobs.append(attempts.without_logprobs)

        asyncio.run(all_of_them())

    def body(self, game: Game) -> dict[str, Any]:
        """The request for a game."""
        decode = self._decode.fresh(game.sample)
        body: dict[str, Any] = {
            "model": self.model, "messages": list(self.messages(game)), "temperature": decode.temperature,
            "top_p": decode.top_p, "max_tokens": decode.max_tokens, "seed": decode.seed,
        }  # fmt: skip
        return body | ({"logprobs": True, "top_logprobs": decode.logprobs} if decode.logprobs else {})

    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        plain = not self.base_url.startswith("https")  # then no certificates need be read, which takes a while
        # On loopback without the environment's proxy, which would not find it.
        http_client = DefaultAsyncHttpxClient(trust_env=not self.loopback, verify=not plain)
        return AsyncOpenAI(
            api_key=os.environ.get(self.key_variable) or "none",
            base_url=self.base_url,
            timeout=self.timeout_seconds,
            max_retries=0,  # ours
            http_client=http_client,
        )
