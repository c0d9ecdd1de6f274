"""Replies that were given once, kept by what was asked: a judge is never asked twice what it has answered.

A folder of append-only JSONL shards, read into an index when it is opened, with one writer (flock). The key is the
sha256 of everything that decides a reply; run names, paths and concurrency are not in it, nor is the parser, so that a
better parser reads old replies anew. The reading that a line has is for people. Failures are never stored.

A reply is with the kernel when `put` returns, so that no kill of the process loses it; it is forced to the disk, for
the loss of power, after BATCH replies or SECONDS, whichever comes first at a `put`, and when the cache is closed.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from .base import Decode, Identity, JudgeError
from .games import Game, Reading, Reply

VERSION = 1  # of the key
BATCH = 16
SECONDS = 1.0
SHARD_BYTES = 64 << 20
LOCK = "lock"


def key_of(identity: Identity, game: Game) -> str:
    """The sha256 (hex) of what decides the reply to a game, as canonical JSON."""
    asked = {
        "v": VERSION,
        **_judge(identity),
        "instruction": game.pair.instruction,
        "first": game.first,
        "second": game.second,
        "sample": game.sample,
    }
    return sha256(json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()


def _judge(identity: Identity) -> dict[str, Any]:
    """The identity under the key's names. The prompt's name is not in it: its texts' hash is."""
    return {
        "kind": identity.kind,
        "judge_id": identity.model,
        "judge_revision": identity.revision,
        "backend": identity.backend,
        "prompt_sha": identity.prompt_sha,
        "decode": asdict(identity.decode),
    }


@dataclass(frozen=True)
class Line:
    """One stored reply."""

    key: str
    identity: Identity  # without the prompt's name
    reply: Reply


class Cache:
    """The replies in a folder. Raises JudgeError where another process writes there, or a line is damaged."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = _locked(folder / LOCK)
        try:
            self._index: dict[str, tuple[Path, int, int]] = {}  # key -> shard, offset, bytes
            for shard in (shards := _shards(folder)):
                self._index = _indexed(shard) | self._index
            self._number = int(shards[-1].stem.partition("-")[2]) if shards else 0
            self._shard = self._open()
        except BaseException:
            self._lock.close()
            raise
        self._pending = 0
        self._synced = time.monotonic()

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: str) -> bool:
        return key in self._index

    def get(self, key: str) -> Reply | None:
        """The reply to what has this key; None where none was given."""
        if key not in self._index:
            return None
        shard, offset, size = self._index[key]
        with shard.open("rb") as file:
            file.seek(offset)
            return _line(file.read(size), f"{shard}").reply

    def put(self, identity: Identity, game: Game, reply: Reply, reading: Reading) -> None:
        """Store the reply to a game. A second reply to the same is not stored: the first one counts."""
        key = key_of(identity, game)
        if key in self._index:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        reply_fields = {name: value for name, value in asdict(reply).items() if value is not None}
        line = {"key": key, **_judge(identity), "id": game.pair.id, "candidate_first": game.candidate_first,
                "sample": game.sample, "reply": reply_fields, "reading": asdict(reading), "time": now}  # fmt: skip
        data = json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        if self._shard.tell() + len(data) > SHARD_BYTES and self._shard.tell():
            self.flush()
            self._shard.close()
            self._number += 1
            self._shard = self._open()
        offset = self._shard.tell()
        if self._shard.write(data) != len(data):  # unbuffered: what has returned is with the kernel
            os.truncate(self._shard.name, offset)
            raise OSError(f"{self._shard.name}: the disk is full")
        self._index[key] = (Path(self._shard.name), offset, len(data))
        self._pending += 1
        if self._pending >= BATCH or time.monotonic() - self._synced >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Force what was stored to the disk."""
        if self._pending:
            os.fsync(self._shard.fileno())
        self._pending, self._synced = 0, time.monotonic()

    def close(self) -> None:
        """Flush, and let others write."""
        if not self._shard.closed:
            self.flush()
            self._shard.close()
            self._lock.close()

    def _open(self) -> IO[bytes]:
        return (self.folder / f"shard-{self._number:05d}.jsonl").open("ab", buffering=0)

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path) -> list[Line]:
    """All replies of a cache's folder, or of one shard, without writing there: a torn last line is left out."""
    shards = _shards(path) if path.is_dir() else [path]
    return [_line(data, f"{shard}, line {number}") for shard in shards for number, _, data in _lines(shard)]


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("shard-*.jsonl"))


def _lines(shard: Path) -> Iterator[tuple[int, int, bytes]]:
    """Number, offset and bytes of each line that ends."""
    with shard.open("rb") as file:
        offset = 0
        for number, data in enumerate(file, start=1):
            if data.endswith(b"\n"):
                yield number, offset, data
            offset += len(data)


def _indexed(shard: Path) -> dict[str, tuple[Path, int, int]]:
    """Where each key's line is. A last line without an end, which a kill left, is cut off."""
    index: dict[str, tuple[Path, int, int]] = {}
    end = 0
    for number, offset, data in _lines(shard):
        key = _line(data, f"{shard}, line {number}").key
        index.setdefault(key, (shard, offset, len(data)))
        end = offset + len(data)
    if end < shard.stat().st_size:
        os.truncate(shard, end)
    return index


def _line(data: bytes, where: str) -> Line:
    try:
        line = json.loads(data)
        decode, reply = Decode(**line["decode"]), Reply(**line["reply"])
        identity = Identity(
            kind=line["kind"], model=line["judge_id"], revision=line["judge_revision"], prompt="",
            prompt_sha=line["prompt_sha"], decode=decode, backend=line["backend"],
        )  # fmt: skip
        return Line(line["key"], identity, reply)
    except (ValueError, TypeError, KeyError) as error:
        raise JudgeError(f"{where}: no stored reply ({type(error).__name__}: {error}); move the file away") from None


def _locked(path: Path) -> IO[str]:
    """The open lock file, which says who has it. The kernel lets go of it when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        raise JudgeError(f"{path.parent}: a cache of verdicts needs flock, which this system does not have") from None
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise JudgeError(
            f"{path.parent}: {holder} writes to this cache of verdicts; wait for it, or use another"
        ) from None
    except OSError as error:
        file.close()
        raise JudgeError(f"{path}: this file system gives no lock ({error}); put the cache elsewhere") from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    return file
