"""What a recipe says, as frozen dataclasses: the one place where a setting has its name, default and meaning.

Plain dataclasses, so that the training core needs no validation library; `recipe.py` checks YAML against them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal


def _check(good: bool, name: str, found: object, allowed: str) -> None:
    if not good:
        raise ValueError(f"{name} = {found}: must be {allowed}")


STRICT: Any = {"extra": "forbid"}  # read by pydantic: an unknown key is an error, not ignored


@dataclass(frozen=True)
class Sampling:
    """How responses are drawn."""

    __pydantic_config__: ClassVar = STRICT
    max_tokens: int = 256  # response limit, end-of-text token included
    temperature: float = 1.0  # 0: greedy
    top_p: float = 1.0
    top_k: int = 0  # 0: off

    def __post_init__(self) -> None:
        _check(self.max_tokens >= 1, "max_tokens", self.max_tokens, "at least 1")
        _check(self.temperature >= 0, "temperature", self.temperature, "0 (greedy) or more")
        _check(0 < self.top_p <= 1, "top_p", self.top_p, "above 0, at most 1")
        _check(self.top_k >= 0, "top_k", self.top_k, "0 (off) or more")

    @property
    def truncates(self) -> bool:
        """Whether some tokens can never be drawn, so that samples do not come from the policy's own distribution."""
        return self.top_p < 1 or self.top_k > 0


@dataclass(frozen=True)
class Rollout:
    """Which engine draws the responses. How much it decodes at once is `Execution.decode_tokens`."""

    __pydantic_config__: ClassVar = STRICT
    engine: Literal["transformers", "vllm"] = "transformers"
    max_mismatch: float | None = None  # mean |Δ log-probability| above which an engine is refused; null: by precision

    def __post_init__(self) -> None:
        _check(
            self.max_mismatch is None or self.max_mismatch > 0, "max_mismatch", self.max_mismatch, "above 0, or null"
        )


