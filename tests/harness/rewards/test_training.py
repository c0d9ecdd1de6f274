"""A reward model learns what pairs say, the same whatever the cut, and its folder is what everyone reads."""

import json
import math
import random
import shutil
from pathlib import Path

import pytest
import torch

from harness import models
from harness.errors import ModelError, UserError
from harness.lock import lock
from harness.rewards import training
from harness.rewards.pairs import find_pairs, measure
from harness.rewards.record import read_report
from harness.rewards.scorer import RewardScorer
from harness.rewards.templates import ENCODER, PLAIN, ROLES, give_padding, give_template
from harness.rewards.training import RewardTrainingError, backward, cuts, identity, prepare, resolve, schedule
from harness.settings import RewardTraining
from tasks.base import TaskDataError


def quiet(_):
    pass


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    """Right and wrong sums of one length: 400 pairs on 81 prompts."""
    draw, path = random.Random(0), tmp_path_factory.mktemp("pairs") / "sums.jsonl"
    rows = []
    for _ in range(400):
        a, b = draw.randrange(1, 10), draw.randrange(1, 10)
        wrong = draw.choice([n for n in range(10, 19) if n != a + b])
        rows.append({"prompt": f"{a:02d}+{b:02d}=", "chosen": f"{a + b:02d}", "rejected": f"{wrong:02d}"})
    return write(path, *rows)


def settings_of(sums, **changes):
    values = {"base": "tiny", "pairs": sums, "epochs": 1, "batch_pairs": 16, "learning_rate": 1e-3, "limit": 100}
    return RewardTraining(**{**values, **changes})


