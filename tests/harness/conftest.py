"""What tests of the harness share: small random models, policies on them, and a model whose logits are planted."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from harness.policy import Policy

BuildModel = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models of a few thousand weights: a second thread costs several times what it saves on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def build_model() -> BuildModel:
    """A random causal LM of a named family: large weights, so that attention and positions matter to the output."""

    def build(family: str = "llama", seed: int = 0, **overrides: Any) -> Any:
        from transformers import AutoConfig, AutoModelForCausalLM

        settings: dict[str, Any] = {
            "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
            "tie_word_embeddings": False, "initializer_range": 0.3, "pad_token_id": None, "bos_token_id": None,
            "eos_token_id": None,
        }  # fmt: skip
        config = AutoConfig.for_model(family, **(settings | overrides))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AutoModelForCausalLM.from_config(config).eval()

    return build


@pytest.fixture(scope="session")
def cpu_policy() -> Callable[..., Policy]:
    """A policy on the CPU."""

    def make(model: Any, precision: Any = "float32", temperature: float = 1.0) -> Policy:
        return Policy(model, torch.device("cpu"), precision, temperature)

    return make
