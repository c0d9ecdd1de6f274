"""A random chat model, a reward model on the same tokenizer, and a small task of one's own."""

import string
from pathlib import Path

import pytest
import torch

CHARACTERS = string.printable
TEMPLATE = (
    "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)
PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar

from tasks.base import EvalProtocol
from tasks.comparison import ComparisonTask, Entry, OfficialPrompt
from tasks.data import Hub
from tasks.registry import register


@register("six_questions")
@dataclass(frozen=True)
class SixQuestions(ComparisonTask):
    """Six instructions."""

    protocols: ClassVar = {"short": EvalProtocol(1, 1.0, max_tokens=6), "greedy": EvalProtocol(1, 0.0, max_tokens=6)}
    size: int = 6
    hub = Hub("", "")
    opponents = ("nobody",)

    def judge_prompt(self, example):
        return OfficialPrompt("none", "none", None)

    def _load(self):
        return [Entry(f"q{n}", f"Say {n}.", f"I say {n}.", "nobody", "even" if n % 2 == 0 else "odd")
                for n in range(self.size)]

    def _asked(self):
        return None
'''


def _tokenizer():
    from tokenizers import Regex, Tokenizer, decoders
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    vocabulary = {symbol: n for n, symbol in enumerate(["<end>", "<unk>", *CHARACTERS])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = Split(Regex("[\\s\\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", unk_token="<unk>")
    made.chat_template = TEMPLATE
    return made


def _save(folder: Path, kind: str, seed: int) -> Path:
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=len(CHARACTERS) + 2, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048, initializer_range=0.3,
        eos_token_id=0, bos_token_id=None, pad_token_id=0, num_labels=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        getattr(transformers, kind)(config).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory) -> Path:
    return _save(tmp_path_factory.mktemp("chat"), "LlamaForCausalLM", 0)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory) -> Path:
    return _save(tmp_path_factory.mktemp("other"), "LlamaForCausalLM", 1)


@pytest.fixture(scope="session")
def reward_model(tmp_path_factory) -> Path:
    return _save(tmp_path_factory.mktemp("reward"), "LlamaForSequenceClassification", 2)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "six_questions.py"
    path.write_text(PLUGIN)
    return path
