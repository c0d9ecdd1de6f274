"""The engine against `model.generate`, a naive sampler, and its promise that cutting the work changes nothing."""

import copy
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from algorithms import Needs
from harness.policy import Policy, Row
from harness.rollout import Completion, Request, attention
from harness.rollout.transformers import TransformersEngine, _truncated, draw
from harness.seeds import derive, uniforms
from harness.settings import Sampling

GQA = ("llama", {"num_key_value_heads": 2})
MODELS = [
    GQA,
    ("llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    ("qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    ("llama", {"num_key_value_heads": 4}),
    ("gpt2", {"num_key_value_heads": 4, "tie_word_embeddings": True}),  # learned positions: a shift is not forgiven
]
PROMPTS = [(5, 17, 3, 44, 8, 61, 9), (7,), (90, 2, 33), (12, 12, 80, 4, 1)]
SAME_LENGTH = [(5, 17, 3), (7, 8, 9), (90, 2, 33)]
NEVER = (1_000_000,)  # an end token that no model here has


def seeds_of(name: str, count: int) -> tuple[int, ...]:
    return tuple(derive("test", name, k) for k in range(count))


def naive(model: Any, prompt: tuple[int, ...], seed: int, sampling: Sampling, ends: tuple[int, ...]) -> Completion:
    """One response without cache, batch or padding, drawn in double precision."""
    tokens: list[int] = []
    logps: list[float] = []
    for position in range(sampling.max_tokens):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, -1].double()
        logp = (logits / (sampling.temperature or 1.0)).log_softmax(-1)
        if sampling.temperature == 0:
            token = int(logits.argmax())
        else:
            target = uniforms(torch.tensor([seed]), position).item()
            token = next(i for i, total in enumerate(accumulate(logp.exp().tolist())) if total > target)
        tokens.append(token)
        logps.append(logp[token].item())
        if token in ends:
            return Completion(tuple(tokens), tuple(logps), False)
    return Completion(tuple(tokens), tuple(logps), True)


def assert_same(found: list[list[Completion]], expected: list[list[Completion]], tolerance: float = 1e-4) -> None:
    assert [[(c.tokens, c.truncated) for c in group] for group in found] == [
        [(c.tokens, c.truncated) for c in group] for group in expected
    ]
    for mine, theirs in zip(found, expected, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            torch.testing.assert_close(torch.tensor(a.logp), torch.tensor(b.logp), rtol=0, atol=tolerance)


@pytest.fixture(scope="module")
def eager(build_model: Callable[..., Any]) -> Any:
    """The reference: the GQA model on the library's plainest attention."""
    return build_model(GQA[0], attn_implementation="eager", **GQA[1])


@pytest.fixture(scope="module")
def policy(build_model: Callable[..., Any], cpu_policy: Callable[..., Policy]) -> Policy:
    return cpu_policy(build_model(GQA[0], **GQA[1]))


# --- against the library ---


@pytest.mark.parametrize(("family", "overrides"), MODELS)
@pytest.mark.parametrize("prompts", [PROMPTS, SAME_LENGTH], ids=["padded", "unpadded"])
def test_greedy_equals_generate(
    family: str, overrides: dict[str, Any], prompts: list[tuple[int, ...]], build_model: Any, cpu_policy: Any
) -> None:
    reference = build_model(family, attn_implementation="eager", **overrides)
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    options: dict[str, Any] = {"do_sample": False, "max_new_tokens": 10, "pad_token_id": 0}
    free = reference.generate(ids, attention_mask=mask, **options)[:, width:].tolist()
    ends = tuple({free[0][6], free[1][2], free[-1][4]})  # rows end at different places
    stopped = reference.generate(ids, attention_mask=mask, eos_token_id=list(ends), **options)[:, width:].tolist()
    expected = []
    for row in stopped:
        stop = next((i for i, token in enumerate(row) if token in ends), len(row) - 1)
        expected.append(tuple(row[: stop + 1]))

    engine = TransformersEngine(cpu_policy(build_model(family, **overrides)), ends, 10_000)
    found = engine.generate([Request(p, (0,)) for p in prompts], Sampling(10, 0.0))
    assert [group[0].tokens for group in found] == expected
    assert [group[0].truncated for group in found] == [row[-1] not in ends for row in expected]
    assert len({len(row) for row in expected}) > 1


@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.0])
def test_samples_equal_a_naive_samplers(temperature: float, policy: Policy, eager: Any) -> None:
    sampling, ends = Sampling(9, temperature), tuple(range(0, 97, 12))
    requests = [Request(prompt, seeds_of(f"naive{prompt}", 4)) for prompt in PROMPTS]
    found = TransformersEngine(policy, ends, 10_000).generate(requests, sampling)
    expected = [[naive(eager, r.prompt, seed, sampling, ends) for seed in r.seeds] for r in requests]
    assert_same(found, expected)
    assert temperature == 0 or len({len(c.tokens) for group in found for c in group}) >= 4


