"""docs/tasks.md says of every task what its declaration says, and its example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import tasks
from tasks import cards

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_registry():
    shown = re.search(r"<!-- cards\.markdown\(\) -->\n(.*?)<!-- end -->", DOCS, re.DOTALL)[1]
    assert shown == cards.markdown(), "docs/tasks.md is stale: python -c 'import tasks.cards as c; print(c.markdown())'"


def test_every_task_declares_a_licence_and_a_default_protocol():
    for name, cls in tasks.load().items():
        one = cards.card(cls)
        if one.hub:
            assert one.licence and one.pin and one.protocol, name


def test_the_example_of_a_task_of_ones_own_runs(tmp_path):
    files = re.findall(r"`(my_\S+)`:\n\n```(?:python|json)\n(.*?)```", DOCS, re.DOTALL)
    assert [name for name, _ in files] == ["my_data/my_train.jsonl", "my_data/my_test.jsonl", "my_math.py"]
    (tmp_path / "my_data").mkdir()
    for name, content in files:
        (tmp_path / name).write_text(content, encoding="utf-8")
    code = "from harness.cli import main; main()"
    command = [sys.executable, "-c", code, "check", "my_math", "--plugin", "my_math.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert "my_math: gold answers right 2 strictly, 2 leniently, of 2" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
