"""Words of a fixed vocabulary, refused where they are given and not where they would have mattered."""

from __future__ import annotations

from collections.abc import Iterable


def expect_word(what: str, word: object, allowed: Iterable[str], besides: Iterable[str] = ()) -> None:
    """Raise ValueError, with what was found and what is allowed, unless `word` is one of `allowed`.

    `besides`: what else would do, for the message.
    """
    known = tuple(allowed)
    if not isinstance(word, str) or word not in known:
        raise ValueError(f"{what} = {word!r}; allowed: {', '.join([*besides, *map(repr, known)])}")