def tensors(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def trained(sums, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "model"
    told = []
    report = training.train_reward(settings_of(sums, heldout_share=0.2), folder, "cpu", told.append)
    return folder, report, told


def test_it_learns_what_pairs_say(tmp_path):
    """The larger number is the better one, on prompts that it never saw; the labels turned round, it is wrong."""
    draw, rows = random.Random(0), []
    for number in range(240):
        small, large = sorted(draw.sample(range(10, 100), 2))
        rows.append({"prompt": f"{number}=", "chosen": f"{large}", "rejected": f"{small}"})
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
    paths = [write(tmp_path / name, *some) for name, some in (("larger.jsonl", rows), ("turned.jsonl", turned))]
    settings = settings_of(paths[0], limit=None, epochs=4, learning_rate=2e-3, heldout_share=0.2)
    further = {"turned": find_pairs(paths[1])}
    report = training.train_reward(settings, tmp_path / "model", "cpu", quiet, further=further)
    held, other = report.measured
    assert held.name == "held out" and held.report.clusters == held.report.pairs == 48
    assert held.report.accuracy.low > 0.6 and report.losses[-1] < 0.5 < report.losses[0]
    assert other.name == "turned" and other.report.accuracy.high < 0.4
    assert other.dropped["on prompts that were fitted to"] == report.fitted == 192


def test_the_folder_is_a_reward_model_to_everyone(trained, sums):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder, report, told = trained
    network = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(network).__name__ == "LlamaForSequenceClassification" and network.config.num_labels == 1
    assert network.config.pad_token_id == tokenizer.pad_token_id == 0 and tokenizer.chat_template == PLAIN
    texts = ["01+02=03", "1+2=", "11+22=33333"]
    theirs = network(**tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)).logits[:, 0]
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": ""}] for text in texts]
    scorer = RewardScorer(models.find(str(folder)), "float32", "cpu")
    scorer.check()
    assert [one.reward for one in scorer.score(chats)] == pytest.approx(theirs.tolist(), abs=1e-5)
    (held,) = report.measured
    assert measure(scorer, "held out", find_pairs(sums, limit=100).split(0.2)[1]).report == held.report
    assert any("100 pairs on" in line for line in told) and any("epoch 1 of 1" in line for line in told)


def test_the_record_says_how_it_was_made(trained):
    folder, report, _ = trained
    record = json.loads((folder / "training.json").read_text())
    assert record["identity"] == dict(report.identity) and record["settings"]["learning_rate"] == 1e-3
    assert record["versions"].keys() == {"groupbench", "torch", "transformers"}
    assert record["identity"]["base"] == "tiny" and len(record["identity"]["pairs"]) == 64
    assert "| held out |" in (folder / "README.md").read_text()
    assert read_report(folder, report.identity) == report


def test_the_same_settings_give_the_same_bits_and_another_seed_others(trained, sums, tmp_path):
    first = tensors(trained[0])
    for name, changes, same in (("again", {}, True), ("seed", {"seed": 1}, False)):
        settings = settings_of(sums, heldout_share=0.2, **changes)
        training.train_reward(settings, tmp_path / name, "cpu", quiet)
        found = tensors(tmp_path / name)
        assert all(torch.equal(found[key], first[key]) for key in first) == same
    one, other = (models.fingerprint(models.find(str(f))) for f in (trained[0], tmp_path / "again"))
    assert one == other  # when it was trained is not what it is


@pytest.mark.parametrize("tokens_at_once", [1, 60, 10_000])
@pytest.mark.parametrize("base", ["tiny", "encoder"])
def test_the_gradient_does_not_depend_on_the_cut(base, tokens_at_once, sums, character_model):
    name = "tiny" if base == "tiny" else str(character_model("BertModel", 8, None))
    settings = settings_of(sums, base=name, center=0.1, limit=11, heldout_share=0.0)
    prepared = prepare(settings, find_pairs(sums, limit=11))
    rows = [(row, [*other, *other[: n % 4]]) for n, (row, other) in enumerate(prepared.rows)]  # of unequal lengths
    network = models.load_classifier(prepared.source, 0).eval()
    found = {}
    for cut in (tokens_at_once, 700):
        network.zero_grad()
        summed = backward(network, rows, settings, "cpu", cut)
        found[cut] = summed, torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    (one, gradient), (other, expected) = found[tokens_at_once], found[700]
    assert one == pytest.approx(other, rel=1e-5) and expected.norm() > 1e-3
    assert (gradient - expected).norm() < 1e-4 * expected.norm()


def test_the_loss_is_that_of_bradley_and_terry(sums):
    """By hand from the rewards; the centring term is in the gradient alone."""
    prepared = prepare(settings_of(sums, limit=5, heldout_share=0.0), find_pairs(sums, limit=5))
    network = models.load_classifier(prepared.source, 0).eval()

    def rewards():
        return [[network(torch.tensor([row])).logits[0, 0] for row in both] for both in prepared.rows]

    for center in (0.0, 0.5):
        network.zero_grad()
        summed = backward(network, prepared.rows, settings_of(sums, center=center), "cpu", 8192)
        gradient = network.score.weight.grad.clone()
        network.zero_grad()
        pairs = rewards()
        fits = sum(torch.log1p(torch.exp(rejected - chosen)) for chosen, rejected in pairs)
        ((fits + center * sum((chosen + rejected) ** 2 for chosen, rejected in pairs)) / 5).backward()
        assert summed == pytest.approx(fits.item(), rel=1e-5)
        assert torch.allclose(gradient, network.score.weight.grad, atol=1e-5)


def test_cuts_hold_every_pair_once_under_the_budget():
    rows = [([0] * n, [0] * (n % 7 + 1)) for n in range(1, 40)]
    parts = list(cuts(rows, 100))
    assert sorted(n for part in parts for n in part) == list(range(39))
    for part in parts:
        assert len(part) == 1 or 2 * len(part) * max(len(row) for n in part for row in rows[n]) <= 100


def test_the_schedule():
    falling = [n / 8 for n in range(8, 0, -1)]
    assert [schedule(n, 10, 0.2) for n in range(10)] == pytest.approx([0.5, 1, *falling])
    assert [schedule(n, 2, 0.0) for n in range(2)] == [1.0, 0.5] and schedule(0, 1, 1.0) == 1.0


def test_an_encoder_is_a_base_and_gets_a_template(character_model, sums, tmp_path):
    base = str(character_model("BertModel", 9, None, max_position_embeddings=64))
    report = training.train_reward(settings_of(sums, base=base), tmp_path / "model", "cpu", quiet)
    scorer = RewardScorer(models.find(str(tmp_path / "model")), "float32", "cpu")
    scorer.check()
    assert scorer.tokenizer.chat_template == ENCODER and report.measured[0].report.pairs > 3
    chat = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    read = scorer.tokenizer.convert_ids_to_tokens(scorer.encoded(chat, reply=False))
    assert [token for token in read if token != " "] == ["<cls>", "Q", "<sep>", "A", "<sep>"]


def test_a_template_that_is_there_stays(chat_model):
    tokenizer = models.load_tokenizer(models.find(str(chat_model)))
    there = tokenizer.chat_template
    assert not give_template(tokenizer) and tokenizer.chat_template == there
    tokenizer.chat_template = None
    assert give_template(tokenizer) and tokenizer.chat_template == ROLES
    chat = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    said = [tokenizer.apply_chat_template(chat[:n], tokenize=False, add_generation_prompt=n == 1) for n in (1, 2)]
    assert said == ["user: Q\nassistant: ", "user: Q\nassistant: A<end>"]


def test_padding_is_a_token_that_no_row_holds(chat_model):
    tokenizer = models.load_tokenizer(models.find(str(chat_model)))
    assert give_padding(tokenizer, [[5, 0]]) == 1 and tokenizer.pad_token == "<unk>"  # 0: the end of a turn
    assert give_padding(tokenizer, [[5, 0, 1]]) == 1 and tokenizer.padding_side == "right"  # no other is left


def test_a_finished_folder_is_kept_and_another_is_not_overwritten(trained, sums):
    folder, report, _ = trained
    before, told = (folder / "training.json").stat().st_mtime_ns, []
    settings = settings_of(sums, heldout_share=0.2)
    assert training.train_reward(settings, folder, "cpu", told.append) == report
    assert told == [f"{folder}: trained before, kept"]
    with pytest.raises(UserError, match=r"holds another reward model \(learning_rate 0.001, asked for 0.002\); name"):
        training.train_reward(settings_of(sums, heldout_share=0.2, learning_rate=2e-3), folder, "cpu", quiet)
    assert (folder / "training.json").stat().st_mtime_ns == before


def test_a_folder_of_something_else_is_left_alone(sums, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(UserError, match=r"there, and no reward model of ours"):
        training.train_reward(settings_of(sums), tmp_path, "cpu", quiet)
    assert (tmp_path / "letters.txt").read_text() == "dear"


def test_an_interrupted_fit_leaves_nothing_and_begins_anew(trained, sums, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    place = tmp_path / "model"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "fit", interrupted)
        training.train_reward(settings_of(sums, heldout_share=0.2), place, "cpu", quiet)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".model.training" / "model").mkdir(parents=True)  # as a kill leaves it
    training.train_reward(settings_of(sums, heldout_share=0.2), place, "cpu", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert all(torch.equal(a, b) for a, b in zip(tensors(place).values(), tensors(trained[0]).values(), strict=True))


def test_two_at_once_in_one_folder(sums, tmp_path):
    (tmp_path / ".model.training").mkdir()
    with lock(tmp_path / ".model.training"), pytest.raises(RewardTrainingError, match=r"process .* is training it"):
        training.train_reward(settings_of(sums), tmp_path / "model", "cpu", quiet)


def test_identity_is_content_not_names(sums, tmp_path):
    settings = resolve(settings_of(sums), "cpu")
    copied = shutil.copy(sums, tmp_path / "other.jsonl")
    moved = resolve(settings_of(str(copied)), "cpu")
    pairs = find_pairs(sums, limit=100)
    made_of = identity(settings, pairs)
    assert made_of == identity(moved, find_pairs(str(copied), limit=100)) and json.dumps(made_of)
    assert made_of["precision"] == "float32" and resolve(settings, "cuda").precision == "float32"
    assert resolve(settings_of(sums), "cuda").precision == "bfloat16"
    others = [
        identity(settings, find_pairs(sums, limit=99)),
        identity(resolve(settings_of(sums, seed=1), "cpu"), pairs),
        identity(resolve(settings_of(sums, max_tokens=9), "cpu"), pairs),
    ]
    assert made_of not in others


def test_a_loss_that_is_no_number_stops_the_fit(sums, tmp_path):
    said = r"step 2 of 6: loss .*, gradient norm nan: .*lower learning_rate \(1e\+20\)"
    with pytest.raises(RewardTrainingError, match=said):
        training.train_reward(settings_of(sums, learning_rate=1e20), tmp_path / "model", "cpu", quiet)
    assert list(tmp_path.iterdir()) == []


def test_pairs_that_do_not_fit_are_left_out_and_said(sums, tmp_path):
    rows = [json.loads(line) for line in Path(sums).read_text().splitlines()][:20]
    long = {"prompt": "1+1=", "chosen": "2" * 80, "rejected": "3"}
    path = write(tmp_path / "long.jsonl", *rows, long, {**long, "prompt": "2+2="})
    told = []
    settings = settings_of(path, limit=None, heldout_share=0.0)
    report = training.train_reward(settings, tmp_path / "model", "cpu", told.append)
    assert (report.fitted, report.too_long) == (20, 2) and any("left out: 2 over 64 tokens" in line for line in told)
    with pytest.raises(TaskDataError, match="none of 22 pairs fits into 5 tokens; raise max_tokens, or choose"):
        prepare(settings_of(path, max_tokens=5, heldout_share=0.0, limit=None), find_pairs(path))


def test_what_a_tokenizer_cannot_read_is_said_before_weights_are(tmp_path, monkeypatch):
    path = write(tmp_path / "words.jsonl", {"prompt": "Why?", "chosen": "So.", "rejected": "No."})
    monkeypatch.setattr(models, "load_classifier", lambda *_: pytest.fail("weights are read"))
    with pytest.raises(RewardTrainingError, match=r"base 'tiny': no tokens for some of 'Why\?'"):
        training.train_reward(settings_of(path, limit=None, heldout_share=0.0), tmp_path / "model", "cpu", quiet)


def test_bases_that_are_none(character_model, sums, tmp_path):
    two = character_model("LlamaForSequenceClassification", 10, num_labels=2)
    with pytest.raises(ModelError, match="LlamaForSequenceClassification with 2 labels; expected a language model"):
        models.load_classifier(models.find(str(two)), 0)
    with pytest.raises(ModelError, match="with 2 labels"):  # where nothing is trained yet
        prepare(settings_of(sums, base=str(two)), find_pairs(sums, limit=5))
    bare = shutil.copytree(two, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        models.find(str(bare))
    from safetensors.torch import load_file, save_file

    lost = shutil.copytree(character_model("LlamaForCausalLM", 11), tmp_path / "lost")
    kept = {name: t for name, t in load_file(lost / "model.safetensors").items() if "layers.1" not in name}
    save_file(kept, lost / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"its weights lack \d+ tensors of the model, such as model\.layers\.1\."):
        models.load_classifier(models.find(str(lost)), 0)


def test_a_reward_model_keeps_its_head_and_a_new_one_is_seeded(reward_model, chat_model):
    kept = models.load_classifier(models.find(str(reward_model)), 5)
    assert torch.equal(kept.score.weight, tensors(reward_model)["score.weight"])
    heads = [models.load_classifier(models.find(str(chat_model)), seed).score.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert float(heads[0].detach().std()) == pytest.approx(33**-0.5, rel=0.4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs = 0: must be at least 1"), ({"heldout_share": 1.0}, "heldout_share = 1.0: must be 0"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0: must be above 0"), ({"limit": 1}, "limit = 1: must be at"),
        ({"learning_rate": math.nan}, "learning_rate = nan"), ({"center": -1.0}, "center = -1.0: must be 0"),
        ({"warmup_share": 2.0}, "warmup_share = 2.0"), ({"max_grad_norm": 0.0}, "max_grad_norm = 0.0: must be"),
        ({"base": ""}, "base = '': must be the name of a model"),
    ],
)  # fmt: skip
def test_settings_that_are_not_allowed(changes, message):
    with pytest.raises(ValueError, match=message):
        settings_of("x", **changes)
