"""What lm-eval returns, as plain JSON under a protocol name of its own: never to be mixed with our numbers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from . import library, loading

if TYPE_CHECKING:
    from ..models import Source
    from .running import Prepared, Settings

_NOT_METRICS = {"name", "alias", "sample_len", "sample_count"}


class Metric(TypedDict):
    """One metric after one filter."""

    metric: str
    filter: str  # "none" where the task has none
    value: float | None  # None where lm-eval has no number, e.g. of an empty category
    stderr: float | None  # as lm-eval gives it; None where it gives none
    higher_is_better: bool | None


class Data(TypedDict):
    """Where a task's documents come from."""

    path: str
    name: str | None
    revision: str | None
    files: dict[str, list[str]]  # names of local files, by split
    split: str | None
    size: int  # documents in the split
    sha256: str  # over the evaluated documents, in order: equal for a redirect and the Hub


class TaskRecord(TypedDict):
    """One lm-eval task."""

    protocol: str
    version: float | str | None
    own: bool  # defined by the user's folder, not by the package
    output_type: str | None
    few_shots: int
    chat_template: bool
    metrics: list[str]
    filters: list[str]
    generation: dict[str, Any] | None
    data: Data
    samples: int  # documents evaluated
    results: list[Metric]


class GroupRecord(TypedDict):
    """A group's aggregate, where it defines one."""

    members: list[str]
    results: list[Metric]


class Record(TypedDict):
    """An evaluation by lm-eval."""

    schema: int
    harness: str
    model: str
    engine: str
    settings: dict[str, Any]
    tasks: dict[str, TaskRecord]
    groups: dict[str, GroupRecord]
    warnings: list[str]


def build(
    prepared: Prepared, source: Source, results: Mapping[str, Any], warnings: Iterable[str]
) -> tuple[Record, list[dict[str, Any]]]:
    """The record, and the samples of all tasks in the record's order."""
    settings = prepared.settings
    tasks: dict[str, TaskRecord] = {}
    samples: list[dict[str, Any]] = []
    for task in sorted(results["configs"]):
        tasks[task] = _task(prepared, task, results)
        samples += [_sample(task, sample) for sample in results["samples"][task]]
    better = results["higher_is_better"]
    groups: dict[str, GroupRecord] = {}
    for group in sorted(results["group_subtasks"]):
        found = _metrics(results["results"].get(group, {}), better.get(group, {}))
        groups[group] = {"members": sorted(results["group_subtasks"][group]), "results": found}
    record: Record = {
        "schema": 1,
        "harness": f"lm-eval {prepared.version}",
        "model": source.name,
        "engine": settings.engine,
        "settings": recorded_settings(settings),
        "tasks": tasks,
        "groups": groups,
        "warnings": list(warnings),
    }
    return record, samples


def recorded_settings(settings: Settings) -> dict[str, Any]:
    """The settings as a record holds them; equal ones ask the same."""
    return {
        "names": list(settings.names),
        "device": settings.device,
        "precision": settings.precision,
        "batch_size": settings.batch_size if settings.engine == "transformers" else None,
        "limit": settings.limit,
        "few_shots": settings.few_shots,
        "chat": settings.chat,
        "seeds": dict(settings.seeds),
        "allow_code": settings.allow_code,
    }


def _task(prepared: Prepared, task: str, results: Mapping[str, Any]) -> TaskRecord:
    config = results["configs"][task]
    version, few_shots = plain(results["versions"].get(task)), int(results["n-shot"].get(task, 0))
    own = loading.is_own(prepared.manager, task, library.tasks_folder())
    counts = results["n-samples"][task]
    limited = counts["effective"] < counts["original"]
    generates = config.get("output_type") == "generate_until"
    # lm-eval generates at most 256 tokens where a task does not say otherwise.
    generation = {"max_gen_toks": 256, **(config.get("generation_kwargs") or {})} if generates else None
    return {
        "protocol": protocol(
            prepared.version, task, version, few_shots, prepared.settings.chat, own,
            counts["effective"] if limited else None,
        ),
        "version": version,
        "own": own,
        "output_type": config.get("output_type"),
        "few_shots": few_shots,
        "chat_template": prepared.settings.chat,
        "metrics": [_name(each.get("metric")) for each in config.get("metric_list") or []],
        "filters": [str(each["name"]) for each in config.get("filter_list") or []],
        "generation": plain(generation),
        "data": _data(config, results["samples"][task], counts["original"]),
        "samples": counts["effective"],
        "results": _metrics(results["results"][task], results["higher_is_better"].get(task, {})),
    }  # fmt: skip


