"""Pages of runs: what is on them, that nobody's text becomes markup, that they are small and the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from leaderboard import evaluations, records, verdicts
from leaderboard.loading import load
from leaderboard.page import examples
from leaderboard.page.judgements import Judgements
from leaderboard.page.runs import LIMIT, page_names, write_runs
from leaderboard.page.texts import SHORTEST, Texts
from leaderboard.records import RecordError
from leaderboard.selection import Archive

HOSTILE = (
    "<script>window.ran=1</script>", '<img src="http://example.com/x" onerror="window.ran=1">', "</script><b>out</b>",
    "<!--<script>", '"><svg onload=window.ran=1>', "' onclick='window.ran=1", "&lt;i&gt;", "javascript:window.ran=1",
    "\x00\x1b[31m", "\u2028\u202e", "${window.ran=1}",
)  # fmt: skip


HREF = re.compile(r"#[a-z]+|\.\./index\.html|[\w.-]+\.html|data:text/yaml;charset=utf-8,[\w%.~/-]*")


class Reader(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts, self.inside = [], [], [], []
        self.scripts = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, text):
        kept = self.scripts if self.inside and self.inside[-1] in ("script", "style") else self.texts
        kept.append(text)

    @property
    def data(self):
        return json.loads(next(text for text in self.scripts if text.startswith("{")))

    @property
    def text(self):
        return " ".join(self.texts)


def pages(results, out, shown="sample"):
    """File name -> page."""
    paths = write_runs(Archive(load(results.plan())), out, shown)
    assert sorted(paths) == sorted((out / "runs").iterdir())
    return {path.name: Reader(path.read_text(encoding="utf-8")) for path in paths}


def run(results, label="grpo", seed=0, count=3, texts=None, **cell):
    """A finished cell with `count` held-out items, two samples each, and texts."""
    verdicts_of = [[n % 2, (n // 2) % 2] for n in range(count)]
    items = {("heldout", "sampled", step): verdicts_of for step in (0, 4)}
    items |= {("heldout", "greedy", step): [[n % 2] for n in range(count)] for step in (0, 4)}
    folder = results.cell(label, seed, items=items, **cell)
    said = texts or [[f"first {n}", f"second {n}"] for n in range(count)]
    results.told(folder, {"sampled": said, "greedy": [[one[0]] for one in said]}, [f"prompt {n}" for n in range(count)])
    return folder


def test_every_run_that_was_started_has_a_page(results, tmp_path):
    done = run(results)
    failed = results.cell("grpo", 1, state="failed", error="ValueError: <b>no</b>")
    results.cell("grpo", 2, state=None)
    found = pages(results, tmp_path / "out")
    assert found.keys() == {f"{done.name}.html", f"{failed.name}.html"}
    page, broken = found[f"{done.name}.html"], found[f"{failed.name}.html"]
    assert "failed at step" in broken.text and "ValueError: <b>no</b>" in broken.text
    links = [value for tag, name, value in page.attributes if tag == "a" and name == "href"]
    assert "../index.html" in links and f"{failed.name}.html" in links, "back, and to the row's other seeds"


def test_numbers_go_from_the_first_to_the_last_evaluation(results, tmp_path):
    items = {("heldout", "sampled", step): [[step // 4, 1]] for step in (0, 4)}
    folder = results.cell("grpo", 0, items=items)
    page = pages(results, tmp_path / "out")[f"{folder.name}.html"]
    assert "50.0 → 100.0" in page.text and "At step 0 → at step 4" in page.text
    for name in ("Accuracy, sampled", "Gradient norm before clipping", "Response length", "Truncated at the limit"):
        assert name in page.text
    titles = [panel["title"] for panel in page.data["curves"]]
    assert titles[0] == "Accuracy, sampled (%)" and page.tags.count("figure") == len(titles)
    assert page.data["curves"][0]["lines"] == [{"name": "held out", "x": 0, "y": [50.0, 100.0]}]
    assert page.data["axes"][0] == [0, 4]


def test_an_unfinished_run_shows_what_it_has(results, tmp_path):
    folder = results.cell("grpo", 0, sampled=[0.1, 0.2], state="stopped")
    page = pages(results, tmp_path / "out")[f"{folder.name}.html"]
    assert "10.0 → 20.0" in page.text and "counts for nothing on the leaderboard" in page.text
    assert page.data["curves"] and page.data["heldout"] is None


@pytest.mark.parametrize("shown", ["none", "sample", "all"])
def test_no_text_of_anybodys_becomes_markup(shown, results, tmp_path):
    """In labels, prompts, responses, references, samples, errors, metrics, settings and provenance."""
    texts = [[one, one] for one in HOSTILE]
    for n, hostile in enumerate(HOSTILE):
        name = hostile.replace("\x00", "")
        odd = {"commit": name, "device": hostile, "versions": {hostile: hostile}, "command": ["groupbench", hostile]}
        run(
            results, f"{name}{n}", 0, len(HOSTILE), texts, provenance=odd | {"recipe": {"name": hostile}},
            training={hostile: [hostile]}, task={"name": name}, model={"name": hostile},
            steps={1: {"metrics": {hostile: 1.0}}},
        )  # fmt: skip
    folder = next(results.folder.rglob("cell.json")).parent
    sample = {"step": 1, "id": HOSTILE[0], "text": HOSTILE[2], "reward": 1.0, "source": "\ud800", "prompt": HOSTILE[1]}
    records.append(folder / "samples.jsonl", [sample])
    for page in pages(results, tmp_path / "out", shown).values():
        assert (page.tags.count("script"), page.tags.count("style")) == (2, 1)
        assert not {"img", "i", "iframe", "object", "form", "base", "link"} & set(page.tags)
        assert page.tags.count("b") == 1, "the run's own seed, and nobody's text"
        assert not [a for a in page.attributes if a[1].startswith("on") or a[1] in ("src", "style", "srcset")]
        assert all(HREF.fullmatch(value) for _, name, value in page.attributes if name == "href")
        assert page.data["curves"]
    if shown != "none":
        assert page.data["texts"] and HOSTILE[0] in page.data["texts"]


def test_the_policy_knows_script_and_style_by_hash(results, tmp_path):
    run(results)
    (page,) = pages(results, tmp_path / "out").values()
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    style, script = page.scripts[0], page.scripts[-1]
    for text in (style, script):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert "innerHTML" not in script and "eval(" not in script and "document.write" not in script


def test_the_same_records_give_the_same_bytes(results, tmp_path):
    run(results, provenance={"recipe": {"name": "x", "seeds": [0]}})
    results.cell("gift", 0, sampled=[0.1, 0.2], greedy=[0.2, 0.3])
    for out in ("one", "two"):
        pages(results, tmp_path / out, "all")
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / out / "runs").iterdir()} for out in ("one", "two"))
    assert one == two


def test_how_many_examples_there_are(results, tmp_path):
    folder = run(results, count=120)
    (none,) = pages(results, tmp_path / "none", "none").values()
    raw = (tmp_path / "none" / "runs" / f"{folder.name}.html").read_text()
    assert none.data["heldout"] is None and "first 7" not in raw and "prompt 7" not in raw
    (sample,) = pages(results, tmp_path / "sample").values()
    assert len(sample.data["heldout"]["items"]) == 50 and sample.data["heldout"]["total"] == 120
    assert "The first 50 of 120 held-out examples" in sample.text
    every = pages(results, tmp_path / "all", "all")
    assert list(every) == [f"{folder.name}.html", f"{folder.name}-2.html", f"{folder.name}-3.html"]
    ids = [item["id"] for page in every.values() for item in page.data["heldout"]["items"]]
    assert ids == [f"heldout-{n:03d}" for n in range(120)]
    third = every[f"{folder.name}-3.html"]
    item = third.data["heldout"]["items"][0]
    assert third.data["texts"][item["prompt"]] == "prompt 100" and third.data["texts"][item["answer"]] == "42"
    sampled, greedy = item["modes"]
    assert [third.data["texts"][n] for n in sampled["texts"]] == ["first 100", "second 100"]
    assert (sampled["mode"], sampled["correct"], sampled["tokens"]) == ("sampled", [0, 0], [12, 12])
    assert greedy["correct"] == [0] and not third.data["curves"]
    with pytest.raises(RecordError, match="examples 'some': expected one of none, sample, all"):
        pages(results, tmp_path / "x", "some")


def test_records_without_texts_show_verdicts(results, tmp_path):
    items = {("heldout", "sampled", step): [[0, 1], [1, 1]] for step in (0, 4)}
    results.cell("grpo", 0, items=items)
    (page,) = pages(results, tmp_path / "out").values()
    assert [item["modes"][0]["correct"] for item in page.data["heldout"]["items"]] == [[0, 1], [1, 1]]
    assert page.data["texts"] == [] and "texts" not in page.data["heldout"]["items"][0]["modes"][0]


@pytest.mark.parametrize("text", ["x" * 300_000, "é" * 300_000, "😀" * 100_000, '"<' * 200_000, "\x01" * 200_000])
def test_no_file_is_larger_than_two_mebibytes(text, results, tmp_path):
    texts = [[f"{n} {text}", f"{n}"] for n in range(30)]
    folder = run(results, count=30, texts=texts)
    (page,) = pages(results, tmp_path / "out").values()
    size = (tmp_path / "out" / "runs" / f"{folder.name}.html").stat().st_size
    assert 0.9 * LIMIT < size <= LIMIT
    assert len(page.data["cut"]) == 30
    for number, left_out in page.data["cut"].items():
        kept = page.data["texts"][int(number)]
        assert len(kept) + left_out == len(texts[0][0]) + (kept[1] != " ")
        assert len(kept) > SHORTEST
    assert "prompt 3" in page.data["texts"]


def test_texts_are_held_once():
    texts = Texts()
    assert [texts.add(one) for one in ("a", "b", None, "a")] == [0, 1, None, 0]
    assert texts.data() == {"texts": ["a", "b"], "cut": {}}
    assert texts.data(0) == {"texts": ["a", "b"], "cut": {}}, "short ones stay"


# --- samples ---


def sampled(folder, steps):
    for step in steps:
        lines = []
        for example in ("one", "two"):
            lines += [
                {"step": step, "id": example, "text": f"{example} {step} {k}", "reward": k / 2, "source": "policy"}
                | ({"prompt": f"what is {example}"} if k == 0 else {})
                for k in range(2)
            ]
        records.append(folder / "samples.jsonl", lines)


def test_samples_are_shown_by_step(tmp_path):
    sampled(tmp_path, range(1, 101))
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(b'{"step": 100, "id": "torn')
    texts = Texts()
    found = examples.samples(tmp_path, range(1, 101), 20, texts)
    assert len(found) == 20 and (found[0]["step"], found[-1]["step"]) == (1, 100)
    said = texts.data()["texts"]
    group = found[-1]["groups"][1]
    assert (group["id"], said[group["prompt"]]) == ("two", "what is two")
    assert [(said[n], reward, source) for n, reward, source in group["responses"]] == [
        ("two 100 0", 0.0, "policy"), ("two 100 1", 0.5, "policy"),
    ]  # fmt: skip


def test_a_broken_sample_is_named(tmp_path):
    sampled(tmp_path, [1])
    records.append(tmp_path / "samples.jsonl", [{"step": 2, "id": "x"}])
    with pytest.raises(RecordError, match=r"samples\.jsonl, line 5: not a sample"):
        examples.samples(tmp_path, [1, 2], 20, Texts())


def test_a_spread_has_both_ends():
    assert examples.spread([1, 2, 3], 5) == [1, 2, 3]
    assert examples.spread(range(11), 3) == [0, 5, 10]
    assert examples.spread(range(11), 0) == []


# --- names ---


def test_names_are_safe_and_unique(results, tmp_path):
    one = results.cell("grpo", 0, sampled=[0.1], benchmark="a")
    two = results.cell("grpo", 0, sampled=[0.1], benchmark="b")
    assert one.name == two.name
    odd = results.cell("gift", 0, sampled=[0.1], benchmark="a")
    moved = odd.rename(odd.with_name("<odd> ..name"))
    for benchmark in ("a", "b"):
        results.planned[results.folder / benchmark] = [
            plan for plan in results.planned[results.folder / benchmark] if plan["algorithm"] != "gift"
        ]
    results.plan()
    names = page_names(Archive(load(results.folder)))
    assert names[one] == one.name and names[two] == f"{one.name}.2"
    assert re.fullmatch("[0-9a-f]{16}", names[moved])


# --- how to run it again ---


def test_a_page_says_how_to_run_it_again(results, tmp_path):
    command = ["groupbench", "run", "recipes/x.yaml", "algorithms=[{name: gift, label: it's}]", "seeds=[0]"]
    known = {"recipe": {"name": "x", "seeds": [0]}, "command": command, "plugins": ["--plugin", "mine.py"]}
    folder = run(results, provenance=known | {"commit": "a" * 40 + "+"})
    (page,) = pages(results, tmp_path / "out").values()
    name = folder.name
    assert f"git checkout {'a' * 40}\n" in page.text
    assert f"""'algorithms=[{{name: gift, label: it'"'"'s}}]' 'seeds=[0]' --out results/again-{name}""" in page.text
    assert f"groupbench run {name}.yaml --plugin mine.py --out results/again-{name}" in page.text
    assert "The code had changes that are in no commit" in page.text
    assert ("a", "download", f"{name}.yaml") in page.attributes


def test_a_run_that_an_edited_plugin_replaced_says_so(results, tmp_path):
    """The commands of both are the same; one of them makes another run now."""
    known = {"recipe": {"name": "x"}, "command": ["groupbench", "run", "x.yaml"], "plugins": ["--plugin", "mine.py"]}
    old, new = (run(results, algorithm={"name": "grpo", "source": one}, provenance=known) for one in ("old", "new"))
    plans = results.planned[results.folder / "."]
    plans[0]["earlier"] = plans[1]["row"]
    found = pages(results, tmp_path / "out")
    assert found.keys() == {f"{old.name}.html", f"{new.name}.html"}
    for name, there in ((old.name, True), (new.name, False)):
        text = found[f"{name}.html"].text
        assert ("grpo (earlier code #" in text) == ("makes another one now. It stands in no table" in text) == there
        assert ("with the present one, these commands make another cell" in text) == there
        assert ("Beside other runs" in text) == (not there)


@pytest.mark.parametrize("command", [["curl", "http://example.com"], ["groupbench", "submit"], "rm", [["groupbench"]]])
@pytest.mark.parametrize("commit", ["--upload-pack=x", "; rm -rf x", "main"])
def test_no_command_of_somebody_elses_is_offered(command, commit, results, tmp_path):
    """A reader is about to paste what the page offers."""
    run(
        results,
        provenance={"recipe": {"name": "x"}, "command": command, "commit": commit, "versions": {"groupbench": "x @ y"}},
    )
    (page,) = pages(results, tmp_path / "out").values()
    commands = [
        text
        for text in page.texts
        if text.startswith(("git", "pip", "groupbench run", "groupbench submit", "curl", "rm"))
    ]
    assert len(commands) == 1 and re.fullmatch(r"groupbench run \w+\.yaml --out results/again-\w+", commands[0])


def test_a_record_of_an_earlier_version_says_that_it_does_not_say(results, tmp_path):
    run(results)
    (page,) = pages(results, tmp_path / "out").values()
    assert "The record does not say how to run this again" in page.text


def test_a_plug_in_that_does_not_conform_has_what_was_found_on_its_page(results, tmp_path):
    path = run(results) / "cell.json"
    card = {"data": {}, "words": {"clip": "none"}, "failing": {HOSTILE[0]: HOSTILE[1], "learns": "from 0.25 to 0.02"}}
    records.write_json(path, records.read_json(path) | {"card": card})
    (page,) = pages(results, tmp_path / "out").values()
    assert "does not conform: learns from 0.25 to 0.02" in page.text and page.tags.count("b") == 1


# --- judges ---

PROTOCOL = {"protocol": "sampled", "samples": 1, "temperature": 1.0, "top_p": 1.0, "max_tokens": 9, "seed": 0,
            "verifier": "none", "parameters": {}, "data": "x"}  # fmt: skip


def answered(folder, fingerprint, answers):
    """An evaluation of a task without a verifier; what a judge would call its side."""
    folder.mkdir(parents=True)
    blocks = [
        {"id": name, "content": "c", "first": 0, "responses": [text], "answers": [text], "correct": [None],
         "strict": [None], "tokens": [3], "truncated": [0], "timed_out": [0], "prompt": f"what about {name}"}
        for name, text in answers.items()
    ]  # fmt: skip
    (folder / "six").mkdir()
    records.append(folder / "six" / "items.jsonl", blocks)
    checkpoint = {"name": fingerprint, "fingerprint": fingerprint, "precision": "float32", "engine": "transformers"}
    task = {"protocol": PROTOCOL | {"task": "six", "examples": list(answers)}, "items": len(answers), "metrics": {}}
    record = {"schema": evaluations.SCHEMA, "checkpoint": checkpoint, "tasks": {"six": task}}
    records.write_json(folder / "evaluation.json", record)
    return verdicts.Player(fingerprint, fingerprint, outputs_sha=verdicts.outputs_hash(answers))


def judge(folder, candidate, opponent, scores, model="a judge"):
    """Scores of each pair's two games, by its id."""
    record = verdicts.Record(
        schema=verdicts.SCHEMA, task=verdicts.Task("six"), candidate=candidate, opponent=opponent,
        judge=verdicts.JudgeRecord("mock", model, "", "labels-1", ""), parser="ours", pairs=list(scores),
    )  # fmt: skip
    games = [
        verdicts.GameRecord(name, first, "read", score, label="A>B" if (score > 0.5) == first else "B>A")
        for name, both in scores.items()
        for first, score in zip((True, False), both, strict=True)
    ]
    pairs = [verdicts.PairRecord(name, "c", (1, 1)) for name in scores]
    verdicts.write(folder, verdicts.Judged(record, pairs, games))


