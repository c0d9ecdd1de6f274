"""Fits a reward model to pairs of answers: the model of Bradley and Terry (Biometrika 39, 1952).

P(chosen over rejected) = σ(r_chosen − r_rejected), so that a step's loss is the mean over its pairs of

    −log σ(r_chosen − r_rejected) + center · (r_chosen + r_rejected)²

(Ouyang et al. 2022, arXiv 2203.02155, eq. 1, one pair a comparison; the second term, of Eisenstein et al. 2023, arXiv
2312.09244, §3, holds the mean reward near 0, which pairs leave open). Adam with decoupled weight decay, linear warm-up,
linear decay to 0, gradient clipping. Dropout is off, so that a step's gradient is that of its pairs however they are
cut: pairs are laid out by length under a budget of tokens, and every part divides by the step's number of pairs. On a
CPU the same settings, pairs and number of threads give the same bits.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from tasks.base import TaskDataError
from tasks.pairs import Pairs, prompt_key

from .. import models
from ..codec import chat_ids
from ..errors import UserError
from ..lock import Held, lock
from ..seeds import draw_order
from ..settings import RewardTraining
from .pairs import Measured, find_pairs, measure
from .record import RewardReport, read_report, write_report
from .scorer import RewardScorer, logits_of
from .templates import give_padding, give_template

VERSION = 1  # of the fitting, and so of every reward model's identity: another one whenever the weights would differ
TOKENS_AT_ONCE = 8192  # of one forward and backward pass, padding included
HELDOUT = "held out"
Say = Callable[[str], None]
Row = tuple[list[int], list[int]]  # token ids of the chosen and of the rejected conversation


class RewardTrainingError(UserError):
    """A reward model that cannot be fitted; the message names what stopped it, and what would help."""


class BeingTrained(RewardTrainingError):
    """Another process is at it."""


def resolve(settings: RewardTraining, device: str) -> RewardTraining:
    """With the precision that `auto` means on this device."""
    if settings.precision != "auto":
        return settings
    return replace(settings, precision="bfloat16" if device == "cuda" else "float32")


def identity(settings: RewardTraining, pairs: Pairs) -> dict[str, Any]:
    """What decides the weights, as JSON, to be hashed: contents in the place of names. `settings` are resolved."""
    values = asdict(settings)
    for name in ("base", "revision", "pairs", "parameters", "limit"):  # names; their contents are below
        del values[name]
    base = models.fingerprint(models.find(settings.base, settings.revision))
    return {"kind": "reward model", "version": VERSION, "base": base, "pairs": pairs.fingerprint, **values}


def train_reward(
    settings: RewardTraining, folder: Path, device: str, say: Say, *, pairs: Pairs | None = None,
    further: Mapping[str, Pairs] | None = None, tokens_at_once: int = TOKENS_AT_ONCE,
) -> RewardReport:  # fmt: skip
    """Fit a reward model into `folder`, measure it, and return the report, which the folder's training.json holds.

    `pairs` are those of the settings where they are at hand; `further` are sets that it is measured on besides, without
    the pairs on prompts that were fitted to. The folder appears whole or not at all, and is what `RewardScorer` and
    transformers read; one that these settings and pairs made before is kept, a fit that was interrupted begins anew.

    Raises UserError or TaskError before weights are read for what is wrong with the settings, base, pairs or folder;
    RewardTrainingError for a loss that is no number.
    """
    settings = resolve(settings, device)
    if pairs is None:
        pairs = find_pairs(settings.pairs, settings.parameters, settings.limit, settings.seed)
    made_of = identity(settings, pairs)
    if (report := read_report(folder, made_of)) is not None:
        say(f"{folder}: trained before, kept")
        return report
    prepared = prepare(settings, pairs)
    for line in (pairs.said(), prepared.said(settings)):
        say(line)
    with _workplace(folder) as place:
        began = perf_counter()
        network = models.load_classifier(prepared.source, settings.seed)
        losses = fit(network, prepared.rows, settings, device, say, tokens_at_once)
        seconds = perf_counter() - began
        tokenizer = prepared.tokenizer
        held = [row for both in prepared.rows for row in both]
        network.config.get_text_config().pad_token_id = give_padding(tokenizer, held)
        network.config.num_labels = 1
        models.save_with(network.to("cpu"), tokenizer, place / "model")
        scorer = RewardScorer(models.Source(str(folder), place / "model"), settings.precision, device)
        seen = {prompt_key(pair) for pair in prepared.fitted.pairs}
        sets = {HELDOUT: prepared.heldout} if prepared.heldout.pairs else {}
        for name, one in (further or {}).items():
            sets[name] = one.without(seen, "on prompts that were fitted to")
        measured = tuple(_measured(scorer, name, one, say) for name, one in sets.items() if one.pairs)
        report = RewardReport(
            made_of, asdict(settings), pairs.origin, len(pairs.pairs), len(prepared.rows), prepared.too_long,
            dict(pairs.dropped), tuple(losses), seconds, measured,
        )  # fmt: skip
        write_report(place / "model", report, device)
        shutil.rmtree(folder, ignore_errors=True)  # an empty one: any other was refused
        (place / "model").rename(folder)
    return report


@dataclass(frozen=True)
class Prepared:
    """All that is known before weights are read."""

    source: models.Source
    tokenizer: Any
    fitted: Pairs
    heldout: Pairs
    rows: Sequence[Row]  # of the fitted pairs
    too_long: int  # pairs left out of the fitted ones
    limit: int  # tokens

    def said(self, settings: RewardTraining) -> str:
        """In words."""
        longer = f"; left out: {self.too_long} over {self.limit} tokens" if self.too_long else ""
        steps = settings.epochs * math.ceil(len(self.rows) / settings.batch_pairs)
        tokens = sum(len(row) for both in self.rows for row in both)
        return (
            f"{settings.base}: {len(self.rows)} pairs to fit, {tokens:,} tokens an epoch, {steps} optimizer steps; "
            f"{len(self.heldout.pairs)} held out{longer}"
        )


def prepare(settings: RewardTraining, pairs: Pairs) -> Prepared:
    """Find the base, split the pairs and encode them; reads no weights. Raises UserError or TaskDataError."""
    source = models.find(settings.base, settings.revision)
    models.classifier_config(source)
    tokenizer = models.load_tokenizer(source)
    give_template(tokenizer)
    fitted, heldout = pairs.split(settings.heldout_share)
    limit = min(settings.max_tokens, models.context_limit(source) or settings.max_tokens)
    rows: list[Row] = []
    kept = []
    for pair in fitted.pairs:
        chosen, rejected = (chat_ids(tokenizer, chat, reply=False) for chat in pair.conversations())
        if max(len(chosen), len(rejected)) <= limit:
            rows.append((chosen, rejected))
            kept.append(pair)
    if not rows:
        raise TaskDataError(
            f"{pairs.origin}: none of {len(fitted.pairs)} pairs fits into {limit} tokens; raise max_tokens, or "
            "choose a base that reads more"
        )
    unknown = tokenizer.unk_token_id
    if not tokenizer.cls_token and unknown is not None:
        for pair, both in zip(kept, rows, strict=True):
            if any(unknown in row for row in both):
                raise RewardTrainingError(
                    f"base {settings.base!r}: no tokens for some of {pair.prompt[-1]['content']!r:.60} "
                    f"or its answer {pair.chosen!r:.60}; `tiny` reads digits and + - * / = only: other pairs need "
                    "a real model"
                )
    return Prepared(source, tokenizer, fitted, heldout, rows, len(fitted.pairs) - len(rows), limit)


def fit(
    network: Any, rows: Sequence[Row], settings: RewardTraining, device: str, say: Say,
    tokens_at_once: int = TOKENS_AT_ONCE,
) -> list[float]:  # fmt: skip
    """Fit in place; returns each epoch's mean −log σ, measured on the way. Raises RewardTrainingError."""
    network.to(device).eval()  # no dropout
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=device == "cuda"
    )
    each = math.ceil(len(rows) / settings.batch_pairs)
    total, losses = settings.epochs * each, []
    for epoch in range(settings.epochs):
        order, summed = draw_order(len(rows), "reward", settings.seed, epoch), 0.0
        for step in range(each):
            batch = order[step * settings.batch_pairs : (step + 1) * settings.batch_pairs]
            number = epoch * each + step
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * schedule(number, total, settings.warmup_share)
            optimizer.zero_grad(set_to_none=True)
            summed += backward(network, [rows[n] for n in batch], settings, device, tokens_at_once)
            norm = torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm or math.inf)
            if not (math.isfinite(summed) and math.isfinite(float(norm))):
                raise RewardTrainingError(
                    f"step {number + 1} of {total}: loss {summed / (step * settings.batch_pairs + len(batch)):.4g}, "
                    f"gradient norm {float(norm):.4g}: no numbers to go on with; lower learning_rate "
                    f"({settings.learning_rate:g}), or set precision to float32 ({settings.precision})"
                )
            optimizer.step()
        losses.append(summed / len(rows))
        say(f"epoch {epoch + 1} of {settings.epochs}: log-loss {losses[-1]:.4f} (chance {math.log(2):.4f})")
    return losses