# --- nothing depends on how the work is cut ---


REQUESTS = [
    Request(prompt, seeds_of(f"cut{number}", count))
    for number, (prompt, count) in enumerate(zip([*PROMPTS, (3, 4, 5)], (5, 3, 1, 4, 2), strict=True))
]
ENDS = (11, 40, 41, 42, 73, 96)


@pytest.fixture(scope="module")
def together(policy: Policy) -> list[list[Completion]]:
    return TransformersEngine(policy, ENDS, 10_000).generate(REQUESTS, Sampling(12))


@pytest.mark.parametrize("decode_tokens", [1, 60, 100, 200])
def test_chunks_change_nothing(decode_tokens: int, policy: Policy, together: list[list[Completion]]) -> None:
    assert_same(TransformersEngine(policy, ENDS, decode_tokens).generate(REQUESTS, Sampling(12)), together)


def test_batching_and_order_change_nothing(policy: Policy, together: list[list[Completion]]) -> None:
    engine, sampling = TransformersEngine(policy, ENDS, 10_000), Sampling(12)
    assert_same([engine.generate([request], sampling)[0] for request in REQUESTS], together)
    assert_same(engine.generate(REQUESTS[::-1], sampling)[::-1], together)
    turned = [Request(request.prompt, request.seeds[::-1]) for request in REQUESTS]
    assert_same([group[::-1] for group in engine.generate(turned, sampling)], together)


def test_each_row_alone_gives_what_the_batch_gave(policy: Policy, together: list[list[Completion]]) -> None:
    """Rows end at different places in the batch, so that they are dropped one after another; alone none is."""
    engine = TransformersEngine(policy, ENDS, 10_000)
    alone = [
        [engine.generate([Request(request.prompt, (seed,))], Sampling(12))[0][0] for seed in request.seeds]
        for request in REQUESTS
    ]
    assert_same(alone, together)
    lengths = {len(c.tokens) for group in together for c in group if not c.truncated}
    assert len(lengths) >= 4
    assert any(c.truncated for group in together for c in group)


def test_equal_seeds_give_equal_responses_and_others_differ(policy: Policy) -> None:
    ((a, b, c),) = TransformersEngine(policy, NEVER, 10_000).generate([Request((5, 6), (8, 8, 9))], Sampling(8))
    assert a == b
    assert a.tokens != c.tokens


