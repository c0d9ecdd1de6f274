"""What rows answered to the items on which they differ most: prompt, right answer, and one response a row.

The item records of a cell's last held-out evaluation keep texts; a page has room for some of them, and the pages of the
runs have all. They are hostile: nothing here is markup, and the page shows them as text alone.
"""

from __future__ import annotations

from typing import Any

from ..analysis import Analysis
from ..reading import Told, told
from ..runs import Cell, Mode, Row

LONGEST = 1500  # characters of a prompt or a response; the middle of a longer one is left out
ROOM = 1_000_000  # characters that one page keeps


def answers(analysis: Analysis, items: dict[str, Any] | None, room: int = ROOM) -> dict[str, Any]:
    """`prompts` and `answers` by item, and `rows`: by row and item a response and what it was worth.

    Of each row's first finished seed, the first sample whose verdict is the more frequent one of its samples. Items
    come by how far the rows are apart on them, as long as there is room. Empty where no texts were recorded.
    """
    mode = analysis.view.metric
    read = {row.hash: found for row in analysis.rows if (found := _read(row, mode))} if items else {}
    if not read or not items:
        return {}
    made: dict[str, Any] = {"mode": mode, "prompts": {}, "answers": {}, "rows": {row: {} for row in read}}
    used = 0
    for name in _apart(items):
        there = {row: found[name] for row, found in read.items() if name in found}
        prompt = next((item.prompt for item in there.values() if item.prompt is not None), None)
        answer = next((item.answer for item in there.values() if item.answer is not None), None)
        said = {row: _typical(item) for row, item in there.items() if item.texts}
        used += len(_cut(prompt or "")) + len(answer or "") + sum(len(text) for text, _ in said.values())
        if used > room:
            break
        if prompt is not None:
            made["prompts"][name] = _cut(prompt)
        if answer is not None:
            made["answers"][name] = _cut(answer)
        for row, shown in said.items():
            made["rows"][row][name] = shown
    return made


def _read(row: Row, mode: Mode) -> dict[str, Told]:
    """The first finished seed's items, by id; empty where they have no texts."""
    cell = next(iter(row.done), None)
    found = _last(cell, mode) if cell is not None else []
    return {item.id: item for item in found if item.texts}


def _last(cell: Cell, mode: Mode) -> list[Told]:
    evaluation = cell.final(mode)
    return [] if cell.folder is None or evaluation is None else told(cell.folder, evaluation)


def _apart(items: dict[str, Any]) -> list[str]:
    """Ids, those first on which the best and the worst row are farthest apart."""
    rows = [[n / row["n"] for n in row["right"]] if "right" in row else row["mean"] for row in items["rows"].values()]
    spread = {name: max(values) - min(values) for name, *values in zip(items["ids"], *rows, strict=True)}
    return sorted(spread, key=lambda name: (-spread[name], name))


def _typical(item: Told) -> tuple[str, float | None]:
    """A response and its verdict, or reward."""
    assert item.texts
    if item.correct:
        usual = int(2 * sum(item.correct) >= len(item.correct))
        at = item.correct.index(usual) if usual in item.correct else 0
        return _cut(item.texts[at]), item.correct[at]
    return _cut(item.texts[0]), round(item.reward[0], 3) if item.reward else None


def _cut(text: str) -> str:
    """JSON that a browser reads carries no half of a surrogate pair."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} […] {text[-LONGEST // 2 :]}"
