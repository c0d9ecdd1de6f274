"""`groupbench judge` and `winrates`, from answers on disk to a table."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from harness import cli
from harness.errors import UserError
from leaderboard import verdicts
from leaderboard.evaluations import read_record
from leaderboard.records import LeaderboardError
from leaderboard.winrates.pairs import read_pairs
from tasks import registry
from tasks.base import TaskError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_TASKS", dict(registry.load()))  # the plug-in's task is gone afterwards


def run(*arguments):
    """The exit code and what was said; a user's mistake as `main` would end it."""
    done = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        if isinstance(done.exception, (UserError, TaskError, LeaderboardError)):
            return 2, str(done.exception)
        raise done.exception
    return done.exit_code, done.output


def judged_in(folder) -> list[verdicts.Judged]:
    return [verdicts.read(path.parent) for path in sorted(Path(folder).rglob(verdicts.FILE))]


@pytest.fixture
def evaluated(chat_model, other_model, plugin):
    """Two models' answers to the small task."""
    folders = {"one": chat_model, "other": other_model}
    for name, model in folders.items():
        code, said = run("evaluate", model, "--tasks", "six_questions", "--out", name, "--plugin", plugin)
        assert code == 0, said
    assert "next: groupbench judge one" in run(
        "evaluate", chat_model, "--tasks", "six_questions", "--out", "one", "--plugin", plugin
    )[1].replace("\n", " ")
    return Path("one"), Path("other")


def test_answers_that_wait_for_a_judge(evaluated):
    one, _ = evaluated
    result = read_record(one)["tasks"]["six_questions"]
    assert result["items"] == 6 and set(result["metrics"]) == {"truncated", "response_tokens"}
    block = json.loads((one / "six_questions" / "items.jsonl").read_text().splitlines()[0])
    assert block["correct"] == [None] and block["strict"] == [None] and block["responses"]
    page = (one / "evaluation.md").read_text()
    assert "Answers that only a judge can compare" in page and "six_questions" in page and "accuracy" not in page


def test_against_the_benchmarks_baseline(evaluated, plugin):
    one, _ = evaluated
    code, said = run("judge", one, "--judge", "mock", "--plugin", plugin)
    assert code == 0, said
    (found,) = judged_in(one)
    record = found.record
    assert record.task.name == "six_questions" and record.opponent.name == "nobody" and record.orders == 2
    assert record.candidate.fingerprint == read_record(one)["checkpoint"]["fingerprint"]
    assert record.pairs == [f"q{n}" for n in range(6)] and len(found.games) == 12
    assert {pair.category for pair in found.pairs} == {"even", "odd"}
    assert record.parser == "ours" and record.judge.kind == "mock"
    before = {path: path.read_bytes() for path in one.rglob("*.json*") if "judged" in path.parts}
    assert run("judge", one, "--judge", "mock", "--plugin", plugin)[0] == 0
    assert {path: path.read_bytes() for path in before} == before


def test_head_to_head_is_the_mirror_image(evaluated, plugin):
    one, other = evaluated
    for pair in ((one, other), (other, one)):
        assert run("judge", *pair, "--judge", "mock", "--judge-set", "noise=0.5", "--plugin", plugin)[0] == 0
    mine, theirs = (read_pairs(found) for found in judged_in("results/judged"))
    assert mine.share == pytest.approx(1 - theirs.share[[mine.ids.index(name) for name in theirs.ids]])
    assert mine.estimate.mean == pytest.approx(1 - theirs.estimate.mean)
    assert (mine.wins, mine.losses) == (theirs.losses, theirs.wins)


