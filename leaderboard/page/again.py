"""The recorded command that makes a run again, as far as it is one of ours.

A reader is about to paste it, and records may be anybody's: what is not ours, or does not look as we write it, is left
out, and never quoted.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

RUN = ("groupbench", "run")
COMMIT = re.compile("[0-9a-f]{7,64}")
VERSION = re.compile(r"\d[\w.+]*", re.ASCII)


def commands(known: Mapping[str, Any], name: str) -> list[str]:
    """What to type, a command each: the code of then, and the words of the command; none where there is none of ours.

    `known` is the provenance, and `name` what the new results are called by.
    """
    words = known.get("command")
    if not isinstance(words, list) or tuple(words[:2]) != RUN:
        return []
    return [*code(known), shlex.join([*map(str, words), *out(name)])]


def code(known: Mapping[str, Any]) -> list[str]:
    """How to get the code that ran, as far as what is recorded looks like it."""
    commit, versions = str(known.get("commit") or "").removesuffix("+"), known.get("versions")
    if COMMIT.fullmatch(commit):
        return [shlex.join(["git", "checkout", commit])]
    version = str(versions.get("groupbench") or "") if isinstance(versions, Mapping) else ""
    return [shlex.join(["pip", "install", f"groupbench=={version}"])] if VERSION.fullmatch(version) else []


def out(name: str) -> list[str]:
    """Where the new results go."""
    return ["--out", f"results/again-{name}"]