def schedule(step: int, total: int, warmup_share: float) -> float:
    """The share of the learning rate at a step, of 0 … total − 1: up linearly, then down to 0, which no step has."""
    warmup = math.ceil(warmup_share * total)
    return (step + 1) / warmup if step < warmup else (total - step) / max(1, total - warmup)


def backward(network: Any, rows: Sequence[Row], settings: RewardTraining, device: str, tokens_at_once: int) -> float:
    """Add the gradient of a step's loss over all its pairs; returns the sum of −log σ, without the second term."""
    summed = 0.0
    for part in cuts(rows, tokens_at_once):
        reduced = settings.precision == "bfloat16"
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=reduced):
            rewards = logits_of(network, [rows[n][side] for side in (0, 1) for n in part], device)
        chosen, rejected = rewards[: len(part)], rewards[len(part) :]
        fits = -logsigmoid(chosen - rejected).sum()
        (fits + settings.center * (chosen + rejected).square().sum()).div(len(rows)).backward()
        summed += fits.item()
    return summed


def cuts(rows: Sequence[Row], tokens_at_once: int) -> Iterator[list[int]]:
    """Numbers of pairs of similar length, as many as fit, both sides padded to the longest row; the longest first."""
    widths = [max(map(len, both)) for both in rows]
    order = sorted(range(len(rows)), key=lambda n: -widths[n])
    while order:
        size = max(1, tokens_at_once // (2 * max(1, widths[order[0]])))
        yield order[:size]
        del order[:size]


def _measured(scorer: RewardScorer, name: str, pairs: Pairs, say: Say) -> Measured:
    say(f"measuring on {name}: {len(pairs.pairs)} pairs")
    return measure(scorer, name, pairs)


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, of this process alone, that is gone afterwards."""
    place = folder.with_name(f".{folder.name}.training")
    try:
        place.mkdir(parents=True, exist_ok=True)
        with lock(place):
            shutil.rmtree(place / "model", ignore_errors=True)
            try:
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)
    except Held as held:
        raise BeingTrained(f"{folder}: {held} is training it") from None
    except PermissionError as error:
        raise RewardTrainingError(f"{folder}: {os.strerror(error.errno or 0)}") from None
