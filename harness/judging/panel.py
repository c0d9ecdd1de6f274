"""`--judge` and its options, resolved and checked before anything is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from leaderboard.declared import suggestion
from tasks.base import Example
from tasks.comparison import OfficialPrompt
from tasks.engines import Scorer
from tasks.judges import prompts, registry
from tasks.judges.base import Identity, Judge, JudgeError
from tasks.judges.endpoint import loopback
from tasks.judges.engine import EngineJudge
from tasks.judges.games import Game, Pair
from tasks.judges.parsing import PARSERS, READS_LOGPROBS
from tasks.judges.prompts import OURS, JudgePrompt
from tasks.judges.reward_model import RewardModelJudge
from tasks.open_ended import OpenEnded
from tasks.rewards.gold import GoldScorer

from .. import models, plugins
from ..errors import UserError
from ..rewards.scorer import RewardScorer
from .labels import LabelEngine

HANDED_IN = ("prompt", "engine", "scorer", "decode")  # fields that are no option of the command line
AUTO, OFFICIAL = "auto", "official"
MAIN_OPTION = {"openai": "model", "replay": "path"}  # what stands behind the colon of --judge
PROMPTLESS = ("reward_model", "gold", "mock")
LOCAL = ("engine", "reward_model")  # of a model that we load; its revision is an option


@dataclass(frozen=True)
class Wanted:
    """As the command line has it."""

    judge: str  # KIND or KIND:MODEL
    options: Mapping[str, Any]
    prompt: str = AUTO
    policy: str | None = None
    device: str = "cpu"
    precision: str = "float32"

    @property
    def kind(self) -> str:
        """The registered name."""
        return self.judge.partition(":")[0]

    @property
    def model(self) -> str:
        """What stands behind the colon."""
        return self.judge.partition(":")[2]


@dataclass(frozen=True)
class Panel:
    """One judge for each of a task's prompts: Arena-Hard v2 asks about creative writing in other words."""

    judges: tuple[tuple[Judge, tuple[Example, ...]], ...]
    prompt: str  # the name of what is asked, for people

    @property
    def parser(self) -> str:
        """The name of the policy by which replies are read."""
        return self.judges[0][0].parser_name

    def check(self) -> None:
        """Raise JudgeError for what is wrong with a judge and can be known before its weights are read."""
        for judge, _ in self.judges:
            if isinstance(judge, EngineJudge) and isinstance(judge.engine, LabelEngine):
                judge.engine.check(judge.messages(Game(Pair("", "Hello", "Hi", "Hey"), True)), judge.labels)
            elif isinstance(judge, RewardModelJudge) and isinstance(judge.scorer, RewardScorer):
                judge.scorer.check()
            else:
                judge.require()

    @property
    def identity(self) -> Identity:
        """Of all of them: the prompts' hashes are one."""
        first = self.judges[0][0].identity
        if len(self.judges) == 1:
            return first
        shas = sorted(judge.identity.prompt_sha for judge, _ in self.judges)
        return replace(first, prompt=self.prompt, prompt_sha=hashlib.sha256("".join(shas).encode()).hexdigest())


def panel(wanted: Wanted, task: OpenEnded, examples: Sequence[Example]) -> Panel:
    """The judges for these examples. Raises UserError, or a JudgeError or TaskError, that says what is wrong."""
    known = plugins.known_judges()
    if wanted.kind not in known:
        raise UserError(f"--judge {wanted.judge}{suggestion(wanted.kind, known)}")
    asked: dict[str, tuple[JudgePrompt | None, list[Example]]] = {}
    for example in examples:
        prompt = _prompt(wanted, task, example)
        asked.setdefault(prompt.sha if prompt else "", (prompt, []))[1].append(example)
    judges = tuple((_build(wanted, task, prompt), tuple(theirs)) for prompt, theirs in asked.values())
    names = [prompt.name for prompt, _ in asked.values() if prompt] or [""]
    return Panel(judges, names[0].partition("/")[0] if len(names) > 1 else names[0])


