"""The built-in model `tiny`: two layers over the characters of plain arithmetic, made here and nowhere read."""

from __future__ import annotations

from typing import Any

ALPHABET = "0123456789+-*/= "


def tokenizer() -> Any:
    """Characters of plain arithmetic, a padding token (0), an end token (1) and an unknown one (2)."""
    from tokenizers import Regex, Tokenizer, decoders
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    symbols = ["<pad>", "<end>", "<unk>", *ALPHABET]
    backend = Tokenizer(WordLevel({symbol: i for i, symbol in enumerate(symbols)}, unk_token="<unk>"))
    backend.pre_tokenizer = Split(Regex("[\\s\\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")


def config() -> Any:
    """Of a Llama."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(ALPHABET) + 3, hidden_size=96, intermediate_size=384, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64, tie_word_embeddings=True,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip


def model() -> Any:
    """A Llama of two layers and 0.3 M parameters, from a fixed seed: trains in seconds on a CPU."""
    import torch
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config())