def protocol(
    harness: str, task: str, version: object, few_shots: int, chat: bool, own: bool = False, first: int | None = None
) -> str:
    """Our name of lm-eval's protocol, e.g. `lm-eval 0.4.13: gsm8k v3, 5-shot, chat template`."""
    number = f"{version:g}" if isinstance(version, int | float) else version
    parts = [
        f"lm-eval {harness}: {task}" + (f" v{number}" if number not in (None, "Yaml", "N/A") else ""),
        *(["own YAML"] if own else []),
        f"{few_shots}-shot",
        *(["chat template"] if chat else []),
        *([f"first {first} documents"] if first is not None else []),
    ]
    return ", ".join(parts)


def _metrics(found: Mapping[str, Any], better: Mapping[str, Any]) -> list[Metric]:
    rows: list[Metric] = []
    for key in sorted(found):
        metric, _, name = key.partition(",")
        if key in _NOT_METRICS or metric.endswith("_stderr"):
            continue
        rows.append({
            "metric": metric,
            "filter": name or "none",
            "value": _number(found[key]),
            "stderr": _number(found.get(f"{metric}_stderr,{name}")),
            "higher_is_better": better.get(metric),
        })  # fmt: skip
    return rows


def _data(config: Mapping[str, Any], samples: Iterable[Mapping[str, Any]], size: int) -> Data:
    arguments = config.get("dataset_kwargs") or {}
    hashes = dict(sorted((sample["doc_id"], sample["doc_hash"]) for sample in samples))
    splits = (config.get("test_split"), config.get("validation_split"), config.get("training_split"))
    return {
        "path": str(config.get("dataset_path")),
        "name": config.get("dataset_name"),
        "revision": arguments.get("revision"),
        "files": _files(arguments.get("data_files")),
        "split": next((split for split in splits if split), None),
        "size": size,
        "sha256": hashlib.sha256("\n".join(hashes.values()).encode()).hexdigest(),
    }


def _files(named: Any) -> dict[str, list[str]]:
    """Names without folders, which differ from machine to machine."""
    by_split = named if isinstance(named, dict) else {"": named} if named else {}
    listed = {split: each if isinstance(each, list) else [each] for split, each in by_split.items()}
    return {split: [Path(str(file)).name for file in files] for split, files in sorted(listed.items())}


def _sample(task: str, sample: Mapping[str, Any]) -> dict[str, Any]:
    """Without the document and the prompt, of which it keeps the hashes."""
    kept = {key: plain(sample[key]) for key in ("doc_id", "filter", "target", "resps", "filtered_resps")}
    verdicts = {metric: plain(sample[metric]) for metric in sample["metrics"] if metric in sample}
    hashes = {key: sample[key] for key in ("doc_hash", "prompt_hash", "target_hash")}
    return {"task": task, **kept, "metrics": verdicts, **hashes}


def _name(metric: Any) -> str:
    """A metric may be a function, of which lm-eval keeps the source."""
    text = str(metric)
    return text if text.isidentifier() else text.partition("def ")[2].partition("(")[0] or "custom"


def _number(value: Any) -> float | None:
    found = plain(value)
    return float(found) if isinstance(found, int | float) else None


def plain(value: Any) -> Any:
    """As JSON has it: NaN and infinities become null, NumPy's scalars numbers, what is no data its text."""
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(each) for each in value)
    return str(value)
