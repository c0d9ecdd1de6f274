"""A reward is the model's own, whatever lies in the batch with it; what is no reward model is refused."""

import shutil

import pytest
import torch

from harness import local, models
from harness.codec import CodecError
from harness.errors import ModelError
from harness.rewards.scorer import RewardScorer
from harness.rewards.templates import ENCODER
from tasks.rewards.base import RewardError

ENDED = (
    "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)
ANSWERED = [
    ("Say 1.", "1"), ("Say 1.", "No, I will not."), ("Say something long.", "word " * 50), ("Say 1.", "1"), ("", "!"),
]  # fmt: skip


def scorer_of(folder):
    return RewardScorer(models.find(str(folder)), "float32", "cpu")


def chat_of(instruction, answer):
    return [{"role": "user", "content": instruction}, {"role": "assistant", "content": answer}]


def one_by_one(folder, chats):
    """By transformers alone: the head on the last token of a decoder, the pooled first one of an encoder."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for chat in chats:
        ids = torch.tensor([tokenizer.apply_chat_template(chat, return_dict=False)])
        with torch.inference_mode():
            if hasattr(network, "score"):
                reward = network.score(network.model(ids).last_hidden_state[0, -1])[0]
            else:
                reward = network.classifier(network.bert(ids, torch.ones_like(ids)).pooler_output[0])[0]
        found.append((float(reward), ids.shape[1]))
    return found


@pytest.fixture(scope="module")
def folders(character_model, reward_model):
    return {
        "decoder": reward_model,
        "pads with the end of a turn": character_model("LlamaForSequenceClassification", 3, ENDED),
        "no padding token": character_model("LlamaForSequenceClassification", 4, pad_token_id=None),
        "encoder": character_model("BertForSequenceClassification", 5, ENCODER),
    }


@pytest.mark.parametrize("at_once", [1, 300, 4096])
@pytest.mark.parametrize("kind", ["decoder", "pads with the end of a turn", "no padding token", "encoder"])
def test_rewards_are_the_models_own(folders, kind, at_once, monkeypatch):
    monkeypatch.setitem(local.AT_ONCE, "cpu", at_once)
    chats = [chat_of(*one) for one in ANSWERED]
    found, expected = scorer_of(folders[kind]).score(chats), one_by_one(folders[kind], chats)
    assert [one.reward for one in found] == pytest.approx([reward for reward, _ in expected], abs=2e-5)
    assert [one.tokens for one in found] == [tokens for _, tokens in expected]
    assert not any(one.cut for one in found)
    assert len({round(one.reward, 3) for one in found}) == 4  # two are the same conversation


def test_a_conversation_that_ends_in_padding_is_read_to_its_end(folders):
    """What plain transformers gets wrong for a batch of these: it takes the end of the turn for padding."""
    folder = folders["pads with the end of a turn"]
    ids = scorer_of(folder).encoded(chat_of("a", "b"), reply=False)
    assert ids[-1] == models.config(models.find(str(folder))).pad_token_id == 0


def test_an_answer_beyond_the_context_is_cut_there(character_model):
    folder = character_model("LlamaForSequenceClassification", 6, max_position_embeddings=32)
    scorer = scorer_of(folder)
    long, other, short = scorer.score([chat_of("Q", "x" * 60), chat_of("Q", "x" * 90), chat_of("Q", "x")])
    assert (long.tokens, long.cut) == (32, True) and (short.cut, short.tokens) == (False, 10)
    assert long.reward == pytest.approx(other.reward) != short.reward
    exact = 32 - short.tokens + 1
    assert scorer.score([chat_of("Q", "x" * exact)])[0][1:] == (32, False)  # the last one that fits


def test_the_room_behind_a_prompt(character_model, folders):
    scorer = scorer_of(character_model("LlamaForSequenceClassification", 6, max_position_embeddings=32))
    assert scorer.room(chat_of("Q", "")[:1]) == 32 - len("<u>Q\n<a>")
    with pytest.raises(RewardError, match=r"a prompt of 38 tokens, and it reads 32: 'y+'; leave such prompts out"):
        scorer.room(chat_of("y" * 31, "")[:1])
    with pytest.raises(RewardError, match="a prompt of 38 tokens"):
        scorer.score([chat_of("y" * 31, "x" * 9)])
    assert scorer_of(folders["decoder"]).room(chat_of("Q", "")[:1]) == 2048 - 8


def test_a_model_that_gives_no_reward(chat_model, character_model):
    with pytest.raises(RewardError, match="no reward model: LlamaForCausalLM with 1 outputs; expected"):
        scorer_of(chat_model).score([chat_of("a", "b")])
    two = character_model("LlamaForSequenceClassification", 7, num_labels=2)
    with pytest.raises(RewardError, match=r"LlamaForSequenceClassification with 2 outputs; expected .* with one"):
        scorer_of(two).check()


def test_a_reward_model_without_a_chat_template(reward_model, without_template, tmp_path):
    plain = without_template(reward_model, tmp_path / "plain")
    with pytest.raises(RewardError, match=r"reward model .*: its tokenizer has no chat template"):
        scorer_of(plain).check()


def test_a_model_without_its_head(reward_model, tmp_path):
    """Random numbers in its place would rate, otherwise at every start."""
    from safetensors.torch import load_file, save_file

    headless = shutil.copytree(reward_model, tmp_path / "headless")
    tensors = load_file(headless / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("score")}
    assert len(kept) < len(tensors)
    save_file(kept, headless / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"its weights lack 1 tensors of the model, such as score\.weight"):
        scorer_of(headless).score([chat_of("a", "b")])


def test_a_chat_template_that_does_not_parse(reward_model, tmp_path):
    broken = shutil.copytree(reward_model, tmp_path / "broken")
    for path in broken.glob("chat_template.jinja"):
        path.write_text("{% for m in messages %}{{ m.content }}")
    with pytest.raises(CodecError, match=r"broken cannot be used for the roles user, assistant: TemplateSyntaxError"):
        scorer_of(broken).score([chat_of("a", "b")])


def test_a_model_without_weights(reward_model, tmp_path):
    bare = shutil.copytree(reward_model, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights \(\*\.safetensors\)"):
        scorer_of(bare)