@dataclass(frozen=True)
class Training:
    """The protocol that all algorithms of a benchmark share; an algorithm's entry may override single values."""

    __pydantic_config__: ClassVar = STRICT
    prompts_per_step: int = 16
    responses_per_prompt: int = 8  # group size, demonstrations included
    updates_per_rollout: int = 4  # optimizer steps taken on one rollout, each on its own mini-batch of whole groups
    learning_rate: float = 1e-6
    warmup_updates: int = 0  # optimizer steps over which the learning rate rises linearly; constant afterwards
    weight_decay: float = 0.01
    adam_betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float | None = 1.0  # null: no clipping
    max_refills: int = 10  # further sampling rounds a step for algorithms that throw groups away

    def __post_init__(self) -> None:
        for name in ("prompts_per_step", "responses_per_prompt", "updates_per_rollout"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _check(self.warmup_updates >= 0, "warmup_updates", self.warmup_updates, "0 or more")
        _check(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _check(all(0 <= b < 1 for b in self.adam_betas), "adam_betas", self.adam_betas, "two numbers in [0, 1)")
        _check(
            self.max_grad_norm is None or self.max_grad_norm > 0,
            "max_grad_norm",
            self.max_grad_norm,
            "above 0, or null",
        )
        _check(self.max_refills >= 0, "max_refills", self.max_refills, "0 or more")
        _check(
            self.prompts_per_step % self.updates_per_rollout == 0, "prompts_per_step", self.prompts_per_step,
            f"a multiple of updates_per_rollout = {self.updates_per_rollout}, since mini-batches hold whole groups",
        )  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """A run ends at the first of these; what a run has spent on each axis is logged at every step."""

    __pydantic_config__: ClassVar = STRICT
    steps: int | None = None  # rollout steps
    optimizer_steps: int | None = None
    prompts: int | None = None
    generated_tokens: int | None = None
    trained_tokens: int | None = None
    flops: float | None = None
    seconds: float | None = None  # a run ended by this one is not bit-reproducible

    def __post_init__(self) -> None:
        set_limits = {name: limit for name, limit in vars(self).items() if limit is not None}
        if not set_limits:
            raise ValueError(f"no limit is set; allowed: one or more of {', '.join(vars(self))}")
        for name, limit in set_limits.items():
            _check(limit > 0, name, limit, "above 0")


@dataclass(frozen=True)
class Evaluation:
    """When and how a run is evaluated: greedy once and sampled, side by side.

    Held-out examples and a probe of the training ones are fixed subsets, the same for all cells, asked and graded
    alike; neither is ever charged to a budget.
    """

    __pydantic_config__: ClassVar = STRICT
    every: int = 10  # steps; the start and the end are always evaluated
    examples: int | None = None  # held-out ones; null: all
    probe: int = 500  # training examples, or all where there are fewer; 0: none
    samples: int = 4  # a sampled evaluation's responses per example
    temperature: float = 1.0  # of the sampled evaluation
    max_tokens: int | None = None  # null: as in training
    drift: bool = False  # KL to the start and entropy with a verifier, too, for which a copy of the start is kept; on a
    # reward they are measured anyway

    def __post_init__(self) -> None:
        _check(self.every >= 1, "every", self.every, "at least 1")
        _check(self.examples is None or self.examples >= 1, "examples", self.examples, "at least 1, or null")
        _check(self.probe >= 0, "probe", self.probe, "0 (none) or more")
        _check(self.samples >= 1, "samples", self.samples, "at least 1")
        _check(self.temperature > 0, "temperature", self.temperature, "above 0 (greedy is evaluated anyway)")
        _check(self.max_tokens is None or self.max_tokens >= 1, "max_tokens", self.max_tokens, "at least 1, or null")


@dataclass(frozen=True)
class Choice:
    """A task or an algorithm by name, with parameters of its own."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StageChoice(Choice):
    """One stage of a chain: an algorithm that goes on from the weights of the stage before it."""

    training: dict[str, Any] = field(default_factory=dict)  # overrides, as an algorithm's
    budget: Budget | None = None  # of this stage alone; null, in the last one only: the recipe's
    label: str | None = None  # its part of the chain's label; null: name@preset and what differs from it


@dataclass(frozen=True)
class AlgorithmChoice(Choice):
    """An algorithm of the benchmark, or a chain of stages, each of which is one.

    `training` overrides single values of the recipe's training section for it.
    """

    name: str = ""  # of the algorithm; a chain has `stages` instead
    training: dict[str, Any] = field(default_factory=dict)
    label: str | None = None  # the table's row; null: name@preset and what differs from it; of a chain, its stages'
    stages: tuple[StageChoice, ...] | None = None  # run in turn, one continuous run; see docs/chains.md

    def __post_init__(self) -> None:
        if self.stages is None:
            if not self.name:
                raise ValueError("name is missing; expected the name of an algorithm, or stages")
            return
        for key in ("name", "parameters", "training"):
            if found := getattr(self, key):
                raise ValueError(f"{key} = {found!r}: an entry with stages has none of its own; allowed: in a stage")
        if len(self.stages) < 2:
            raise ValueError(f"stages: {len(self.stages)} found; a chain has two or more, and one alone is `name:`")
        for number, stage in enumerate(self.stages[:-1]):
            if stage.budget is None:
                raise ValueError(
                    f"stages.{number}.budget ({stage.name}) is missing; every stage but the last needs one of its own"
                )


Control = Literal["random-reward", "a-a"]  # coin flips for rewards; the same algorithm again, with draws of its own


@dataclass(frozen=True)
class ControlArm:
    """A further row whose true difference from its algorithm is known."""

    __pydantic_config__: ClassVar = STRICT
    kind: Control
    of: str | None = None  # name or label of the algorithm's entry; null: the first of the recipe


@dataclass(frozen=True)
class WarmStart:
    """A supervised stage that all cells start from; run once, kept in the user's cache."""

    __pydantic_config__: ClassVar = STRICT
    training: Training
    budget: Budget
    parameters: dict[str, Any] = field(default_factory=dict)  # of the algorithm sft
    seed: int = 0


@dataclass(frozen=True)
class RewardTraining:
    """How a reward model is fitted to pairs of answers; dropout is off, and the learning rate falls linearly to 0."""

    __pydantic_config__: ClassVar = STRICT
    base: str  # tiny | minilm | smollm2-135m | a folder | a Hub id: a language model, an encoder, or a reward model
    pairs: str  # a set (see tasks.pairs.load_pairs), or a task that gives pairs
    revision: str | None = None  # of a Hub id as the base
    parameters: dict[str, Any] = field(default_factory=dict)  # of the task that gives pairs
    limit: int | None = None  # a fixed subset of so many pairs; null: all, or 2000 of a task
    heldout_share: float = 0.1  # of the pairs, whole prompts, measured and never fitted to; 0: none
    epochs: int = 1
    batch_pairs: int = 32  # of one optimizer step
    learning_rate: float = 1e-5
    warmup_share: float = 0.1  # of the optimizer steps, over which the learning rate rises linearly
    weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0  # null: no clipping
    center: float = 0.01  # coefficient of (r_chosen + r_rejected)², which holds the mean reward near 0; 0: off
    max_tokens: int = 1024  # of a conversation, or as many as the base reads; pairs with a longer one are left out
    seed: int = 0  # of the order, and of what a new head draws
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of products, not weights; auto: bfloat16 on CUDA

    def __post_init__(self) -> None:
        _check(bool(self.base), "base", repr(self.base), "the name of a model")
        _check(bool(self.pairs), "pairs", repr(self.pairs), "the name of a set of pairs, or of a task")
        _check(self.limit is None or self.limit >= 2, "limit", self.limit, "at least 2, or null")
        _check(0 <= self.heldout_share < 1, "heldout_share", self.heldout_share, "0 (none) or more, below 1")
        for name in ("epochs", "batch_pairs", "max_tokens"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _check(0 < self.learning_rate < math.inf, "learning_rate", self.learning_rate, "above 0")
        _check(0 <= self.warmup_share <= 1, "warmup_share", self.warmup_share, "in [0, 1]")
        for name in ("weight_decay", "center"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "0 (off) or more")
        found = self.max_grad_norm
        _check(found is None or found > 0, "max_grad_norm", found, "above 0, or null")


@dataclass(frozen=True)
class RewardChoice(Choice):
    """What responses are worth, where no verifier says so (or instead of one): a reward by name."""

    train: RewardTraining | None = None  # of reward_model: fitted first and kept in the user's cache, as `model`


@dataclass(frozen=True)
class Model:
    """Where the start weights come from."""

    __pydantic_config__: ClassVar = STRICT
    name: str  # tiny | smollm2-135m | a folder | a Hub id
    revision: str | None = None  # of a Hub id
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of products, not weights; auto: bfloat16 on CUDA
    warm_start: WarmStart | None = None


@dataclass(frozen=True)
class Execution:
    """How the work is cut for this machine: changes rounding only, and is no part of a cell's identity."""

    __pydantic_config__: ClassVar = STRICT
    micro_batch_tokens: int = 8192  # prompt and response tokens of one forward-backward pass, padding included
    decode_tokens: int = 65536  # tokens of the key-value cache that are decoded together; with vllm, also the longest
    device: Literal["auto", "cpu", "cuda"] = "auto"
    offload: Literal["auto", "on", "off"] = "auto"  # models take turns on a GPU; auto: where they don't fit together
    threads: int | None = None  # CPU threads; null: torch's choice
    save_weights: bool = True  # keep each cell's final weights in its folder
    checkpoint_seconds: float = 120  # between two: what a kill can lose (20 x a saving, if more); 0: after every step
    keep_checkpoints: int = 2  # of a running cell; a finished one needs none
    sinks: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()  # trackers that are shown what is recorded

    def __post_init__(self) -> None:
        _check(self.micro_batch_tokens >= 1, "micro_batch_tokens", self.micro_batch_tokens, "at least 1")
        _check(self.decode_tokens >= 1, "decode_tokens", self.decode_tokens, "at least 1")
        _check(self.threads is None or self.threads >= 1, "threads", self.threads, "at least 1, or null")
        _check(self.checkpoint_seconds >= 0, "checkpoint_seconds", self.checkpoint_seconds, "0 or more")
        _check(self.keep_checkpoints >= 1, "keep_checkpoints", self.keep_checkpoints, "at least 1")


@dataclass(frozen=True)
class Tune:
    """A search for each algorithm's settings before the comparison: equally many trials for all, on a dev split."""

    __pydantic_config__: ClassVar = STRICT
    trials: int  # distinct settings tried, of every algorithm
    space: dict[str, dict[str, Any]]  # by an entry's name or label, and `shared`; see space.py
    seeds: tuple[int, ...] = (1000,)  # of the trials; none of the recipe's
    budget: Budget | None = None  # of a trial; null: the recipe's
    dev_share: float = 0.1  # of the training examples: not trained on in trials, which are scored on them

    def __post_init__(self) -> None:
        _check(self.trials >= 1, "trials", self.trials, "at least 1")
        _check(0 < len(set(self.seeds)) == len(self.seeds), "seeds", self.seeds, "one or more, each once")
        _check(0 < self.dev_share < 1, "dev_share", self.dev_share, "between 0 and 1, both excluded")


@dataclass(frozen=True)
class WinRates:
    """After training every cell's answers are judged: against a baseline's, and against those of the reference's cell
    of the same seed. A benchmark's own baseline, or, on the recipe's task, the policy that all cells started from.
    """

    __pydantic_config__: ClassVar = STRICT
    judges: tuple[str, ...]  # KIND:MODEL as `groupbench judge` has it; gold; reward: the recipe's own
    tasks: tuple[Choice, ...] = ()  # whose instructions are answered, NAME or NAME@PROTOCOL; none: the recipe's task
    limit: int | None = None  # a fixed subset of so many instructions; null: all
    max_tokens: int | None = None  # of an answer; null: the protocol's, on the recipe's task as in training
    cap_chars: int | None = None  # where both answers of a pair are cut; null: as `groupbench judge` does
    reference: str | None = None  # name or label of an entry; null: the first GRPO, else the first entry
    options: dict[str, dict[str, Any]] = field(default_factory=dict)  # of a judge, by its name in `judges`
    max_cost: float | None = None  # US dollars that all judges together may spend

    def __post_init__(self) -> None:
        _check(len(set(self.judges)) == len(self.judges) > 0, "judges", self.judges, "one or more, each once")
        for name in ("limit", "max_tokens", "cap_chars"):
            found = getattr(self, name)
            _check(found is None or found >= 1, name, found, "at least 1, or null")
        _check(self.max_cost is None or self.max_cost >= 0, "max_cost", self.max_cost, "0 or more, or null")
        unknown = sorted(set(self.options) - set(self.judges))
        _check(not unknown, "options", unknown, f"names of judges: {', '.join(self.judges)}")


@dataclass(frozen=True)
class FinalTask(Choice):
    """NAME or NAME@PROTOCOL: every finished cell and the start are evaluated on it. What is null is the protocol's."""

    label: str | None = None  # names its columns and folder; null: the name. Two entries of one task need two labels
    limit: int | None = None  # a fixed subset of so many held-out examples; null: all
    samples: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        good = re.fullmatch(r"[\w@+-][\w.@+-]*", self.key)
        where = "label" if self.label is not None else "name"
        _check(bool(good), where, repr(self.key), "a word of letters, digits and . _ - + @, which names a folder")
        for name in ("limit", "samples", "max_tokens"):
            found = getattr(self, name)
            _check(found is None or found >= 1, name, found, "at least 1, or null")

    @property
    def key(self) -> str:
        """What its answers and columns are called."""
        return self.name if self.label is None else self.label


@dataclass(frozen=True)
class Recipe:
    """A benchmark: algorithms x seeds on one task, from one start, under one protocol."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    task: Choice
    model: Model
    algorithms: tuple[AlgorithmChoice, ...]
    budget: Budget
    reward: RewardChoice | None = None  # null: the task's verifier
    seeds: tuple[int, ...] = (0,)
    controls: tuple[ControlArm, ...] = ()
    training: Training = Training()
    sampling: Sampling = Sampling()
    rollout: Rollout = Rollout()
    evaluation: Evaluation = Evaluation()
    execution: Execution = Execution()
    tune: Tune | None = None
    win_rates: WinRates | None = None
    final_tasks: tuple[FinalTask, ...] = ()
