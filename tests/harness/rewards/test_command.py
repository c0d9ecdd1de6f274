"""The two commands: what they print, what they write, and what they refuse before a weight is read."""

import json
import random
import sys

import pytest

from harness import cli, models
from harness.rewards import command, pairs, training
from harness.rewards.command import reading
from harness.rewards.pairs import Measured, find_pairs
from leaderboard.stats.preferences import preferences
from tasks import registry

PLUGIN = '''
import random
from dataclasses import dataclass

from tasks.base import Example, Grade, Task
from tasks.pairs.base import identified
from tasks.registry import register


@register("larger_number")
@dataclass(frozen=True)
class LargerNumber(Task):
    """Pairs of numbers of `digits` digits; the larger one is preferred."""

    digits: int = 2
    train = heldout = (Example("e", "1=", "1"),)

    def grade(self, example, response):
        return Grade(0.0, None, None)

    def preference_pairs(self, count, seed):
        draw, rows = random.Random(seed), []
        for number in range(count):
            small, large = sorted(draw.sample(range(10 ** (self.digits - 1), 10**self.digits), 2))
            rows.append((({"role": "user", "content": f"{seed}{number}="},), str(large), str(small), ""))
        return identified(rows)
'''


@pytest.fixture(autouse=True)
def _no_trace(monkeypatch):
    monkeypatch.setattr(registry, "_TASKS", dict(registry.load()))  # the plug-in's task is gone afterwards
    monkeypatch.setattr(pairs, "GENERATED", 200)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["groupbench", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "larger_number.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def sums(tmp_path):
    draw, path = random.Random(1), tmp_path / "sums.jsonl"
    rows = [{"prompt": f"{n}=", "chosen": f"{n}", "rejected": f"{draw.randrange(100, 999)}"} for n in range(10, 50)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_reward_model_of_a_tasks_pairs(monkeypatch, capsys, plugin, sums, tmp_path):
    out, report = tmp_path / "rm", tmp_path / "report.json"
    arguments = [
        "train-reward", "tiny", "--pairs", "larger_number", "--set", "larger_number.digits=2", "--plugin", plugin,
        "--limit", 240, "--epochs", 4, "--learning-rate", 2e-3, "--batch", 16, "--heldout", "larger_number",
        "--heldout", sums, "--out", out, "--device", "cpu",
    ]  # fmt: skip
    assert run(monkeypatch, *arguments) == 0
    said = capsys.readouterr().out
    record = json.loads((out / "training.json").read_text())
    assert record["fitted"] == 216 and record["origin"] == "task larger_number, seed 0"
    _, fresh, file = record["measured"]
    assert [one["name"] for one in record["measured"]] == ["held out", "larger_number", "sums"]
    assert fresh["report"]["pairs"] == 200 and fresh["report"]["accuracy"]["low"] > 0.6  # seed 1: other pairs
    assert file["report"]["length"]["baseline"]["mean"] == 0.0 and file["report"]["length"]["longer"] is None
    for words in ("accuracy", "the longer one wins", "reliability on sums, confidence: share right", f"wrote {out}"):
        assert words in said
    assert run(monkeypatch, *arguments) == 0 and "trained before, kept" in capsys.readouterr().out

    asked = ["reward-accuracy", out, "--pairs", sums, "--json", report, "--device", "cpu"]
    assert run(monkeypatch, *asked) == 0
    written = json.loads(report.read_text())
    assert written["measured"][0]["report"] == file["report"] and written["revision"].startswith("sha256:")
    assert run(monkeypatch, *asked, "--limit", 7) == 0
    assert json.loads(report.read_text())["measured"][0]["report"]["pairs"] == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "nowhere"], "pairs 'nowhere': no such file or folder; allowed: ultrafeedback"),
        (
            ["--pairs", "gsm8k"],
            "pairs 'gsm8k': the task gives no pairs; allowed: larger_number, preference, ultrafeedback",
        ),
        (["--pairs", "SUMS", "--heldout", "nowhere"], "pairs 'nowhere': no such file or folder"),
        (["--pairs", "SUMS", "--epochs", "0"], "train-reward: epochs = 0: must be at least 1"),
        (["--pairs", "SUMS", "--precision", "int8"], "train-reward: precision: Input should be 'auto'"),
        (["--pairs", "SUMS", "--limit", "41"], "limit = 41, but there are only 40"),
        (["--pairs", "larger_number", "--set", "larger_number.size=3"], "unknown key 'size'"),
        (["--pairs", "SUMS", "--set", "nothing.size=3"], "--set nothing.…: no such task"),
        (["--pairs", "SUMS", "--max-tokens", "3"], "fits into 3 tokens"),
    ],
)
def test_what_train_reward_refuses(monkeypatch, capsys, plugin, sums, tmp_path, arguments, message):
    monkeypatch.setattr(models, "load_classifier", lambda *_: pytest.fail("weights are read"))
    given = [sums if one == "SUMS" else one for one in arguments]
    assert run(monkeypatch, "train-reward", "tiny", *given, "--plugin", plugin, "--out", tmp_path / "rm") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "rm").exists()


