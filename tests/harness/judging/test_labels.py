"""Local judges give what their models give, whatever lies in a batch with it."""

import dataclasses

import pytest
import torch

from harness import local, models
from harness.judging.labels import LabelEngine
from tasks.judges.base import JudgeError

CHATS = [
    [{"role": "user", "content": text}]
    for text in ("Which is better?", "A", "A longer question, " * 20, "Which is better?", "B or not B")
]


def engine_of(folder):
    return LabelEngine(models.find(str(folder)), "float32", "cpu")


def one_by_one(folder, chats, labels):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = []
    for chat in chats:
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        with torch.inference_mode():
            logprobs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        found.append(([float(logprobs[tokenizer.convert_tokens_to_ids(label)]) for label in labels], len(ids)))
    return found


@pytest.mark.parametrize("at_once", [1, 300, 4096])
def test_label_logprobs_are_the_models_own(chat_model, monkeypatch, at_once):
    monkeypatch.setitem(local.AT_ONCE, "cpu", at_once)
    found = engine_of(chat_model).label_logprobs(CHATS, ["A", "B"])
    expected = one_by_one(chat_model, CHATS, ["A", "B"])
    assert [tokens for _, tokens in found] == [tokens for _, tokens in expected]
    for (mine, _), (theirs, _) in zip(found, expected, strict=True):
        assert mine == pytest.approx(theirs, abs=2e-5)
    assert found[0][0] == pytest.approx(found[3][0], abs=2e-5)  # the same question
    assert abs(found[0][0][0] - found[1][0][0]) > 1e-3  # and another one


def test_who_it_is(chat_model, other_model):
    one, other = engine_of(chat_model), engine_of(other_model)
    assert one.revision.startswith("sha256:") and one.revision != other.revision
    assert one.backend == "transformers, float32"


@pytest.mark.parametrize(
    ("labels", "said"), [(["AB", "B"], "'AB' is no single token"), (["A", "A"], "are the same token")]
)
def test_labels_that_are_no_tokens(chat_model, labels, said):
    with pytest.raises(JudgeError, match=said):
        engine_of(chat_model).label_logprobs(CHATS[:1], labels)


def test_a_question_longer_than_the_context(chat_model):
    chat = [{"role": "user", "content": "x" * 3000}]
    with pytest.raises(JudgeError, match=r"a question of 3\d\d\d tokens, and it reads 2048; .*--cap-chars"):
        engine_of(chat_model).label_logprobs([chat], ["A", "B"])


def test_a_model_without_a_chat_template(chat_model, without_template, tmp_path):
    plain = without_template(chat_model, tmp_path / "plain")
    with pytest.raises(JudgeError, match="no chat template; choose an instruct model"):
        engine_of(plain).label_logprobs(CHATS[:1], ["A", "B"])


def test_numbers_that_are_none(chat_model, monkeypatch):
    class Broken(torch.nn.Module):
        def forward(self, input_ids, **_):
            return type("Out", (), {"logits": torch.full((*input_ids.shape, 102), float("nan"))})()

    engine = engine_of(chat_model)
    engine.__dict__["_network"] = Broken()
    with pytest.raises(JudgeError, match="log-probabilities that are no numbers"):
        engine.label_logprobs(CHATS[:1], ["A", "B"])
    assert dataclasses.is_dataclass(engine)
