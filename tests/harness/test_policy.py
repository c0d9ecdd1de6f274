"""Signals against a naive scorer that sees one row at a time, without padding, chunks or shared logits."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from algorithms import Needs, Signals
from harness.policy import Policy, Row

ALL = Needs(raw=True, entropy=True)
ROWS = [
    Row((5, 17, 3, 44), (8, 61, 9)),
    Row((7,), (90,)),
    Row((90, 2, 33, 4, 6, 8, 10), ()),
    Row((12, 12), (80, 4, 1, 0, 96, 33, 20, 21)),
    Row((1, 2, 3), (4, 5)),
    Row((3,), ()),
]
TOKENS = sum(len(row.response) for row in ROWS)


def naive(model: Any, rows: list[Row], temperature: float) -> dict[str, Tensor]:
    """Every signal from the full logits of each row, in double precision."""
    found: dict[str, list[Tensor]] = {"logp": [], "logp_raw": [], "entropy": []}
    for row in rows:
        if not row.response:
            continue
        logits = model(input_ids=torch.tensor([[*row.prompt, *row.response]])).logits[0].double()
        logits = logits[len(row.prompt) - 1 : -1]
        ids = torch.tensor(row.response)[:, None]
        tempered = (logits / temperature).log_softmax(-1)
        found["logp"].append(tempered.gather(-1, ids)[:, 0])
        found["logp_raw"].append(logits.log_softmax(-1).gather(-1, ids)[:, 0])
        found["entropy"].append(torch.distributions.Categorical(logits=tempered).entropy())
    return {name: torch.cat(parts).float() for name, parts in found.items()}


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 2e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def _no_leftover_chunking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.policy.LOGITS_AT_ONCE", {"cpu": 2**24})


@pytest.fixture
def chunks_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Limit a chunk of logits to some tokens of a vocabulary of 97."""
    return lambda tokens: monkeypatch.setattr("harness.policy.LOGITS_AT_ONCE", {"cpu": 97 * tokens + 50})


# --- signals ---


@pytest.mark.parametrize("temperature", [1.0, 0.5, 1.7])
@pytest.mark.parametrize(
    ("family", "tied", "chunk"),
    [
        ("llama", False, 1), ("llama", False, 3), ("llama", False, 1000), ("llama", True, 5), ("qwen2", True, 3),
        ("gpt2", True, 3),
    ],
)  # fmt: skip
def test_signals_equal_a_naive_scorers(
    family: str, tied: bool, chunk: int, temperature: float, build_model: Any, cpu_policy: Any, chunks_of: Any
) -> None:
    chunks_of(chunk)
    model = build_model(family, tie_word_embeddings=tied)
    expected = naive(model, ROWS, temperature)
    policy = cpu_policy(copy.deepcopy(model), temperature=temperature)
    with torch.no_grad():
        found = policy.signals(ROWS, ALL).named()
    assert set(found) == {"logp", "logp_raw", "entropy"}
    for name, value in found.items():
        assert value.shape == (TOKENS,)
        assert value.dtype == torch.float32
        assert_close(value, expected[name])
    with_graph = policy.signals(ROWS, ALL).named()
    for name, value in with_graph.items():
        assert value.requires_grad
        assert_close(value.detach(), expected[name])


def test_only_what_is_needed_is_given(build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model(), temperature=0.5)
    assert set(policy.signals(ROWS, Needs()).named()) == {"logp"}
    assert set(policy.signals(ROWS, Needs(raw=True)).named()) == {"logp", "logp_raw"}
    assert set(policy.signals(ROWS, Needs(entropy=True)).named()) == {"logp", "entropy"}
    assert_close(policy.signals(ROWS, Needs(raw=True)).logp, policy.signals(ROWS, Needs()).logp)
    assert_close(policy.signals(ROWS, Needs(raw=True)).logp_raw, policy.signals(ROWS, ALL).logp_raw)


def test_a_greedy_recipe_scores_at_temperature_1(build_model: Any, cpu_policy: Any) -> None:
    plain, greedy = cpu_policy(build_model()), cpu_policy(build_model(), temperature=0)
    assert torch.equal(greedy.signals(ROWS, ALL).logp, plain.signals(ROWS, ALL).logp)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_batch_composition_and_padding_change_nothing(temperature: float, build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model(), temperature=temperature)
    with torch.no_grad():
        together = policy.signals(ROWS, ALL).named()
        alone = [policy.signals([row], ALL).named() for row in ROWS]
        turned = [policy.signals(ROWS[::-1], ALL).named()]
        padded = policy.signals([*ROWS, Row(range(40), range(40, 60))], ALL).named()
    lengths = [len(row.response) for row in ROWS]
    for name, value in together.items():
        assert_close(torch.cat([signals[name] for signals in alone]), value)
        assert_close(torch.cat(turned[0][name].split(lengths[::-1])[::-1]), value)
        assert_close(padded[name][:TOKENS], value)


