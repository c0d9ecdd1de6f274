"""Record files as a submission carries them: gzip, the same bytes from the same content, and unpacked only so far.

A file named `steps.jsonl` is read where it lies; where it does not, `steps.jsonl.gz` is read in its place.
"""

from __future__ import annotations

import gzip
import zlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from .records import RecordError

SUFFIX = ".gz"
LARGEST = 256 * 2**20  # bytes that one file may unpack to: a cell of 200 evaluations of 5,000 items has a third of it


def pack(content: bytes) -> bytes:
    """One gzip member without name, time or system in its header."""
    packed = bytearray(gzip.compress(content, 9, mtime=0))
    packed[9] = 255  # zlib would name the system that it was built for
    return bytes(packed)


def unpack(packed: bytes, where: str, limit: int = LARGEST) -> bytes:
    """The content of one gzip member. Never more than `limit` bytes are made of it. Raises RecordError."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        content = unpacking.decompress(packed, limit + 1)
    except zlib.error as error:
        raise RecordError(f"{where}: not readable as gzip ({error})") from None
    if len(content) > limit:
        raise RecordError(f"{where}: unpacks to more than {limit} bytes; expected at most these")
    if not unpacking.eof:
        raise RecordError(f"{where}: not readable as gzip (it is cut off)")
    if unpacking.unused_data:
        raise RecordError(
            f"{where}: {len(unpacking.unused_data)} bytes behind the end of the gzip member; expected none"
        )
    return content


def there(path: Path) -> bool:
    """Whether a file lies here, as it is or packed."""
    return path.exists() or path.with_name(path.name + SUFFIX).exists()


def content(path: Path) -> bytes:
    """A file's bytes, unpacked where it lies packed. Raises RecordError, or OSError where neither can be read."""
    packed = path.with_name(path.name + SUFFIX)
    if path.exists() or not packed.exists():
        return path.read_bytes()
    status = packed.stat()
    return _content(packed, status.st_mtime_ns, status.st_size)


def part(path: Path, start: int, stop: int) -> bytes:
    """Bytes [start, stop) of a file. Raises as `content`."""
    with opened(path) as file:
        file.seek(start)
        return file.read(stop - start)


def opened(path: Path) -> BinaryIO:
    """A file to be read piece by piece, unpacked where it lies packed. Raises as `content`."""
    return path.open("rb") if path.exists() else BytesIO(content(path))


@lru_cache(maxsize=8)  # the evaluations of a cell lie in one file, and are read one by one
def _content(packed: Path, changed: int, size: int) -> bytes:
    return unpack(packed.read_bytes(), str(packed))
