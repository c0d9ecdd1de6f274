"""Records from disk, checked against their schema while they are decoded: tables may stand on a million of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints, is_typeddict

import msgspec

from . import packed
from .records import SCHEMA, CellRecord, EvalRecord, Measure, RecordError, State, Status, StepRecord, TuningRecord

T = TypeVar("T")


class _Record(msgspec.Struct, gc=False):
    """A line as its schema's dict, `record["key"]`, in half the time and a third of the memory of one."""

    __getitem__ = object.__getattribute__  # in C: tables ask millions of times

    def __contains__(self, key: str) -> bool:
        return getattr(self, key, msgspec.UNSET) is not msgspec.UNSET

    def get(self, key: str, default: Any = None) -> Any:
        """As a dict's."""
        value = getattr(self, key, msgspec.UNSET)
        return default if value is msgspec.UNSET else value


class Verdicts(msgspec.Struct, gc=False):
    """What tables need of a `records.ItemRecord`."""

    step: int
    split: str
    mode: str
    id: str
    correct: list[int]
    cluster: str | None = None
    reward: list[float] | None = None
    gold: list[float] | None = None

    def of(self, measure: Measure) -> Sequence[float]:
        """One value a sample; empty where it was not measured."""
        if measure == "accuracy":
            return self.correct
        return (self.reward if measure == "reward" else self.gold) or ()


class Told(Verdicts):
    """The whole of a `records.ItemRecord`; without texts, unless it is held out and of a run's last evaluation."""

    tokens: list[int] = []
    prompt: str | None = None
    answer: str | None = None
    texts: list[str] | None = None


def one(path: Path, schema: type[T]) -> T:
    """The record of a JSON file. Raises RecordError that names the file, what is wrong and what was expected."""
    return decode(_bytes(path), schema, str(path))


def lines(path: Path, schema: type[T]) -> list[T]:
    """The records of a JSON-lines file; none where it is missing. A last line that a kill has torn is left out.

    More keys than the schema's are allowed, and dropped: older code reads newer records. Raises RecordError that names
    the record.
    """
    return parse(_bytes(path), schema, str(path)) if packed.there(path) else []


def parse(content: bytes, schema: type[T], where: str) -> list[T]:
    """The same of a file's content, which lies at `where`."""
    content = content[: content.rfind(b"\n") + 1]
    try:
        return _decoder(_struct(schema)).decode_lines(content)  # type: ignore[arg-type]
    except msgspec.MsgspecError:
        for number, line in enumerate(filter(None, content.split(b"\n")), start=1):
            decode(line, _struct(schema), f"{where}, record {number}")  # type: ignore[arg-type]
        raise


def cell(folder: Path) -> tuple[CellRecord, Status | None]:
    """What a cell is and how it stands; None where it was killed before its first status."""
    path = folder / "cell.json"
    raw = one(path, dict[str, Any])
    if raw.get("schema", SCHEMA) != SCHEMA:
        raise RecordError(f"{path}: schema {raw['schema']!r}; this groupbench reads schema {SCHEMA}")
    status_path = folder / "status.json"
    if not status_path.exists():
        return convert(raw, CellRecord, str(path)), None
    status = one(status_path, dict[str, Any])
    state = status.get("state")
    if state is not None and state not in get_args(State):
        raise RecordError(f"{status_path}: state {state!r}; expected {', '.join(get_args(State))}")
    return convert(raw, CellRecord, str(path)), convert(status, Status, str(status_path))


def steps(folder: Path) -> tuple[StepRecord, ...]:
    """By step. Where a step was written twice, the later record supersedes."""
    latest = {record["step"]: record for record in lines(folder / "steps.jsonl", StepRecord)}
    return tuple(latest[step] for step in sorted(latest))


def evaluations(folder: Path) -> dict[tuple[str, str], tuple[EvalRecord, ...]]:
    """By split and mode, each by step; a later record supersedes here as well."""
    curves: dict[tuple[str, str], dict[int, EvalRecord]] = {}
    found: list[Any] = lines(folder / "evals.jsonl", EvalRecord)
    for record in found:
        curves.setdefault((record.split, record.mode), {})[record.step] = record
    return {key: tuple(curve[step] for step in sorted(curve)) for key, curve in curves.items()}


