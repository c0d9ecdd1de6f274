"""Rollout speed: our decoding loop against `model.generate` and vLLM; same model, prompts, group size, length limit.

    python benchmarks/rollout.py --data FOLDER [--prompts 8 --group 8 --max-tokens 256 --repeats 3 --vllm]

Reports useful tokens (up to and including the end token) per second; the median of the repeats, after a warm-up.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch

from harness import models
from harness.codec import Codec
from harness.policy import Policy
from harness.rollout import Engine, Request, engines
from harness.rollout.transformers import TransformersEngine
from harness.settings import Rollout, Sampling
from tasks.gsm8k import GSM8K

_MODEL = None


def main() -> None:
    """Time both, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--data", help="folder of GSM8K; default: the Hub")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--end-text", default="", help="also end at this token, for a long-tailed length distribution")
    parser.add_argument("--vllm", action="store_true", help="vLLM as well, where it is installed")
    arguments = parser.parse_args()

    source = models.find(arguments.model)
    codec = models.load_codec(source)
    if arguments.end_text:
        codec.end_ids += tuple(codec.tokenizer(arguments.end_text, add_special_tokens=False).input_ids)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    policy = Policy(models.load_model(source), device, "bfloat16", 1.0)
    prompts = [codec.prompt(example) for example in GSM8K(folder=arguments.data).train[: arguments.prompts]]
    contenders = {"ours": ours, "generate": generate} | ({"vllm": vllm} if arguments.vllm else {})
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(arguments.repeats + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            lengths = run(policy, codec, prompts, arguments.group, arguments.max_tokens, repeat)
            speed = sum(lengths) / (time.perf_counter() - began)
            print(f"{name:9s} {speed:7.1f} tokens/s, mean length {statistics.fmean(lengths):.0f}", flush=True)
            if repeat:
                speeds[name].append(speed)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print({name: f"{value:.1f} ({value / medians['generate']:.2f}x)" for name, value in medians.items()})


def ours(policy: Policy, codec: Codec, prompts: list, group: int, max_tokens: int, repeat: int) -> list[int]:
    """The lengths of all responses."""
    engine = TransformersEngine(policy, codec.end_ids, decode_tokens=2**20)  # makes its bfloat16 copy: counted
    return _lengths(engine, prompts, group, max_tokens, repeat)


def vllm(policy: Policy, codec: Codec, prompts: list, group: int, max_tokens: int, repeat: int) -> list[int]:
    """The same with vLLM: started in the warm-up, then taken over; the push of the weights is counted."""
    engine = engines.build(Rollout("vllm"), policy, codec.end_ids, decode_tokens=2**15)
    return _lengths(engine, prompts, group, max_tokens, repeat)


def _lengths(engine: Engine, prompts: list, group: int, max_tokens: int, repeat: int) -> list[int]:
    requests = [
        Request(p, tuple(range(k, k + group)))
        for k, p in zip(range(1000 * repeat, 10**6, group), prompts, strict=False)
    ]
    return [len(c.tokens) for found in engine.generate(requests, Sampling(max_tokens)) for c in found]


def generate(policy: Policy, codec: Codec, prompts: list, group: int, max_tokens: int, repeat: int) -> list[int]:
    """The same with the library's own loop on the repeated, left-padded batch."""
    torch.manual_seed(repeat)
    width = max(map(len, prompts))
    rows = [p for p in prompts for _ in range(group)]
    ids = torch.tensor([[codec.end_ids[0]] * (width - len(p)) + list(p) for p in rows], device=policy.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in rows], device=policy.device)
    global _MODEL  # pure bfloat16, as anyone would generate with, and the library's own attention
    if _MODEL is None:
        _MODEL = copy.deepcopy(policy.model)
        _MODEL.set_attn_implementation("sdpa")
        for parameter in _MODEL.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
    with torch.no_grad():
        out = _MODEL.generate(
            ids, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=max_tokens,
            eos_token_id=list(codec.end_ids), pad_token_id=codec.end_ids[0],
        )  # fmt: skip
    ended = torch.isin(out[:, width:], torch.tensor(codec.end_ids, device=out.device))
    return [int(row.nonzero()[0]) + 1 if row.any() else max_tokens for row in ended]


if __name__ == "__main__":
    main()
