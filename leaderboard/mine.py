"""Which files of a results folder are the user's own, and which were handed in by others and may be anything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .records import SUBMISSION, SUBMISSIONS


def below(place: Path, name: str) -> list[Path]:
    """The files of this name in or below `place`, sorted, less those of submissions."""
    return only(place, sorted(place.rglob(name)))


def only(place: Path, paths: Iterable[Path]) -> list[Path]:
    """Of the paths below `place`, those of no submission; none where `place` is one, lies in one, or holds them.

    What lies in a folder of submissions is nobody's run without its manifest as well: losing it must verify nothing.
    """
    whole = place.resolve()
    if whole.name == SUBMISSIONS or any((folder / SUBMISSION).exists() for folder in (whole, *whole.parents)):
        return []
    theirs = {path.parent for path in place.rglob(SUBMISSION)}
    theirs |= {path for path in place.rglob(SUBMISSIONS) if path.is_dir()}
    return [path for path in paths if theirs.isdisjoint((path, *path.parents))]