def test_outputs_files_are_answers_too(evaluated, plugin):
    one, other = evaluated
    assert run("judge", one, other, "--judge", "mock", "--plugin", plugin, "--out", "a")[0] == 0
    files = [folder / "six_questions" / "outputs.json" for folder in (one, other)]
    arguments = ("--tasks", "six_questions", "--judge", "mock", "--plugin", plugin)
    code, said = run("judge", *files, *arguments, "--out", "b")
    assert code == 0, said
    (mine,), (theirs,) = judged_in("a"), judged_in("b")
    assert mine.games == theirs.games and mine.pairs == theirs.pairs and not mine.record.official
    assert run("judge", *reversed(files), *arguments, "--out", "b")[0] == 0
    assert len(judged_in("b")) == 2
    place = next(Path("b").rglob("judged.json"))
    record = json.loads(place.read_text())
    record["opponent"]["outputs_sha"] = "of another file"
    place.write_text(json.dumps(record))
    codes = [run("judge", *pair, *arguments, "--out", "b") for pair in (files, files[::-1])]
    assert sorted(code for code, _ in codes) == [0, 2]
    assert any("holds verdicts with another opponent" in said for _, said in codes)


def test_head_to_head_is_no_benchmarks_number(evaluated, plugin, other_model):
    one, other = evaluated
    assert run("judge", one, other, "--judge", "mock", "--plugin", plugin, "--out", "h")[0] == 0
    code, said = run("winrates", "h")
    assert code == 2 and "the opponent is not the benchmark's baseline; --reference" in said
    code, said = run("winrates", "h", "--reference", str(other_model))
    assert code == 0 and "W/T/L" in said
    assert run("judge", one, "--judge", "mock", "--plugin", plugin, "--out", "h")[0] == 0
    code, said = run("winrates", "h", "--reference", str(other_model))
    assert code == 0 and "Win rate: six_questions, size 6, against nobody." in said.replace("\n", " ")


def test_instructions_that_are_not_those_that_were_asked(evaluated, plugin):
    one, _ = evaluated
    code, said = run("judge", one, "--judge", "mock", "--plugin", plugin, "--set", "six_questions.size=5")
    assert code == 2 and "are not those of six_questions here" in said
    code, said = run("judge", one, "--judge", "mock", "--plugin", plugin, "--set", "six_question.size=5")
    assert code == 2 and "did you mean 'six_questions'" in said


def test_recorded_verdicts_are_about_their_own_texts(evaluated, plugin):
    one, other = evaluated
    assert run("judge", one, "--judge", "mock", "--plugin", plugin, "--out", "a")[0] == 0
    (games,) = Path("a").rglob("games.jsonl")
    code, said = run("judge", one, "--judge", f"replay:{games}", "--plugin", plugin, "--out", "b")
    assert code == 0, said
    (first,), (again,) = judged_in("a"), judged_in("b")
    assert [g.score for g in again.games] == [g.score for g in first.games]
    code, said = run("judge", other, "--judge", f"replay:{games}", "--plugin", plugin, "--out", "c")
    assert code == 3 and "refused" in said and {g.status for g in judged_in("c")[0].games} == {"failed"}