def test_an_empty_response_gives_no_signal_wherever_it_stands(build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model())
    full = [row for row in ROWS if row.response]
    with torch.no_grad():
        expected = policy.signals(full, ALL).logp
        for place in range(len(full) + 1):
            rows = [*full[:place], Row((9,), ()), *full[place:]]
            assert_close(policy.signals(rows, ALL).logp, expected)
        nothing = policy.signals([Row((9,), ()), Row((9, 8), ())], ALL)
        assert nothing.logp.shape == nothing.entropy.shape == (0,)


# --- gradients ---


def weighted(signals: Signals, weights: dict[str, Tensor]) -> Tensor:
    return sum((weights[name] * value).sum() for name, value in signals.named().items())  # type: ignore[return-value]


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    names = ("logp", "logp_raw", "entropy", "value")
    return {name: torch.randn(TOKENS, generator=generator) for name in names}


def gradients(policy: Policy, needs: Needs, weights: dict[str, Tensor]) -> list[Tensor]:
    for parameter in policy.parameters():
        parameter.grad = None
    weighted(policy.signals(ROWS, needs), weights).backward()
    return [p.grad.clone() for p in policy.parameters() if p.grad is not None]


@pytest.mark.parametrize("needs", [Needs(), ALL], ids=["logp", "all"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_gradients_do_not_depend_on_the_chunks(
    temperature: float, tied: bool, needs: Needs, build_model: Any, cpu_policy: Any, chunks_of: Any,
    weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    policy = cpu_policy(build_model(tie_word_embeddings=tied), temperature=temperature)
    sizes: list[int] = []
    score = policy._score_chunk
    monkeypatch.setattr(
        policy, "_score_chunk", lambda states, *rest: (sizes.append(len(states)), score(states, *rest))[1]
    )
    whole = gradients(policy, needs, weights)
    assert sizes == [TOKENS]
    assert len(whole) == len(policy.parameters())
    for tokens in (1, 3, 4):
        sizes.clear()
        chunks_of(tokens)
        parts = gradients(policy, needs, weights)
        assert max(sizes) == tokens
        assert sum(sizes) == 2 * TOKENS, "each chunk is scored once forward and recomputed once backward"
        for found, expected in zip(parts, whole, strict=True):
            assert_close(found, expected, 1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_gradients_equal_a_naive_scorers(
    temperature: float, build_model: Any, cpu_policy: Any, chunks_of: Any, weights: dict[str, Tensor]
) -> None:
    chunks_of(4)
    model = build_model()
    policy = cpu_policy(copy.deepcopy(model), temperature=temperature)
    found = gradients(policy, ALL, weights)
    expected = naive(model, ROWS, temperature)
    sum((weights[name] * value).sum() for name, value in expected.items()).backward()  # type: ignore[union-attr]
    for mine, parameter in zip(found, model.parameters(), strict=True):
        assert_close(mine, parameter.grad, 1e-4)


def test_padding_and_empty_responses_get_no_gradient(build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model())
    policy.signals(
        [Row((7,), (90,)), Row((5, 6, 8), (10, 11)), Row((50, 51, 52, 53), ())], Needs()
    ).logp.sum().backward()
    touched = policy.model.get_input_embeddings().weight.grad.abs().sum(1).nonzero().flatten().tolist()
    # The last token of a response predicts nothing, an empty response nothing at all, padding (token 0) is not there.
    assert touched == [5, 6, 7, 8, 10]


# --- values ---


def test_values_come_from_the_last_hidden_state(build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model())
    assert policy.signals(ROWS, Needs(value=True)).value is None
    before = len(policy.parameters())
    policy.add_value_head()
    assert len(policy.parameters()) == before + 2
    assert torch.equal(policy.signals(ROWS, Needs(value=True)).value, torch.zeros(TOKENS))
    assert policy.signals(ROWS, Needs()).value is None
    with torch.no_grad():
        policy.value_head.weight.copy_(torch.linspace(-1, 1, 32)[None])
        policy.value_head.bias.fill_(0.25)
    expected = []
    for row in ROWS:
        if row.response:
            ids = torch.tensor([[*row.prompt, *row.response]])
            states = policy.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0]
            expected.append(states[len(row.prompt) - 1 : -1] @ torch.linspace(-1, 1, 32) + 0.25)
    found = policy.signals(ROWS, Needs(value=True))
    assert found.value.shape == (TOKENS,)
    assert_close(found.value, torch.cat(expected), 1e-4)
    found.value.sum().backward()
    assert policy.value_head.weight.grad.abs().sum() > 0
    assert policy.model.get_input_embeddings().weight.grad.abs().sum() > 0


# --- precision ---


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_bfloat16_products_give_float32_signals_near_those_of_float32(
    temperature: float, build_model: Any, cpu_policy: Any, chunks_of: Any, weights: dict[str, Tensor]
) -> None:
    chunks_of(4)
    exact = cpu_policy(build_model(initializer_range=0.1), "float32", temperature)
    reduced = cpu_policy(build_model(initializer_range=0.1), "bfloat16", temperature)
    assert not exact.reduced
    assert reduced.reduced
    for policy in (exact, reduced):
        policy.add_value_head()
        torch.nn.init.constant_(policy.value_head.weight, 0.1)
    needs = Needs(raw=True, entropy=True, value=True)
    found, expected = reduced.signals(ROWS, needs).named(), exact.signals(ROWS, needs).named()
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert_close(value, expected[name], 0.05)
        assert not torch.equal(value, expected[name])
    for mine, theirs in zip(gradients(reduced, needs, weights), gradients(exact, needs, weights), strict=True):
        assert mine.dtype == torch.float32
        assert torch.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0) > 0.99


def test_auto_precision_is_float32_on_a_cpu(build_model: Any, cpu_policy: Any) -> None:
    assert not cpu_policy(build_model(), "auto").reduced


def test_a_policy_holds_float32_weights_without_dropout(build_model: Any, cpu_policy: Any) -> None:
    model = build_model(attention_dropout=0.5).to(torch.bfloat16).train()
    policy = cpu_policy(model)
    assert {p.dtype for p in policy.parameters()} == {torch.float32}
    assert torch.equal(policy.signals(ROWS, Needs()).logp, policy.signals(ROWS, Needs()).logp)


# --- copies and counts ---


def test_training_does_not_move_the_frozen_copy(build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model(), temperature=0.5)
    policy.add_value_head()
    frozen = policy.frozen_copy()
    before = frozen.signals(ROWS, Needs()).logp.clone()
    assert torch.equal(before, policy.signals(ROWS, Needs()).logp)
    assert not before.requires_grad
    assert frozen.parameters() == []
    assert frozen.value_head is None
    assert policy.value_head is not None

    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
    policy.signals(ROWS, Needs()).logp.sum().backward()
    optimizer.step()
    assert torch.equal(frozen.signals(ROWS, Needs()).logp, before)
    assert (policy.signals(ROWS, Needs()).logp - before).abs().max() > 1e-3


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_hold_each_tensor_once(tied: bool, build_model: Any, cpu_policy: Any) -> None:
    policy = cpu_policy(build_model(tie_word_embeddings=tied))
    assert len({id(p) for p in policy.parameters()}) == len(policy.parameters())


def test_flop_parameters_leave_out_an_embedding_that_is_only_looked_up(build_model: Any, cpu_policy: Any) -> None:
    # hidden 32, intermediate 64, 2 layers, 4 heads of width 8, 2 key-value heads, vocabulary 97
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64 + 2 * 32
    body = 2 * layer + 32
    tied, untied = (cpu_policy(build_model(tie_word_embeddings=tied)) for tied in (True, False))
    assert tied.flop_parameters == untied.flop_parameters == body + 97 * 32


# --- models whose logits are not what the projection says ---

GEMMA = {"head_dim": 8, "pad_token_id": 0, "hidden_activation": "gelu_pytorch_tanh"}


@pytest.mark.parametrize(
    ("family", "overrides"),
    [
        ("gemma2", GEMMA | {"final_logit_softcapping": 1.0}),
        ("cohere", {"logit_scale": 0.0625, "pad_token_id": 0}),
        ("granite", {"logits_scaling": 8.0, "pad_token_id": 0}),
    ],
    ids=["soft-capping", "scaling-up", "scaling-down"],
)
def test_a_model_that_transforms_its_logits_is_refused(
    family: str, overrides: dict[str, Any], build_model: Any, cpu_policy: Any
) -> None:
    model = build_model(family, **overrides)
    with pytest.raises(
        ValueError, match=r"^\w+ForCausalLM transforms its logits .*soft-capping or scaling.* cannot be"
    ):
        cpu_policy(model)


def test_soft_capping_is_refused_however_small_the_logits_are(build_model: Any, cpu_policy: Any) -> None:
    model = build_model("gemma2", **GEMMA, final_logit_softcapping=30.0, initializer_range=0.02)
    with pytest.raises(ValueError, match="transforms its logits"):
        cpu_policy(model)


def test_the_same_family_without_soft_capping_is_taken(build_model: Any, cpu_policy: Any) -> None:
    model = build_model("gemma2", **GEMMA, final_logit_softcapping=None)
    expected = naive(model, ROWS, 1.0)["logp"]
    with torch.no_grad():
        assert_close(cpu_policy(model).signals(ROWS, Needs()).logp, expected, 1e-4)
