"""Whether algorithm, task, settings and model can work together, before a model is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from algorithms import Algorithm
from tasks.base import Source, Task

from . import models
from .codec import Codec
from .errors import UserError
from .settings import Evaluation, Recipe, Sampling, Training


def check_algorithm(algorithm: Algorithm, task: Task, training: Training, sampling: Sampling, where: str) -> list[str]:
    """Refuse what cannot work together; return remarks on what will work differently than asked."""
    needs = algorithm.needs
    size = needs.members(training.responses_per_prompt)
    if size < algorithm.min_group_size:
        raise UserError(
            f"{where}: a group of {size} response; {algorithm.name} compares the members of a group, so "
            f"training.responses_per_prompt must be at least {algorithm.min_group_size}"
        )
    if needs.rollouts is None and needs.demonstrations > training.responses_per_prompt:
        raise UserError(
            f"{where}: {needs.demonstrations} demonstrations a prompt do not fit into "
            f"training.responses_per_prompt = {training.responses_per_prompt}"
        )
    if algorithm.requires_clipping and training.max_grad_norm is None:
        raise UserError(
            f"{where}: training.max_grad_norm = null, but {algorithm.name} cannot train without gradient-norm "
            "clipping: at the first update of a rollout its gradient is of the order of 1e6; set it, e.g. to 1.0"
        )
    if needs.rollouts != 0 and sampling.temperature == 0:
        raise UserError(f"{where}: sampling.temperature = 0 draws the same response every time; it must be above 0")
    if needs.old and sampling.truncates:
        raise UserError(
            f"{where}: sampling.top_p = {sampling.top_p}, top_k = {sampling.top_k}, but {algorithm.name} weighs "
            "samples by probability ratios, which are wrong when the tail cannot be drawn; use top_p: 1, top_k: 0"
        )
    wanted = {source for source, n in (("expert", needs.experts), ("teacher", needs.teachers)) if n}
    missing = wanted - task.demonstration_sources
    if wanted and wanted == missing:
        raise UserError(
            f"{where}: {algorithm.name} needs {' and '.join(sorted(wanted))} demonstrations, and task {task.name} has "
            f"{', '.join(sorted(task.demonstration_sources)) or 'none'}"
        )
    absent = [
        f"task {task.name} has no {source} demonstrations; sampled responses fill their places"
        for source in sorted(missing)
    ]
    return [f"{where}: {remark}" for remark in (*absent, *algorithm.remarks(sampling.max_tokens))]


def check_examples(task: Task, training: Training, evaluation: Evaluation, where: str) -> None:
    """Load the data, and refuse a set too small for the recipe, or examples that cannot be told apart."""
    if not task.train:
        raise UserError(
            f"{where}: task {task.name} has no training examples; it can be evaluated, not trained on "
            "(`groupbench list tasks` shows which tasks have some)"
        )
    if len(task.train) < training.prompts_per_step:
        raise UserError(
            f"{where}: prompts_per_step = {training.prompts_per_step}, but task {task.name} has only "
            f"{len(task.train)} training examples"
        )
    ids = Counter(example.id for example in (*task.train, *task.heldout))
    if doubles := [name for name, count in ids.items() if count > 1]:
        raise UserError(f"task {task.name}: two examples have the id {doubles[0]!r}, and would be given the same draws")
    wanted = evaluation.examples
    if not task.heldout or (wanted is not None and wanted > len(task.heldout)):
        raise UserError(f"evaluation.examples = {wanted}, but task {task.name} has {len(task.heldout)} held out")


def check_texts(start: models.Source, task: Task, recipe: Recipe, algorithms: Sequence[Algorithm]) -> None:
    """Encode the longest prompts and demonstrations: they must suit the tokenizer, and fit into the model's context."""
    codec, limit = models.load_codec(start), models.context_limit(start)
    response = max(recipe.sampling.max_tokens, recipe.evaluation.max_tokens or 0)
    longest = longest_prompt(codec, task)
    asked: set[Source] = {"expert"} if any(a.needs.experts for a in algorithms) else set()
    if any(a.needs.teachers for a in algorithms):
        asked.add("teacher")
    sources = sorted(asked & task.demonstration_sources)
    texts = sorted((t for s in sources for e in task.train for t in task.demonstrate(e, s, 1, 0)), key=len)
    if sources and not texts:
        raise UserError(
            f"task {task.name}: its training data, as found, hold no {' and no '.join(sources)} demonstrations; "
            "set task.parameters.folder to data with solutions, or choose algorithms that need none"
        )
    shown = max((len(codec.demonstration(text)) for text in texts[-16:]), default=0)
    if limit is not None and longest + max(response, shown) > limit:
        raise UserError(
            f"the longest prompt has {longest} tokens, a response may have {response} (max_tokens) and the longest "
            f"demonstration has {shown}; together more than the {limit} that the model reads"
        )


def longest_prompt(codec: Codec, task: Task) -> int:
    """Tokens of the longest of those prompts that have the most characters: encoding all would take seconds."""
    by_length = sorted((*task.train, *task.heldout), key=lambda example: len(str(example.prompt)))
    return max(len(codec.prompt(example)) for example in by_length[-16:])