def items(folder: Path, evaluation: EvalRecord, measure: Measure = "accuracy") -> list[Verdicts]:
    """The items of one evaluation of the cell in `folder`, without reading those of others; none where it has no range.

    Raises RecordError, naming file and bytes, unless exactly this evaluation's items lie there, each with its measure.
    """
    if "items" not in evaluation:
        return []
    path, expected = folder / "items.jsonl", (evaluation["step"], evaluation["split"], evaluation["mode"])
    where = f"{path}, bytes {evaluation['items']}"
    try:
        start, stop = evaluation["items"]
        found: list[Verdicts] = _decoder(Verdicts).decode_lines(packed.part(path, start, stop))
    except RecordError as error:
        raise RecordError(f"{where}: {error}") from None
    except (OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise RecordError(f"{where}: not readable as items ({type(error).__name__}: {error})") from None
    if empty := [item.id for item in found if not item.of(measure)]:
        what = "verdict: correct = []" if measure == "accuracy" else measure
        raise RecordError(f"{where}: item {empty[0]!r} has no {what}; expected one a sample")
    kinds = {(item.step, item.split, item.mode) for item in found}
    if kinds != {expected} or len(found) != evaluation["examples"]:
        count = evaluation["examples"]
        raise RecordError(f"{where}: {len(found)} items of {sorted(kinds)}; expected {count} of {expected}")
    return found


def told(folder: Path, evaluation: EvalRecord, first: int = 0, most: int | None = None) -> list[Told]:
    """Items of one evaluation from number `first` on, at most so many, with their texts; none where it has no range.

    Raises RecordError that names file and bytes.
    """
    if "items" not in evaluation:
        return []
    path, (start, stop) = folder / "items.jsonl", evaluation["items"]
    try:
        with packed.opened(path) as file:
            file.seek(start)
            found: list[bytes] = []
            while file.tell() < stop and (most is None or len(found) < first + most) and (line := file.readline()):
                found.append(line)
        decoder: msgspec.json.Decoder[Told] = _decoder(Told)
        return [decoder.decode(line) for line in found[first:]]
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise RecordError(f"{path}, bytes {evaluation['items']}: not readable as items ({error})") from None


def searches(root: Path) -> TuningRecord | None:
    """How settings were found; None where nothing was searched."""
    path = root / "tuning.json"
    return one(path, TuningRecord) if path.exists() else None


@contextmanager
def no_garbage() -> Iterator[None]:
    """No collection while records are read, and none of them later: they are many, and looking at all takes seconds."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what is no longer referred to is freed as ever; only cycles would stay, and records have none
        if before:
            gc.enable()


def _bytes(path: Path) -> bytes:
    try:
        return packed.content(path)
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file") from None
    except OSError as error:
        raise RecordError(f"{path}: not readable ({error})") from None


def decode(content: bytes, schema: type[T], where: str) -> T:
    """A record's bytes, which lie at `where`. Raises RecordError."""
    try:
        return _decoder(schema).decode(content)  # type: ignore[arg-type]
    except msgspec.ValidationError as error:
        raise _invalid(error, schema, where) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise RecordError(f"{where}: not readable as JSON ({error})") from None


def convert(raw: Any, schema: type[T], where: str) -> T:
    """What is read already, checked against its schema."""
    try:
        return msgspec.convert(raw, schema)
    except msgspec.ValidationError as error:
        raise _invalid(error, schema, where) from None


def _invalid(error: Exception, schema: Any, where: str) -> RecordError:
    keys = ", ".join(getattr(schema, "__struct_fields__", getattr(schema, "__annotations__", ())))
    return RecordError(f"{where}: {error}; expected {schema.__name__}: {keys}")


@cache
def _decoder(schema: Any) -> Any:
    return msgspec.json.Decoder(schema)


@cache
def _struct(schema: Any) -> Any:
    """The struct of a TypedDict, nested ones included; what is not required is UNSET where it is not there."""
    fields: list[Any] = []
    for name, hint in get_type_hints(schema).items():
        kind = _struct(hint) if is_typeddict(hint) else hint
        required = name in schema.__required_keys__
        fields.append((name, kind) if required else (name, kind | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(schema.__name__, fields, bases=(_Record,), gc=False, kw_only=True)
