"""Run pages in a real browser, from file://: hostile text does nothing, and keys, widths and dark mode work."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from leaderboard import evaluations, records, verdicts
from leaderboard.loading import load
from leaderboard.page.runs import write_runs
from leaderboard.selection import Archive

pytestmark = [pytest.mark.slow(seconds=40), pytest.mark.timeout(300)]

MARK = "window.ran = (window.ran || 0) + 1"
HOSTILE = (
    f"<script>{MARK}; alert(1); fetch('http://127.0.0.1:9/s')</script>",
    f'<img src="http://127.0.0.1:9/i.png" onerror="{MARK}">',
    f"</script><script>{MARK}</script>", f'"><svg onload="{MARK}"></svg>',
    '<a href="javascript:window.ran=1">press me</a><iframe src="http://127.0.0.1:9/f"></iframe>',
    f"<style>body {{ display: none }}</style><details open ontoggle='{MARK}'></details>",
    "long" * 400, "\u202eright to left\u2028 and a line", "",
)  # fmt: skip


class Visit:
    """A page with everything that it must not do."""

    def __init__(self, browser, path, width=1280, fragment="", dark=False):
        scheme = "dark" if dark else "light"
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.said, self.asked, self.dialogs = [], [], []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.goto(path.as_uri() + fragment)

    def quiet(self):
        """Nothing ran, nobody was asked, nothing was complained of; and all fits across."""
        assert self.page.evaluate("window.ran === undefined")
        assert (self.said, self.dialogs) == ([], []) and [
            url for url in self.asked if not url.startswith("file:")
        ] == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    @property
    def shown(self):
        """Heading of the example that is shown."""
        return self.page.locator("#example h3").inner_text()


@pytest.fixture
def visit(browser):
    made = []

    def go(*arguments, **options):
        made.append(Visit(browser, *arguments, **options))
        return made[-1]

    yield go
    for one in made:
        one.context.close()


@pytest.fixture
def site(results, tmp_path):
    """A run whose every text is hostile: 60 held-out examples, samples, and a judge's verdicts."""
    count = 60
    verdicts_of = [[1, 1] if n % 3 == 0 else [0, 0] if n % 3 == 1 else [1, 0] for n in range(count)]
    items = {("heldout", "sampled", step): verdicts_of for step in (0, 4)}
    items |= {("heldout", "greedy", step): [[n % 2] for n in range(count)] for step in (0, 4)}
    recipe, command = {"name": HOSTILE[0], "seeds": [0]}, ["groupbench", "run", HOSTILE[3]]
    folder = results.cell(
        HOSTILE[0], 0, items=items, task={"name": HOSTILE[1]}, error=HOSTILE[2],
        provenance={"recipe": recipe, "command": command, "plugins": [HOSTILE[1]], "device": HOSTILE[1]},
        steps={n: {"metrics": {HOSTILE[1]: float(n), "clip_fraction": 0.1 * n}} for n in (1, 2, 3, 4)},
    )  # fmt: skip
    said = [[HOSTILE[n % len(HOSTILE)], f"needle {n}"] for n in range(count)]
    prompts = [f"{HOSTILE[n % len(HOSTILE)]} prompt {n}" for n in range(count)]
    results.told(folder, {"sampled": said, "greedy": [[one[0]] for one in said]}, prompts, answer=HOSTILE[0])
    for step in (1, 2, 3, 4):
        of = {"step": step, "id": "x", "reward": 0.5, "source": "policy"}
        records.append(folder / "samples.jsonl", [of | {"text": f"{HOSTILE[1]} at {step}", "prompt": HOSTILE[0]}])
    _judged(results.folder, folder)
    write_runs(Archive(load(results.plan())), tmp_path / "site", "all")
    return tmp_path / "site" / "runs" / f"{folder.name}.html"


def _judged(root, cell):
    answers = {f"q{n}": one for n, one in enumerate(HOSTILE)}
    blocks = [
        {"id": name, "first": 0, "responses": [text], "answers": [None], "correct": [None], "strict": [None],
         "tokens": [1], "truncated": [0], "timed_out": [0], "content": "", "prompt": HOSTILE[1]}
        for name, text in answers.items()
    ]  # fmt: skip
    (cell / "answers" / "six").mkdir(parents=True)
    records.append(cell / "answers" / "six" / "items.jsonl", blocks)
    task = {"protocol": {"task": "six", "examples": list(answers)}, "items": len(answers), "metrics": {}}
    checkpoint = {"name": "m", "fingerprint": "sha256:m", "precision": "float32", "engine": "transformers"}
    record = {"schema": evaluations.SCHEMA, "checkpoint": checkpoint, "tasks": {"six": task}}
    records.write_json(cell / "answers" / "evaluation.json", record)
    judged = verdicts.Record(
        schema=verdicts.SCHEMA, task=verdicts.Task("six"), candidate=verdicts.Player("m", "sha256:m"),
        opponent=verdicts.Player(HOSTILE[1]), judge=verdicts.JudgeRecord("mock", HOSTILE[0], "", "", ""), parser="ours",
        pairs=list(answers),
    )  # fmt: skip
    games = [
        verdicts.GameRecord(name, first, "read", 1.0 if n % 2 else 0.0, label=HOSTILE[0])
        for n, name in enumerate(answers)
        for first in (True, False)
    ]
    pairs = [verdicts.PairRecord(name, "", (1, 1)) for name in answers]
    verdicts.write(root / "judged" / "one", verdicts.Judged(judged, pairs, games))


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_hostile_text_is_read_and_does_nothing(site, visit, width, dark):
    seen = visit(site, width, dark=dark)
    page = seen.page
    assert page.locator("h1").inner_text().startswith("<script>window.ran")
    for _ in range(len(HOSTILE)):
        seen.quiet()
        page.keyboard.press("j")
    page.keyboard.press("k")
    assert seen.shown.startswith("heldout-008")
    page.goto(site.as_uri() + "#heldout/heldout-001")
    page.reload()
    texts = page.locator("#example pre.text").all_inner_texts()
    assert texts[0] == f"{HOSTILE[1]} prompt 1" and texts[1] == HOSTILE[0] and HOSTILE[1] in texts[2:]
    for name in page.get_by_role("tab").all():
        name.click()
        seen.quiet()
    assert f"{HOSTILE[1]} at 1" in page.locator("#example").inner_text()
    for summary in page.locator("summary").all():
        summary.click()
    assert page.locator("#tables table").count() == page.locator(".panel").count()
    seen.quiet()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (not dark)