def test_finished_rows_are_dropped_and_prompts_prefilled_once(
    policy: Policy, together: list[list[Completion]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    forward = policy.model.forward

    def spy(*args: Any, **kwargs: Any) -> Any:
        shapes.append(tuple(kwargs["input_ids"].shape))
        return forward(*args, **kwargs)

    monkeypatch.setattr(policy.model, "forward", spy)
    found = TransformersEngine(policy, ENDS, 10_000).generate(REQUESTS, Sampling(12))
    assert_same(found, together)
    lengths = [len(c.tokens) for group in found for c in group]
    expected = [(len(REQUESTS), 7)]
    expected += [(sum(length > step for length in lengths), 1) for step in range(1, max(lengths))]
    assert shapes == expected


@pytest.mark.parametrize(
    ("requests", "max_tokens", "decode_tokens", "expected"),
    [
        # (rows, longest prompt) of each chunk: 3x13; +1x15; +2x15 = 6x15 = 90; 4x17 = 68; 5x19 = 95
        (REQUESTS, 12, 90, [(6, 3), (4, 5), (5, 7)]),
        (REQUESTS, 12, 89, [(4, 3), (2, 3), (4, 5), (5, 7)]),
        ([Request((1, 2), (1, 2))] * 6, 3, 20, [(4, 2)] * 3),
        ([Request((1, 2), (1, 2))] * 5, 3, 1, [(2, 2)] * 5),
    ],
)
def test_chunks_hold_requests_of_similar_length_within_the_cache(
    requests: list[Request], max_tokens: int, decode_tokens: int, expected: list[tuple[int, int]], policy: Policy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    engine, chunks = TransformersEngine(policy, ENDS, decode_tokens), []
    decode = engine._decode
    monkeypatch.setattr(engine, "_decode", lambda chunk, s: (chunks.append(chunk), decode(chunk, s))[1])
    engine.generate(requests, Sampling(max_tokens))
    assert [(sum(len(r.seeds) for r in c), max(len(r.prompt) for r in c)) for c in chunks] == expected


def test_only_a_padded_batch_pays_for_a_mask(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    masks: list[bool] = []
    forward = policy.model.forward

    def spy(*args: Any, **kwargs: Any) -> Any:
        masks.append(kwargs["attention_mask"] is not None)
        return forward(*args, **kwargs)

    monkeypatch.setattr(policy.model, "forward", spy)
    engine = TransformersEngine(policy, NEVER, 10_000)
    engine.generate([Request(prompt, (1, 2)) for prompt in SAME_LENGTH], Sampling(3))
    assert masks == [False] * 3
    engine.generate([Request(prompt, (1, 2)) for prompt in PROMPTS], Sampling(3))
    assert masks == [False] * 3 + [True] * 3


# --- edges ---


def test_a_response_ends_with_an_end_token_or_is_truncated(together: list[list[Completion]]) -> None:
    for completion in (c for group in together for c in group):
        assert len(completion.tokens) == len(completion.logp)
        assert not set(completion.tokens[:-1]) & set(ENDS)
        assert completion.truncated == (completion.tokens[-1] not in ENDS)
        assert len(completion.tokens) == 12 if completion.truncated else len(completion.tokens) <= 12


def test_an_end_token_in_the_last_place_is_no_truncation(policy: Policy) -> None:
    request = Request((5, 17, 3), (1,))
    ((free,),) = TransformersEngine(policy, NEVER, 1000).generate([request], Sampling(5))
    assert free.truncated
    assert len(free.tokens) == 5
    engine = TransformersEngine(policy, (free.tokens[-1],), 1000)
    ((ended,),) = engine.generate([request], Sampling(5))
    stop = free.tokens.index(free.tokens[-1]) + 1
    assert ended.tokens == free.tokens[:stop]
    assert not ended.truncated


def test_one_token_at_most(policy: Policy, eager: Any) -> None:
    requests = [Request(prompt, seeds_of("one", 6)) for prompt in PROMPTS]
    ends = tuple(range(0, 97, 3))
    found = TransformersEngine(policy, ends, 10_000).generate(requests, Sampling(1))
    assert_same(found, [[naive(eager, r.prompt, seed, Sampling(1), ends) for seed in r.seeds] for r in requests])
    assert {c.truncated for group in found for c in group} == {True, False}


def test_requests_without_seeds_get_no_responses(policy: Policy) -> None:
    engine = TransformersEngine(policy, ENDS, 10_000)
    some = [Request(PROMPTS[0], ()), Request(PROMPTS[1], seeds_of("some", 2)), Request(PROMPTS[2], ())]
    found = engine.generate(some, Sampling(4))
    assert [len(group) for group in found] == [0, 2, 0]
    assert_same([found[1]], engine.generate([some[1]], Sampling(4)))
    assert engine.generate([Request(PROMPTS[0], ()), Request(PROMPTS[1], ())], Sampling(4)) == [[], []]
    assert engine.generate([Request(PROMPTS[0], ())], Sampling(4)) == [[]]
    assert engine.generate([], Sampling(4)) == []


def test_several_end_tokens_and_doubled_ones(policy: Policy) -> None:
    request = Request(PROMPTS[0], seeds_of("ends", 40))
    (found,) = TransformersEngine(policy, (40, 11, 11, 40, 73, 2), 10_000).generate([request], Sampling(30))
    assert {c.tokens[-1] for c in found if not c.truncated} == {2, 11, 40, 73}


def test_sampling_does_not_touch_the_global_generator(policy: Policy) -> None:
    before = torch.get_rng_state()
    TransformersEngine(policy, ENDS, 100).generate(REQUESTS, Sampling(4))
    assert torch.equal(torch.get_rng_state(), before)


# --- log-probabilities ---


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logp_is_the_policys_own(temperature: float, build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model(), temperature=temperature)
    found = TransformersEngine(policy, ENDS, 10_000).generate(REQUESTS, Sampling(12, temperature))
    rows = [Row(r.prompt, c.tokens) for r, group in zip(REQUESTS, found, strict=True) for c in group]
    reported = torch.tensor([x for group in found for c in group for x in c.logp])
    with torch.no_grad():
        torch.testing.assert_close(reported, policy.signals(rows, Needs()).logp, rtol=0, atol=1e-5)


def test_logp_of_greedy_tokens_is_the_plain_one_and_ignores_truncation(build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model())
    engine = TransformersEngine(policy, ENDS, 10_000)
    for sampling in (Sampling(6, 0.0), Sampling(6, 1.0, top_p=0.7), Sampling(6, 1.0, top_k=3)):
        found = engine.generate(REQUESTS, sampling)
        rows = [Row(r.prompt, c.tokens) for r, group in zip(REQUESTS, found, strict=True) for c in group]
        reported = torch.tensor([x for group in found for c in group for x in c.logp])
        with torch.no_grad():
            torch.testing.assert_close(reported, policy.signals(rows, Needs()).logp, rtol=0, atol=1e-5)


# --- draw ---


def drawn(logits: Tensor, sampling: Sampling, count: int) -> Tensor:
    return draw(logits.expand(count, -1), uniforms(torch.arange(count), 3), sampling)[0]


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_draw_follows_the_tempered_softmax(temperature: float) -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.3, -4.0, 1.1, float("-inf"), 0.0]])
    probabilities = (logits[0].double() / temperature).softmax(-1)
    counts = torch.bincount(drawn(logits, Sampling(1, temperature), 20_000), minlength=8)
    assert counts[6] == 0
    likely = probabilities > 0
    assert stats.chisquare(counts[likely].numpy(), (probabilities[likely] * 20_000).numpy()).pvalue > 1e-3


def test_draw_follows_a_large_vocabulary() -> None:
    logits = torch.linspace(-3, 3, 1000)[torch.randperm(1000, generator=torch.Generator().manual_seed(0))][None]
    tokens = drawn(logits, Sampling(1), 20_000)
    probabilities = logits[0].double().softmax(-1).view(50, 20).sum(1)
    counts = torch.bincount(tokens // 20, minlength=50)
    assert stats.chisquare(counts.numpy(), (probabilities * 20_000).numpy()).pvalue > 1e-3


def test_draw_inverts_the_cumulative_distribution() -> None:
    """Intervals are closed below and open above: u = 1/4 is the second of four equal tokens, not the first."""
    logits = torch.zeros(1, 4)
    edges = torch.tensor([0.0, 0.2499, 0.2501, 0.4999, 0.5001, 0.7499, 0.7501, 1 - 2**-53], dtype=torch.float64)
    tokens, logp = draw(logits.expand(8, -1), edges, Sampling(1))
    assert tokens.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    torch.testing.assert_close(logp, torch.full((8,), 0.25).log())
    halves = torch.tensor([[0.0, 0.0]])
    assert draw(halves, torch.tensor([0.5], dtype=torch.float64), Sampling(1))[0].item() == 1


@pytest.mark.parametrize("uniform", [0.0, 2.0**-53, 0.5, 1 - 2.0**-24, 1 - 2.0**-53])
@pytest.mark.parametrize("vocabulary", [3, 17, 50_000])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_impossible_tokens_are_never_drawn(uniform: float, vocabulary: int, device: str) -> None:
    """Neither at the ends of the unit interval, where rounding reaches the total, nor between."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs CUDA")
    generator = torch.Generator().manual_seed(vocabulary)
    logits = torch.randn(16, vocabulary, generator=generator) * 3
    logits[torch.rand(16, vocabulary, generator=generator) < 0.5] = float("-inf")
    logits[:, 0] = logits[:, -1] = float("-inf")  # impossible at both ends
    logits[:, 1] = 0.0
    sure = torch.full((1, vocabulary), float("-inf"))
    sure[0, vocabulary // 2] = 5.0
    logits = torch.cat([logits, sure]).to(device)
    tokens, logp = draw(logits, torch.full((17,), uniform, dtype=torch.float64, device=device), Sampling(1))
    assert torch.isfinite(logp).all()
    assert torch.isfinite(logits.gather(-1, tokens[:, None])).all()
    assert tokens[-1] == vocabulary // 2


def test_greedy_takes_the_likeliest() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [2.0, 1.0, 0.0], [0.0, 1.0, 5.0]])
    tokens, logp = draw(logits, torch.tensor([0.99, 0.99, 0.0], dtype=torch.float64), Sampling(1, 0.0))
    assert tokens.tolist() == [1, 0, 2]
    torch.testing.assert_close(logp, logits.log_softmax(-1).max(-1).values)


#                       id: 0     1    2     3     4    5
PROBABILITIES = torch.tensor([0.0625, 0.25, 0.125, 0.25, 0.25, 0.0625])


@pytest.mark.parametrize(
    ("sampling", "support"),
    [
        (Sampling(1, top_k=1), {1}),  # of the three likeliest the first by id
        (Sampling(1, top_k=2), {1, 3}),
        (Sampling(1, top_k=4), {1, 2, 3, 4}),
        (Sampling(1, top_k=5), {0, 1, 2, 3, 4}),
        (Sampling(1, top_k=6), {0, 1, 2, 3, 4, 5}),
        (Sampling(1, top_k=100), {0, 1, 2, 3, 4, 5}),
        (Sampling(1, top_p=0.01), {1}),
        (Sampling(1, top_p=0.24), {1}),
        (Sampling(1, top_p=0.26), {1, 3}),
        (Sampling(1, top_p=0.6), {1, 3, 4}),
        (Sampling(1, top_p=0.8), {1, 2, 3, 4}),
        (Sampling(1, top_p=0.9), {0, 1, 2, 3, 4}),
        (Sampling(1, top_p=0.95), {0, 1, 2, 3, 4, 5}),
        (Sampling(1, top_p=0.8, top_k=2), {1, 3}),
        (Sampling(1, top_p=0.26, top_k=4), {1, 3}),
        (Sampling(1), {0, 1, 2, 3, 4, 5}),
    ],
    ids=str,
)
def test_truncation_keeps_exactly_its_support_in_proportion(sampling: Sampling, support: set[int]) -> None:
    tokens = drawn(PROBABILITIES.log()[None], sampling, 20_000)
    assert set(tokens.tolist()) == support
    kept = torch.tensor(sorted(support))
    kept_mass = PROBABILITIES[kept].double()
    expected = kept_mass / kept_mass.sum() * 20_000
    if len(support) > 1:
        assert stats.chisquare(torch.bincount(tokens, minlength=6)[kept].numpy(), expected.numpy()).pvalue > 1e-3


def test_ties_are_broken_by_id_in_a_large_vocabulary() -> None:
    logits = torch.zeros(1, 5000)
    logits[0, 4000:] = 1.0
    assert set(drawn(logits, Sampling(1, top_k=3), 500).tolist()) == {4000, 4001, 4002}


def test_the_smallest_set_of_a_mass_that_is_met_exactly() -> None:
    kept = _truncated(PROBABILITIES[None], Sampling(1, top_p=0.5))
    assert kept.tolist() == [[0, 0.25, 0, 0.25, 0, 0]]
    kept = _truncated(PROBABILITIES[None], Sampling(1, top_p=0.875))
    assert kept.tolist() == [[0, 0.25, 0.125, 0.25, 0.25, 0]]


def test_truncation_comes_after_the_temperature() -> None:
    logits = torch.tensor([[4.0, 2.0, 0.0]])
    assert set(drawn(logits, Sampling(1, 1.0, top_p=0.8), 2000).tolist()) == {0}
    assert set(drawn(logits, Sampling(1, 4.0, top_p=0.8), 2000).tolist()) == {0, 1}


# --- bfloat16 ---


@pytest.fixture
def reduced(build_model: Any, cpu_policy: Any) -> Policy:
    return cpu_policy(build_model(), "bfloat16")


def greedy_ids(engine: TransformersEngine) -> list[tuple[int, ...]]:
    requests = [Request(prompt, (0,)) for prompt in PROMPTS]
    return [group[0].tokens for group in engine.generate(requests, Sampling(8, 0.0))]


def test_a_float32_engine_decodes_with_the_policys_own_weights(build_model: Any, cpu_policy: Any) -> None:
    policy, other = cpu_policy(build_model(seed=1)), build_model(seed=2)
    engine = TransformersEngine(policy, NEVER, 10_000)
    before = greedy_ids(engine)
    assert engine.model is policy.model
    policy.model.load_state_dict(other.state_dict())  # no new version: there is nothing to refresh
    after = greedy_ids(engine)
    assert after == greedy_ids(TransformersEngine(cpu_policy(other), NEVER, 10_000))
    assert after != before


def test_a_bfloat16_engine_follows_the_policys_version(build_model: Any, cpu_policy: Any, reduced: Policy) -> None:
    other = build_model(seed=2)
    engine = TransformersEngine(reduced, NEVER, 10_000)
    before = greedy_ids(engine)
    held = engine.model
    reduced.model.load_state_dict(other.state_dict())
    assert greedy_ids(engine) == before, "stale until the policy says that it has changed"
    reduced.version += 1
    after = greedy_ids(engine)
    assert after == greedy_ids(TransformersEngine(cpu_policy(other, "bfloat16"), NEVER, 10_000))
    assert after != before
    assert engine.model is held, "refreshed in place, not copied anew"
    reduced.model.load_state_dict(build_model(seed=3).state_dict())
    assert greedy_ids(engine) == after
    reduced.version += 1
    assert greedy_ids(engine) not in (before, after)


@pytest.mark.parametrize("tied", [False, True])
def test_the_bfloat16_copy(tied: bool, build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model(tie_word_embeddings=tied), "bfloat16")
    engine = TransformersEngine(policy, NEVER, 10_000)
    greedy_ids(engine)
    assert {p.dtype for p in policy.model.parameters()} == {torch.float32}
    assert {p.dtype for p in engine.model.parameters()} == {torch.bfloat16}
    assert not any(p.requires_grad for p in engine.model.parameters())
    assert all(p.requires_grad for p in policy.model.parameters())
    weights = engine.model.get_input_embeddings().weight, engine.model.get_output_embeddings().weight
    assert (weights[0] is weights[1]) == tied
    for mine, master in zip(engine.model.parameters(), policy.model.parameters(), strict=True):
        assert torch.equal(mine, master.to(torch.bfloat16))
    rotary = {name: b for name, b in engine.model.named_buffers() if "inv_freq" in name}
    assert rotary
    masters = dict(policy.model.named_buffers())
    for name, buffer in rotary.items():
        assert buffer.dtype == torch.float32
        assert torch.equal(buffer, masters[name])


def test_bfloat16_samples_report_log_probabilities_near_the_policys(build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model(initializer_range=0.1), "bfloat16")
    found = TransformersEngine(policy, ENDS, 10_000).generate(REQUESTS, Sampling(12))
    rows = [Row(r.prompt, c.tokens) for r, group in zip(REQUESTS, found, strict=True) for c in group]
    reported = torch.tensor([x for group in found for c in group for x in c.logp])
    with torch.no_grad():
        difference = (reported - policy.signals(rows, Needs()).logp).abs()
    assert difference.max() < 0.1
    assert difference.mean() < 0.01


# --- attention ---


def test_other_attention_is_left_alone(build_model: Any, cpu_policy: Any) -> None:
    eager = build_model(attn_implementation="eager")
    attention.use_in(eager)
    assert eager.config._attn_implementation == "eager"
    sdpa = build_model()
    attention.use_in(sdpa)
    assert sdpa.config._attn_implementation == attention.NAME
    attention.use_in(sdpa)
    assert sdpa.config._attn_implementation == attention.NAME
    TransformersEngine(cpu_policy(eager), NEVER, 100)
    assert eager.config._attn_implementation == "eager"


@pytest.mark.parametrize(("family", "overrides"), MODELS)
@pytest.mark.parametrize("prompts", [PROMPTS, SAME_LENGTH], ids=["padded", "unpadded"])
def test_grouped_attention_equals_sdpa(
    family: str, overrides: dict[str, Any], prompts: list[tuple[int, ...]], build_model: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plain = build_model(family, **overrides)
    grouped = copy.deepcopy(plain)
    attention.use_in(grouped)
    seen: list[tuple[int, ...]] = []
    sdpa = torch.nn.functional.scaled_dot_product_attention

    def spy(query: Tensor, *args: Any, **options: Any) -> Tensor:
        seen.append(tuple(query.shape))
        return sdpa(query, *args, **options)

    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    caches: dict[str, Any] = {"plain": None, "grouped": None}
    with torch.no_grad():
        for step in range(4):
            positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            logits = {}
            for name, model in (("plain", plain), ("grouped", grouped)):
                with monkeypatch.context() as patch:
                    if name == "grouped":
                        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", spy)
                    out = model(
                        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=caches[name],
                        use_cache=True,
                    )  # fmt: skip
                caches[name], logits[name] = out.past_key_values, out.logits
            real = mask[:, -ids.shape[1] :].bool()
            torch.testing.assert_close(logits["grouped"][real], logits["plain"][real], rtol=0, atol=1e-5)
            ids = torch.arange(len(prompts))[:, None] * 7 + step
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    if prompts is PROMPTS:  # only a mask makes the library copy keys, so only then the grouped path runs
        kv_heads = overrides["num_key_value_heads"]
        assert (len(prompts), kv_heads, 4 // kv_heads, 8) in seen


def test_a_padded_prefill_and_decode_ignore_what_stands_in_the_padding(policy: Policy) -> None:
    """The engine pads with token 0; a model on which token 0 is loud must not hear it."""
    loud = copy.deepcopy(policy)
    loud.model = copy.deepcopy(policy.model)
    with torch.no_grad():
        loud.model.get_input_embeddings().weight[0] = 50.0
    requests = [Request(prompt, seeds_of("loud", 2)) for prompt in PROMPTS]
    found = TransformersEngine(loud, NEVER, 10_000).generate(requests, Sampling(6))
    assert not any(0 in c.tokens for group in found for c in group), "choose other seeds"
    assert_same(found, TransformersEngine(policy, NEVER, 10_000).generate(requests, Sampling(6)))


def test_a_released_copy_is_made_anew_and_draws_the_same(reduced: Policy) -> None:
    engine = TransformersEngine(reduced, NEVER, 10_000)
    before = greedy_ids(engine)
    engine.release()
    assert engine.model is reduced.model, "nothing is held beside the policy"
    assert greedy_ids(engine) == before
    assert engine.model is not reduced.model
