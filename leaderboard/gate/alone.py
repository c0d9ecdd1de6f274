"""Whether an evaluation may be a first baseline: what can be said of it where there is nothing to compare with."""

from __future__ import annotations

from ..evaluations import Evaluation
from .checks import Problem, check, of_data, of_limits
from .config import Config, tasks_of
from .metrics import mean_score


def alone(config: Config | None, evaluation: Evaluation) -> list[Problem]:
    """All problems: of all its tasks' data, and where there is a config, of its tasks, absolute limits and floors."""
    if not evaluation.tasks:
        return [Problem("", "data", 3, "the evaluation holds no task of ours")]
    named = tasks_of(config.metrics) if config else []
    found = check(config, evaluation, None, "k") if config else []
    for task, held in evaluation.tasks.items():
        if task not in named:
            found += of_data(task, "baseline", held)
    broken = {problem.task for problem in found}
    for task in [task for task in named if task not in broken]:
        assert config is not None
        metrics, held = [metric for metric in config.metrics if metric.task == task], evaluation.tasks[task]
        found += of_limits(task, held, config.limits, any(metric.gated for metric in metrics))
        for metric in metrics:
            if metric.min is not None and (score := mean_score(metric, held.items)) < metric.min:
                said = f"{metric.name}: {score:.4f} is below its floor, min: {metric.min}"
                found.append(Problem(task, "min", 1, said, metric.gated))
    return found