def test_examples_are_filtered_searched_and_addressed(site, visit):
    seen = visit(site)
    page = seen.page
    assert page.locator(".strip button").count() == 50
    page.get_by_label("Show").select_option("wrong")
    assert page.locator(".count").inner_text() == "1 of 17 of 50 here; 60 in all" and "wrong" in seen.shown
    page.get_by_label("Show").select_option("")
    page.get_by_label("Search").fill("NEEDLE 33")
    assert seen.shown.startswith("heldout-033") and page.locator(".strip button").count() == 1
    page.keyboard.press("j")  # a letter of the search, no command
    assert page.get_by_label("Search").input_value() == "NEEDLE 33j"
    assert "Nothing here is like that" in page.locator("#example").inner_text()
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="Next").click()
    page.locator(".strip button[aria-current=true]").focus()
    page.keyboard.press("ArrowRight")
    assert seen.shown.startswith("heldout-002") and page.url.endswith("#heldout/heldout-002")
    page.keyboard.press("ArrowLeft")
    assert seen.shown.startswith("heldout-001")
    again = visit(site, fragment="#heldout/" + quote("heldout-007"))
    assert again.shown.startswith("heldout-007")
    page.get_by_role("link", name="2", exact=True).click()
    assert seen.shown.startswith("heldout-050") and page.locator(".strip button").count() == 10
    seen.quiet()


def test_judged_pairs_show_both_orders(site, visit):
    seen = visit(site, fragment="#pairs1/q1")
    text = seen.page.locator("#example").inner_text()
    assert "won" in text and f"this run shown first: {HOSTILE[0]}, score 1" in text and "this run shown second" in text
    assert "not in the records" in text, "the opponent's answer"
    seen.page.get_by_label("Show").select_option("lost")
    assert "lost" in seen.shown
    seen.quiet()


def test_steps_slide_and_charts_read_out(site, visit):
    seen = visit(site)
    page = seen.page
    page.get_by_role("tab", name="Samples in training").click()
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert seen.shown == "Step 2" and "at 2" in page.locator("#example").inner_text()
    panel = page.locator(".panel").first
    panel.locator("> svg").hover(position={"x": 300, "y": 60})
    assert panel.locator(".readout").inner_text().startswith("step 4: held out")
    panel.focus()
    page.keyboard.press("ArrowLeft")
    assert panel.locator(".readout").inner_text().startswith("step 0:")
    seen.quiet()


def test_the_recipe_is_saved_and_commands_are_copied(site, visit, tmp_path):
    seen = visit(site)
    with seen.page.expect_download() as download:
        seen.page.get_by_role("link", name="Save").click()
    assert download.value.suggested_filename == f"{site.stem}.yaml"
    saved = tmp_path / "saved.yaml"
    download.value.save_as(saved)
    import yaml

    assert yaml.safe_load(saved.read_text(encoding="utf-8")) == {"name": HOSTILE[0], "seeds": [0]}
    copy = seen.page.locator(".copy").first
    copy.click()
    seen.page.wait_for_function("button => button.textContent !== 'Copy'", arg=copy.element_handle())
    assert copy.inner_text() in ("Copied", "Selected")
    seen.quiet()


def test_without_javascript_the_numbers_are_there(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.as_uri())
    assert "Accuracy, %" in page.locator("#numbers").inner_text() and page.locator(".panel polyline").count() > 5
    assert "Examples need JavaScript" in page.locator("#examples").inner_text()
    context.close()


def test_the_policy_alone_would_stop_a_script(site, visit, tmp_path):
    """Were a text to become markup by a mistake of ours, the browser refuses to run it."""
    page = site.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(page.replace("<main>", f"<main><script>{MARK}</script><img src=x onerror='{MARK}'>"), "utf-8")
    seen = visit(broken)
    assert seen.page.evaluate("window.ran === undefined")
    assert len([text for text in seen.said if "Content Security Policy" in text]) >= 2
    assert json.loads(seen.page.locator("#data").text_content())["heldout"]["total"] == 60
