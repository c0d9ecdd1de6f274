"""A recipe's reward, resolved and checked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast, get_type_hints

from pydantic import TypeAdapter, ValidationError

from leaderboard.declared import suggestion
from tasks.base import Task, TaskError
from tasks.rewards.base import Reward
from tasks.rewards.rewarded import Rewarded
from tasks.wrapped import innermost

from .. import models
from ..errors import UserError
from ..plugins import build, explain, known_rewards
from ..settings import RewardChoice
from .scorer import RewardScorer
from .stage import Stage

PRECISIONS = ("auto", "float32", "bfloat16")
HANDED_IN = ("scorer", "task")  # fields that the harness fills
OF_A_MODEL = ("model", "revision", "precision")  # parameters of a reward that is handed a scorer


def rewarded(task: Task, choice: RewardChoice | None, stage: Stage | None, device: str) -> Task:
    """`task` in the recipe's reward; itself where the recipe names none. `stage` is that of `choice.train`.

    Raises UserError for a task that needs a reward, and for one that cannot be given.
    """
    if choice is None:
        if not task.graded:
            raise UserError(
                f"task {task.name} has no verifier, so that a run needs a reward: `reward: {{name: reward_model, "
                f"parameters: {{model: …}}}}`; there are {', '.join(known_rewards())}"
            )
        return task
    where = f"reward ({choice.name})"
    known = known_rewards()
    if choice.name not in known:
        raise UserError(f"reward: unknown reward {choice.name!r}{suggestion(choice.name, known)}")
    cls = known[choice.name]
    own = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    parameters = dict(choice.parameters)
    _check_keys(cls, parameters, where)
    try:
        handed: dict[str, Any] = {"task": innermost(task)} if "task" in own else {}
        if "scorer" in own:
            said = {key: parameters.pop(key) for key in OF_A_MODEL if key in parameters}
            handed["scorer"] = _scorer(said, stage, device, where)
        elif choice.train is not None:
            raise UserError(f"{where}.train: it takes no model that could be trained")
        made = _build(cls, parameters, handed, where)
        return Rewarded(task, made)
    except TaskError as error:
        raise UserError(f"{where}: {error}") from error


def parameters_of(cls: type[Reward]) -> list[str]:
    """What a recipe may set of a reward: its fields but for what the harness hands in, which it may name."""
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    return [name for name in names if name not in HANDED_IN] + list(OF_A_MODEL if "scorer" in names else ())


def _check_keys(cls: type[Reward], parameters: Mapping[str, Any], where: str) -> None:
    allowed = parameters_of(cls)
    for key in parameters:
        if key in HANDED_IN:
            raise UserError(f"{where}.parameters: {key!r} is handed in by the harness, and no parameter")
        if key not in allowed:
            raise UserError(f"{where}.parameters: unknown key {key!r}{suggestion(key, allowed)}")


def _build(cls: type[Reward], parameters: Mapping[str, Any], handed: Mapping[str, Any], where: str) -> Reward:
    if not handed:
        return build(cls, parameters, f"{where}.parameters")
    hints = get_type_hints(cls)
    found = {}
    for key, value in parameters.items():
        try:
            found[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            raise UserError(explain(error, f"{where}.parameters.{key}")) from None
    try:
        made: Reward = cast(Any, cls)(**handed, **found)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}.parameters: {error}") from error
    return made


def _scorer(said: Mapping[str, Any], stage: Stage | None, device: str, where: str) -> RewardScorer:
    precision = said.get("precision", "auto")
    if precision not in PRECISIONS:
        raise UserError(f"{where}.parameters.precision = {precision!r}{suggestion(precision, PRECISIONS)}")
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    if stage is not None:
        if taken := [key for key in ("model", "revision") if key in said]:
            raise UserError(f"{where}: has both parameters.{taken[0]} and train; a reward comes from one model")
        return stage.scorer(precision)
    if not isinstance(said.get("model"), str):
        raise UserError(
            f"{where}.parameters: model is missing; expected a folder or a Hub id, e.g. "
            "Skywork/Skywork-Reward-V2-Qwen3-0.6B, or `train:` for one that is fitted first"
        )
    scorer = RewardScorer(models.find(said["model"], said.get("revision")), precision, device)
    scorer.check()
    return scorer