def test_what_reward_accuracy_refuses(monkeypatch, capsys, chat_model, reward_model, sums):
    for arguments, message in (
        ([chat_model, "--pairs", sums], "no reward model: LlamaForCausalLM with 1 outputs"),
        ([reward_model], "--pairs: name a set to measure on"),
        ([reward_model, "--pairs", "gsm8k"], "pairs 'gsm8k': the task gives no pairs"),
        ([reward_model, "--pairs", sums, "--precision", "int8"], "--precision int8; allowed: auto, float32, bfloat16"),
        ([reward_model, "--pairs", sums, "--json", sums.parent], "--json"),
    ):
        assert run(monkeypatch, "reward-accuracy", *arguments) == 2
        assert message in capsys.readouterr().err


def test_pairs_that_a_model_cannot_read_are_in_no_number(character_model, sums, tmp_path):
    from harness.rewards.pairs import measure
    from harness.rewards.scorer import RewardScorer
    from tasks.rewards.base import RewardError

    folder = character_model("LlamaForSequenceClassification", 6, max_position_embeddings=64)
    scorer = RewardScorer(models.find(str(folder)), "float32", "cpu")
    with sums.open("a") as file:
        file.write(json.dumps({"prompt": "x=", "chosen": "1" * 70, "rejected": "2"}) + "\n")
    found = measure(scorer, "sums", find_pairs(str(sums)))
    assert (found.report.pairs, found.too_long) == (40, 1)
    (tmp_path / "long.jsonl").write_text(json.dumps({"prompt": "x=", "chosen": "1" * 70, "rejected": "2"}) + "\n")
    with pytest.raises(RewardError, match="it reads 64 tokens, and none of the 1 pairs of long is as short"):
        measure(scorer, "long", find_pairs(str(tmp_path / "long.jsonl")))


def measured(differences, chosen, rejected):
    return Measured("made", "", preferences(differences, chosen, rejected, range(len(differences))))


def test_what_a_report_comes_to_in_words():
    draw = random.Random(0)
    longer = [draw.random() < 0.7 for _ in range(400)]
    chosen, rejected = [20 if one else 10 for one in longer], [10 if one else 20 for one in longer]
    by_length = measured([0.5 if one else -0.5 for one in longer], chosen, rejected)
    assert "not shown to be better than taking the longer answer" in reading(by_length)
    assert "prefers the longer answer beyond" in reading(by_length)
    coin = measured([draw.choice([-1.0, 1.0]) for _ in longer], chosen, rejected)
    assert "not shown to be better than chance" in reading(coin) and "log-loss is worse" in reading(coin)
    good = measured([2.0 if draw.random() < 0.9 else -2.0 for _ in longer], chosen, rejected)
    assert reading(good) == ""
    assert "worse than chance" in reading(measured([-0.1] * 50, chosen[:50], rejected[:50]))


def test_the_function_needs_no_command_line():
    """A recipe's stage calls it: neither typer nor pandas is loaded with it."""
    import subprocess

    code = (
        "import sys, harness.rewards.training; print([n for n in ('typer', 'pandas', 'datasets') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    assert training.train_reward.__module__ == "harness.rewards.training" and command.TITLES
