"""A submission's files, read once each and trusted in nothing: no link, no path out of the folder, no bomb.

All checks look at the very bytes that the hash was taken of.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from .. import packed
from ..records import RecordError
from .faults import Faults, hostile, huge, strings
from .manifest import FILE, FOLDERS, LAYOUT, NAME, SCHEMA, File, Manifest, identity

MANIFEST_BYTES = 8 * 2**20
FILE_BYTES = 64 * 2**20  # on disk
ALL_BYTES = 2 * 2**30  # of all files, unpacked
FILES = 20_000


@dataclass(frozen=True)
class Folder:
    """What could be read: contents by path, unpacked where packed, under the name without .gz."""

    path: Path
    manifest: Manifest | None = None
    contents: Mapping[str, bytes] = field(default_factory=dict)


def read(path: Path, faults: Faults) -> Folder:
    """Look at everything in the folder, and read what the manifest lists as far as it is safe."""
    if path.is_symlink():
        faults.add(".", "", "a symbolic link", "a folder", unsafe=True)
        return Folder(path)
    there, folders = _scan(path, faults)
    if faults.unsafe:
        return Folder(path)
    if FILE not in there:
        faults.add(FILE, "", "no such file", f"one that lists the {len(there)} files", unsafe=True)
        return Folder(path)
    manifest = _manifest(path, faults)
    if manifest is None:
        return Folder(path)
    for folder in sorted(folder for folder in folders if not FOLDERS.fullmatch(folder)):
        faults.add(folder, "", "a folder that a submission has not", "those of the layout", unsafe=True)
    return Folder(path, manifest, _contents(path, manifest, there - {FILE}, faults))


def _scan(root: Path, faults: Faults) -> tuple[set[str], set[str]]:
    """Regular files and folders by relative path; everything else is a fault, and nothing is followed."""
    found, folders = set[str](), set[str]()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                place = PurePosixPath(Path(entry.path).relative_to(root)).as_posix()
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    waiting.append(Path(entry.path))
                    folders.add(place)
                elif stat.S_ISREG(mode):
                    found.add(place)
                else:
                    kind = "a symbolic link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
                    faults.add(place, "", kind, "a regular file", unsafe=True)
        if len(found) + len(folders) > FILES:
            faults.add(".", "", f"more than {FILES} files", f"at most {FILES}", unsafe=True)
            break
    return found, folders


def _manifest(root: Path, faults: Faults) -> Manifest | None:
    content = _read(root, FILE, MANIFEST_BYTES, faults)
    if content is None:
        return None
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
        expected = identity(manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        faults.add(FILE, "", error, f"keys {', '.join(Manifest.__struct_fields__)}", unsafe=True)
        return None
    if manifest.schema != SCHEMA:
        faults.add(FILE, "schema", manifest.schema, SCHEMA, unsafe=True)
        return None
    if not NAME.fullmatch(manifest.name) or manifest.name != Path(os.path.abspath(root)).name:
        faults.add(FILE, "name", repr(manifest.name), f"the folder's name, {NAME.pattern}", unsafe=True)
    if manifest.id != expected:
        faults.add(FILE, "id", manifest.id, f"{expected}, the hash of all the rest")
    refuse_hostile(FILE, manifest, faults)
    return manifest


def refuse_hostile(file: str, content: object, faults: Faults) -> None:
    """Name the first text of a record that could steer a terminal or hide what it says, and a number out of range."""
    built = msgspec.to_builtins(content)
    if place := huge(built):
        faults.add(file, place, "a whole number of more than 63 bits", "less", unsafe=True)
    for place, text in strings(built):
        if found := hostile(text):
            faults.add(file, place, f"{text!r} holds {found}", "no control or formatting character", unsafe=True)
            return


def _contents(root: Path, manifest: Manifest, there: set[str], faults: Faults) -> dict[str, bytes]:
    listed: dict[str, File] = {}
    for file in manifest.files:
        if not LAYOUT.fullmatch(file.path):
            faults.add(FILE, "files", f"the path {file.path!r}", "one of the layout, below this folder", unsafe=True)
        elif file.path in listed:
            faults.add(FILE, "files", f"{file.path} twice", "once", unsafe=True)
        else:
            listed[file.path] = file
    for extra in sorted(there - listed.keys()):
        faults.add(extra, "", "a file that the manifest does not list", "none", unsafe=True)
    for missing in sorted(listed.keys() - there):
        faults.add(missing, "", "no such file", "one, which the manifest lists")
    if (total := sum(max(file.unpacked, file.size) for file in listed.values())) > ALL_BYTES:
        faults.add(FILE, "files", f"{total} bytes unpacked", f"at most {ALL_BYTES}", unsafe=True)
        return {}
    found = {}
    for name in sorted(listed.keys() & there):
        content = _content(root, listed[name], faults)
        if content is not None:
            found[name.removesuffix(packed.SUFFIX)] = content
    return found


def _content(root: Path, file: File, faults: Faults) -> bytes | None:
    if file.unpacked > packed.LARGEST:
        faults.add(FILE, file.path, f"unpacked = {file.unpacked}", f"at most {packed.LARGEST}", unsafe=True)
        return None
    raw = _read(root, file.path, FILE_BYTES, faults)
    if raw is None:
        return None
    if len(raw) != file.size:
        faults.add(file.path, "", f"{len(raw)} bytes", f"{file.size}, as the manifest says")
    if (digest := hashlib.sha256(raw).hexdigest()) != file.sha256:
        faults.add(file.path, "", f"sha256 {digest}", f"{file.sha256}, as the manifest says")
    if not file.path.endswith(packed.SUFFIX):
        if file.unpacked != len(raw):
            faults.add(FILE, file.path, f"unpacked = {file.unpacked}", len(raw))
        return raw
    try:
        content = packed.unpack(raw, file.path, max(0, file.unpacked))
    except RecordError as error:
        found, _, expected = str(error).removeprefix(f"{file.path}: ").partition("; expected ")
        faults.add(file.path, "", found, expected, unsafe=True)
        return None
    if len(content) != file.unpacked:
        faults.add(file.path, "", f"unpacks to {len(content)} bytes", f"{file.unpacked}, as the manifest says")
    return content


def _read(root: Path, name: str, limit: int, faults: Faults) -> bytes | None:
    """The bytes of a regular file; None, and a fault, where it is too large, or no longer what the scan saw."""
    try:
        handle = os.open(root / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(handle, "rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        faults.add(name, "", f"not readable ({error.strerror})", "", unsafe=True)
        return None
    if len(content) > limit:
        faults.add(name, "", f"more than {limit} bytes", f"at most {limit}", unsafe=True)
        return None
    return content
