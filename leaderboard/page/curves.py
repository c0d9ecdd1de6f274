"""Which charts a run's page has: what evaluations measured and what training did, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..records import EvalRecord, StepRecord
from ..runs import MODES, SPLITS, Mode
from ..words import one_line
from .figures import Line, Panel, line

Evals = Mapping[tuple[str, str], Sequence[EvalRecord]]
Steps = Sequence[StepRecord]

NAMES = {"heldout": "held out", "probe": "train probe"}
CLIPPED = "clip_fraction"  # the metric that nearly every algorithm has
OWN = 24  # further metrics of an algorithm that are drawn, at most


def learned(steps: Steps, evals: Evals) -> list[Panel]:
    """What a reader looks for first: accuracy or reward on unseen and seen examples, and in training."""
    found = [_measured(evals, mode, "accuracy", f"Accuracy, {mode}", "%", 100) for mode in MODES]
    found += [_measured(evals, mode, "reward", f"Reward, {mode}", "mean") for mode in MODES]
    found += [_measured(evals, mode, "gold", f"Gold, {mode}", "nats") for mode in MODES]
    training = [_steps(steps, "sampled", lambda s: s["reward"])]
    shaped = [s["shaped_reward"] for s in steps]
    if any(value is not None and value != s["reward"] for value, s in zip(shaped, steps, strict=True)):
        training.append(_steps(steps, "trained on, shaped", lambda s: s["shaped_reward"], True))
    found.append(Panel("Reward in training", "mean of a step", tuple(training)))
    return _there(found)


def conduct(steps: Steps, evals: Evals) -> list[Panel]:
    """How training behaved: distance, entropy, gradients, clipping, lengths."""
    sampled = evals.get(("heldout", "sampled"), ())

    def mixed(title: str, unit: str, field: str, factor: float = 1.0) -> Panel:
        return Panel(title, unit, (
            _steps(steps, "training", lambda s: s[field], factor=factor),  # type: ignore[literal-required]
            _evals(sampled, "held out, sampled", field, True, factor),
        ))  # fmt: skip

    norms = (
        _steps(steps, "mean", lambda s: s["grad_norm"]), _steps(steps, "largest", lambda s: s["grad_norm_max"], True),
    )  # fmt: skip
    clipped = _steps(steps, "clipped", lambda s: s["metrics"].get(CLIPPED), factor=100)
    silent = _steps(steps, "of the trained groups", lambda s: s["zero_variance_groups"], factor=100)
    found = [
        Panel("KL to the start", "nats a response", (_evals(sampled, "held out, sampled", "kl"),)),
        Panel("Entropy", "nats a token", (_evals(sampled, "held out, sampled", "entropy"),)),
        Panel("Gradient norm before clipping", "", norms),
        Panel("Clip fraction", "%", (clipped,)),
        mixed("Response length", "tokens", "response_tokens"),
        mixed("Truncated at the limit", "%", "truncated", 100),
        mixed("No answer found", "%", "no_answer", 100),
        Panel("Groups of equal rewards", "%", (silent,)),
        Panel("Loss", "mean of a step's updates", (_steps(steps, "loss", lambda s: s["loss"]),)),
    ]
    return _there(found)


def own(steps: Steps) -> list[Panel]:
    """What the algorithm reports of itself."""
    names = sorted({name for step in steps for name in step["metrics"]} - {CLIPPED})
    return _there([Panel(_words(n), "", (_steps(steps, "training", _metric(n)),)) for n in names[:OWN]])


def _measured(evals: Evals, mode: Mode, field: str, title: str, unit: str, factor: float = 1.0) -> Panel:
    lines = [
        _evals(evals.get((split, mode), ()), NAMES[split], field, dashed=split == "probe", factor=factor)
        for split in SPLITS
    ]
    return Panel(title, unit, tuple(lines))


def _evals(found: Sequence[EvalRecord], name: str, field: str, dashed: bool = False, factor: float = 1.0) -> Line:
    values = [record.get(field) for record in found]
    return line(name, [record["step"] for record in found], values, dashed, factor)  # type: ignore[arg-type]


def _steps(
    steps: Steps, name: str, value: Callable[[StepRecord], Any], dashed: bool = False, factor: float = 1.0
) -> Line:
    return line(name, [step["step"] for step in steps], list(map(value, steps)), dashed, factor)


def _metric(name: str) -> Callable[[StepRecord], Any]:
    return lambda step: step["metrics"].get(name)


def _words(name: str) -> str:
    return one_line(name).replace("_", " ")[:60]


def _there(panels: Sequence[Panel]) -> list[Panel]:
    """The panels in which anything was measured, and of each what was."""
    kept = [Panel(panel.title, panel.unit, tuple(one for one in panel.lines if len(one.x))) for panel in panels]
    return [panel for panel in kept if panel.lines]