def _build(wanted: Wanted, task: OpenEnded, prompt: JudgePrompt | None) -> Judge:
    options = dict(wanted.options)
    if taken := [key for key in options if key in HANDED_IN]:
        raise UserError(f"--judge-set {taken[0]}: no option of its own; groupbench list judges shows what there is")
    options = _checked(wanted, options)
    engine: LabelEngine | None = None
    scorer: Scorer | None = GoldScorer(task) if wanted.kind == "gold" else None
    if wanted.kind in LOCAL:
        if not wanted.model:
            raise UserError(f"--judge {wanted.kind}: name a model, {wanted.kind}:MODEL (a folder, a Hub id, a wheel)")
        source = models.find(wanted.model, options.pop("revision", None))
        if wanted.kind == "engine":
            engine = _engine(source, wanted.precision, wanted.device)
        else:
            scorer = _scorer(source, wanted.precision, wanted.device)
    elif wanted.model:
        options.setdefault(MAIN_OPTION.get(wanted.kind, "model"), wanted.model)
    if wanted.kind == "replay":
        if wanted.policy is not None:
            options.setdefault("policy", wanted.policy)
        if not options.get("path"):
            raise UserError("--judge replay: name the file, replay:FILE")
        options["path"] = Path(options["path"]).expanduser()
    return registry.build(wanted.kind, options, prompt=prompt, engine=engine, scorer=scorer)


@cache
def _engine(source: models.Source, precision: str, device: str) -> LabelEngine:
    """One copy of the weights, however many tasks and prompts it is asked about."""
    return LabelEngine(source, precision, device)


@cache
def _scorer(source: models.Source, precision: str, device: str) -> RewardScorer:
    return RewardScorer(source, precision, device)


def _checked(wanted: Wanted, options: dict[str, Any]) -> dict[str, Any]:
    """The options as their fields have them; those that a judge does not have are left to the registry."""
    hints = get_type_hints(plugins.known_judges()[wanted.kind])
    found = dict(options)
    for key in options.keys() & hints.keys():
        try:
            found[key] = TypeAdapter(hints[key]).validate_python(options[key])
        except ValidationError as error:
            raise UserError(f"--judge-set {key}={options[key]}: {error.errors()[0]['msg']}") from None
    return found


def _prompt(wanted: Wanted, task: OpenEnded, example: Example) -> JudgePrompt | None:
    """What is asked about an example; None for a judge that takes no prompt, or finds it by itself."""
    name = wanted.prompt
    if wanted.kind in PROMPTLESS:
        for option, value in (("--judge-prompt", None if name == AUTO else name), ("--policy", wanted.policy)):
            if value is not None:
                raise UserError(f"{option} {value}: the judge {wanted.kind} is asked nothing in words")
        return None
    if wanted.policy is not None and wanted.policy not in PARSERS:
        raise UserError(f"--policy {wanted.policy}{suggestion(wanted.policy, PARSERS)}")
    if wanted.kind == "replay" and name == AUTO:
        return None
    if name == AUTO:
        name = OFFICIAL if wanted.kind == "openai" and _hosted(wanted) else "labels-1"
    if name in OURS:
        found = OURS[name]
    elif name == OFFICIAL:
        found = _official(task.name, task.judge_prompt(example), wanted.policy)
    else:
        allowed = [AUTO, OFFICIAL, *OURS]
        raise UserError(f"--judge-prompt {name}{suggestion(name, allowed)}")
    if wanted.policy is None:
        return found
    if found.needs_logprobs and wanted.policy != found.parser:
        raise UserError(f"--policy {wanted.policy}: the prompt {found.name} is read by {found.parser}, from its labels")
    if wanted.policy in READS_LOGPROBS and not found.needs_logprobs:
        raise UserError(f"--policy {wanted.policy}: it reads labels, and the prompt {found.name} asks for a verdict")
    return replace(found, parser=wanted.policy)


@cache
def _official(task: str, official: OfficialPrompt, policy: str | None) -> JudgePrompt:
    """The benchmark's own prompt, read from where its texts lie."""
    if official.name == "alpaca_eval_clf":
        return prompts.alpaca_eval(official.place)
    family, _, category = official.name.partition("/")
    if not family.startswith("arena-hard-"):
        raise JudgeError(
            f"task {task}: the prompt {official.name!r} ranks by text, which no parser here reads; "
            f"allowed: --judge-prompt {', '.join(OURS)}"
        )
    if official.place is None:
        raise JudgeError(
            f"task {task}: its official judge prompt is upstream's text, which is not part of groupbench: put "
            f"judge_settings.json and {family}.yaml into the task's folder (--set {task}.folder=…) or below "
            f"GROUPBENCH_DATA, or ask with --judge-prompt {', '.join(OURS)}"
        )
    return prompts.arena_hard(official.place, family.removeprefix("arena-hard-"), policy)[category]


def _hosted(wanted: Wanted) -> bool:
    base_url = wanted.options.get("base_url")
    return base_url is None or not loopback(str(base_url))