def test_evaluate_and_judge_in_one_command(chat_model, plugin):
    code, said = run(
        "evaluate", chat_model, "--tasks", "six_questions", "--out", "e", "--plugin", plugin, "--limit", 4,
        "--judge", "mock",
    )  # fmt: skip
    assert code == 0, said
    (found,) = judged_in("e/six_questions/judged")
    assert len(found.record.pairs) == 4 and "4 of the task's 6 instructions" in said
    code, said = run("evaluate", chat_model, "--tasks", "arithmetic", "--out", "f", "--judge", "mock")
    assert code == 2 and "no task is asked whose answers are compared" in said and not Path("f").exists()


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ("openai:x", "OPENAI_API_KEY holds no key"),
        ("reward_model:{chat}", "no reward model: LlamaForCausalLM"),
        ("engine:tiny", "no chat template"),
        ("replay:none.json", "none.json"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_said_before_the_checkpoint_is(chat_model, plugin, monkeypatch, judge, said):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    prompt = ["--judge-prompt", "verdict-1"] if judge.startswith("openai") else []
    code, found = run(
        "evaluate", chat_model, "--tasks", "six_questions", "--out", "e", "--plugin", plugin,
        "--judge", judge.replace("{chat}", str(chat_model)), *prompt,
    )  # fmt: skip
    assert code == 2 and said in found and not Path("e").exists()


@pytest.mark.parametrize("kind", ["engine", "reward_model"])
def test_local_judges_are_asked_once(evaluated, plugin, chat_model, reward_model, kind):
    one, other = evaluated
    model = chat_model if kind == "engine" else reward_model
    arguments = ("judge", one, other, "--judge", f"{kind}:{model}", "--plugin", plugin, "--cap-chars", 300)
    code, said = run(*arguments)
    assert code == 0, said
    (found,) = judged_in("results/judged")
    first = found.record.cost
    games = 12 if kind == "engine" else 6
    assert (first.calls, first.cached, first.usd, len(found.games)) == (games, 0, 0.0, games)
    assert first.prompt_tokens > 0 and found.record.cap_chars == 300
    assert found.record.judge.revision.startswith("sha256:")
    assert ("The judge is one of those judged" in said.replace("\n", " ")) == (kind == "engine")
    assert run(*arguments)[0] == 0
    (again,) = judged_in("results/judged")
    assert (again.record.cost.calls, again.record.cost.cached) == (0, games)
    assert again.games == found.games and again.record.cost.prompt_tokens == first.prompt_tokens


def test_a_dry_run_asks_nothing(evaluated, plugin, chat_model):
    one, _ = evaluated
    arguments = ("judge", one, "--judge", f"engine:{chat_model}", "--plugin", plugin, "--dry-run")
    code, said = run(*arguments)
    assert code == 0 and "12 games, 0 of identical answers, 0 answered before, 12 to ask" in said.replace("\n", " ")
    assert "$0.00 for the prompts" in said and not list(Path().rglob(verdicts.FILE))
    code, said = run(
        "judge", chat_model, "--tasks", "six_questions", "--judge", "mock", "--plugin", plugin, "--dry-run"
    )
    assert code == 2 and "evaluate them, and name the folders" in said
    code, said = run("judge", one, "--judge", "openai:unheard-of", "--plugin", plugin, "--dry-run", "--price", "2,8",
                     "--judge-prompt", "verdict-1")  # fmt: skip
    assert code == 0 and "(--price)" in said
    code, said = run("judge", one, "--judge", "openai:unheard-of", "--plugin", plugin, "--dry-run", "--judge-prompt",
                     "verdict-1")  # fmt: skip
    assert code == 0 and "price is not known; give --price" in said


def test_too_many_games_without_a_verdict_are_no_number(evaluated, plugin):
    one, _ = evaluated
    code, said = run("judge", one, "--judge", "mock", "--judge-set", "failures=0.5", "--plugin", plugin)
    assert code == 3 and "refused" in said
    (found,) = judged_in(one)
    assert {game.status for game in found.games} == {"read", "failed"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--judge", "moc"], "did you mean 'mock'"),
        (["--judge", "mock", "--judge-set", "biass=1"], "no option 'biass'; it has"),
        (["--judge", "mock", "--judge-set", "bias"], "expected KEY=VALUE"),
        (["--judge", "mock", "--judge-set", "bias=much"], "--judge-set bias=much: Input should be a valid number"),
        (["--judge", "mock", "--judge-set", "prompt=x"], "--judge-set prompt: no option"),
        (["--judge", "engine"], "name a model, engine:MODEL"),
        (["--judge", "engine:{chat}", "--judge-prompt", "labels"], "did you mean 'labels-1'"),
        (["--judge", "engine:{chat}", "--judge-prompt", "verdict-1"], "has no two labels to read"),
        (["--judge", "engine:{chat}", "--judge-prompt", "official"], "which no parser here reads"),
        (["--judge", "openai:x", "--judge-prompt", "verdict-1", "--policy", "our"], "did you mean 'ours'"),
        (["--judge", "openai:x", "--judge-prompt", "verdict-1"], "OPENAI_API_KEY holds no key"),
        (["--judge", "openai:x", "--judge-prompt", "verdict-1", "--price", "cheap"], "expected IN,OUT"),
        (["--judge", "openai:x", "--judge-prompt", "verdict-1", "--max-cost", "1"], "give --price"),
        (["--judge", "engine:{chat}", "--policy", "ours"], "the prompt labels-1 is read by labels"),
        (["--judge", "openai:x", "--judge-prompt", "verdict-1", "--policy", "labels"], "asks for a verdict"),
        (["--judge", "mock", "--policy", "ours"], "is asked nothing in words"),
        (["--judge", "replay"], "name the file"),
        (["--judge", "replay:none.jsonl"], "none.jsonl"),
        (["--judge", "mock", "--tasks", "arena_hard"], "arena_hard was not asked; there is six_questions"),
        (["--judge", "mock", "--precision", "half"], "--precision half"),
    ],
)
def test_what_cannot_be_judged_is_said_before_anything_is_asked(
    evaluated, plugin, chat_model, monkeypatch, arguments, said
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    one, _ = evaluated
    code, found = run("judge", one, "--plugin", plugin, *(a.replace("{chat}", str(chat_model)) for a in arguments))
    assert code == 2 and said in found.replace("\n", " "), found
    assert not list(Path().rglob(verdicts.FILE))


def test_judges_are_listed():
    code, said = run("list", "judges")
    assert code == 0
    for name in ("engine", "mock", "openai", "replay", "reward_model", "base_url", "unreadable"):
        assert name in said
    assert run("list", "judges", "mock")[0] == 2


def test_places_that_hold_no_answers(chat_model):
    code, said = run("judge", "nothing.json", "--tasks", "alpaca_eval", "--judge", "mock")
    assert code == 2 and "nothing.json: no such file" in said
    code, said = run("judge", chat_model, "--judge", "mock")
    assert code == 2 and "name what to ask it: --tasks" in said
    code, said = run("winrates", ".")
    assert code == 2 and "no judged.json" in said


def test_alpaca_eval_from_published_annotations(data_folder, monkeypatch):
    """Outputs file and judge's replies in; the published win rates out, ours and the package's own."""
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    data = data_folder / "alpaca_eval"
    asked = pd.read_parquet(data / "questions_and_references.parquet").set_index("index")
    every = pd.read_parquet(data / "annotations_v2_25models.parquet")
    published = pd.read_csv(data / "leaderboard_v2_weighted_alpaca_eval_gpt4_turbo.csv", index_col=0)
    for model in ("gemma-7b-it", "claude-2.1"):
        rows = every[every.generator_2 == model].sample(frac=1, random_state=0)  # in any order
        outputs = [
            {"instruction": asked.instruction[n], "output": text, "generator": model}
            for n, text in zip(rows["index"], rows.output_2, strict=True)
        ]
        annotations = [
            {
                "instruction": asked.instruction[n], "output_1": asked.output_gpt4_1106_preview[n], "output_2": text,
                "generator_1": "gpt4_1106_preview", "generator_2": model, "annotator": "weighted", "preference": p,
                "raw_completion": json.loads(raw) if raw != "null" else None,
            }
            for n, text, p, raw in zip(rows["index"], rows.output_2, rows.preference, rows.raw_completion, strict=True)
        ]  # fmt: skip
        Path(f"{model}.json").write_text(json.dumps(outputs))
        Path(f"{model}-replies.json").write_text(json.dumps(annotations))
        code, said = run(
            "judge", f"{model}.json", "--tasks", "alpaca_eval", "--judge", f"replay:{model}-replies.json",
            "--judge-prompt", "official", "--one-order",
        )  # fmt: skip
        assert code == 0, said
    code, said = run("winrates", "results/judged", "--lc", "official", "--out", "tables")
    assert code == 0, said
    (tidy,) = Path("tables").glob("win-rates-*-tidy.csv")
    made = pd.read_csv(tidy)
    for model in ("gemma-7b-it", "claude-2.1"):
        row = published.loc[model]
        own = made[made["algorithm"] == model].set_index("column")["value"]
        assert 100 * own["win_rate"] == pytest.approx(row["win_rate"], abs=0.005)
        assert 100 * own["lc_win_rate"] == pytest.approx(row["length_controlled_winrate"], abs=0.05)
        theirs = re.search(rf"{model} against \S+: LC ([\d.]+) by alpaca_eval's own function", said.replace("\n", " "))
        assert float(theirs[1]) == pytest.approx(row["length_controlled_winrate"], abs=0.05)
    texts = [path.read_text() for path in sorted(Path("tables").iterdir())]
    assert run("winrates", "results/judged", "--out", "again")[0] == 0
    assert [path.read_text() for path in sorted(Path("again").iterdir())] == texts