def test_judged_pairs_have_both_answers_and_every_game(results, tmp_path):
    folder, other = run(results), run(results, "gift", 0)
    root = results.folder
    mine = answered(folder / "answers" / "x", "sha256:mine", {"a": HOSTILE[0], "b": "good"})
    theirs = answered(root / "start" / "answers" / "y", "sha256:start", {"a": "poor", "b": "poorer"})
    judge(root / "judged" / "1" / "j", mine, theirs, {"a": (1.0, 0.25), "b": (0.0, 0.0)})
    judge(root / "judged" / "1" / "k", mine, theirs, {"b": (1.0, 1.0)}, "another")
    unknown = verdicts.Player("gpt-4", outputs_sha="0")
    judge(root / "judged" / "2" / "j", mine, unknown, {"a": (1.0, 1.0)})
    found = pages(results, tmp_path / "out")
    data = found[f"{folder.name}.html"].data
    texts, (start, baseline) = data["texts"], data["pairs"]
    a, b = start["items"]
    assert (start["opponent"], start["total"]) == ("sha256:start", 2)
    assert [texts[a[key]] for key in ("prompt", "mine", "theirs")] == ["what about a", HOSTILE[0], "poor"]
    assert [(g["first"], g["label"], g["score"]) for g in a["judges"][0]["games"]] == [
        (True, "A>B", 1.0), (False, "A>B", 0.25),
    ]  # fmt: skip
    assert [one["judge"] for one in b["judges"]] == ["a judge", "another"]
    assert baseline["items"][0]["theirs"] is None and texts[baseline["items"][0]["mine"]] == HOSTILE[0]
    assert found[f"{other.name}.html"].data["pairs"] == [], "nobody judged it"


def test_answers_other_than_those_judged_are_not_shown(results):
    folder = run(results)
    mine = answered(folder / "answers" / "x", "sha256:mine", {"a": "now another"})
    judged = verdicts.Player("mine", mine.fingerprint, outputs_sha=verdicts.outputs_hash({"a": "what was judged"}))
    judge(results.folder / "judged" / "j", judged, verdicts.Player("gpt-4"), {"a": (1.0, 1.0)})
    (comparison,) = Judgements(results.folder).of(folder)
    assert comparison.pair("a")["mine"] is None and comparison.pair("a")["prompt"] is None
