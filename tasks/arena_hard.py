"""Arena-Hard-Auto: hard questions of Chatbot Arena's users (Li et al. 2024, https://arxiv.org/abs/2406.11939).

v0.1 has 500 questions and GPT-4-0314 as the baseline. v2.0 has 750 with a baseline for each category; on it an 8B model
wins one game in a hundred. The Hub's repository is a folder of JSON lines, and is read file by file; none of them could
be fetched where this was written: names and layout are upstream's (lmarena/arena-hard-auto@196f6b8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from .base import GREEDY, EvalProtocol, Example, TaskDataError
from .comparison import ComparisonTask, Entry, OfficialPrompt
from .data import Hub, hub_file, load_rows, local_file, shared_file
from .files import file_rows
from .outputs import answer_rows
from .registry import register

Version = Literal["v0.1", "v2.0"]


def _questions(version: Version, examples: int, sha256: str | None) -> Hub:
    return Hub(
        "lmarena-ai/arena-hard-auto", "", "15f3746e21432264ce9b453999bde4f3c946d2e6", examples=examples,
        file=f"data/arena-hard-{version}/question.jsonl", sha256=sha256,
    )  # fmt: skip


_QUESTIONS: Mapping[Version, Hub] = {
    "v0.1": _questions("v0.1", 500, None),
    "v2.0": _questions("v2.0", 750, "6cfe75abb0e09cd39e7f9b0b18ea96d41be2d4d9ddf76dc1d07d78b6accb2039"),
}
_BASELINES: Mapping[Version, Mapping[str, str]] = {
    "v0.1": {"arena-hard-v0.1": "gpt-4-0314"},
    "v2.0": {"hard_prompt": "o3-mini-2025-01-31", "creative_writing": "gemini-2.0-flash-001"},
}
_JUDGES: Mapping[Version, str] = {"v0.1": "gpt-4-1106-preview", "v2.0": "gpt-4.1"}
_COLUMNS = {"uid": str, "category": str, "prompt": str}


@register("arena_hard")
@dataclass(frozen=True)
class ArenaHard(ComparisonTask):
    """500 hard questions of users, judged against GPT-4-0314's answers (Arena-Hard v0.1), or 750 of v2.0."""

    version: Version = "v0.1"
    """"v0.1" or "v2.0"."""
    categories: tuple[str, ...] | None = None
    """Ask these alone: of "hard_prompt" and "creative_writing" in v2.0; None: all."""

    licence = "Apache-2.0"
    outputs_file = "outputs.jsonl"
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {
        "greedy": replace(
            GREEDY, max_tokens=4096, source="Arena-Hard-Auto v0.1, config/gen_answer_config.yaml@7f1b7f5"
        ),
        "greedy-8k": replace(
            GREEDY, max_tokens=8196, source="v2.0's local models that do not think, config/api_config.yaml@196f6b8"
        ),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version not in get_args(Version):
            allowed = " or ".join(map(repr, get_args(Version)))
            raise ValueError(f"{self.name}: version = {self.version!r}; allowed: {allowed}")
        known = tuple(_BASELINES[self.version])
        if self.categories is not None and not (self.categories and set(self.categories) <= set(known)):
            raise ValueError(
                f"{self.name}: categories = {list(self.categories)}; allowed in {self.version}: some of "
                f"{', '.join(known)}, or null for all"
            )

    @property
    def hub(self) -> Hub:
        """The file with the questions."""
        return _QUESTIONS[self.version]

    @property
    def opponents(self) -> tuple[str, ...]:
        """One for each category that is asked."""
        return tuple(_BASELINES[self.version][category] for category in self._categories)

    @property
    def _categories(self) -> tuple[str, ...]:
        return tuple(name for name in _BASELINES[self.version] if self.categories is None or name in self.categories)

    def judge_prompt(self, example: Example) -> OfficialPrompt:
        """Of its category: creative writing is judged without an answer of the judge's own."""
        settings = "judge_settings.json"  # the texts of upstream's utils/judge_utils.py, which is code
        path = local_file(self.folder, (settings,), (f"arena_hard/{settings}",), required=False)
        name = f"arena-hard-{self.version}/{self.category(example)}"
        return OfficialPrompt(name, _JUDGES[self.version], None if path is None else path.parent)

    def _load(self) -> Sequence[Entry]:
        rows = load_rows(
            hub=self.hub, folder=self.folder, file_patterns=self._places("question.jsonl"),
            shared_file_patterns=self._shared, columns=[_COLUMNS],
        )  # fmt: skip
        if rows.from_hub and len(rows.rows) != self.hub.examples:
            raise TaskDataError(
                f"{self.name}: {rows.origin} has {len(rows.rows)} questions; expected {self.hub.examples}"
            )
        baselines = _BASELINES[self.version]
        if strange := sorted({row["category"] for row in rows.rows} - set(baselines)):
            raise TaskDataError(
                f"{self.name}: {rows.origin} has the category {strange[0]!r}; {self.version} has {', '.join(baselines)}"
            )
        answers = {category: self._answers(category, baselines[category]) for category in self._categories}
        asked = [row for row in rows.rows if row["category"] in answers]
        if missing := [row for row in asked if row["uid"] not in answers[row["category"]]]:
            raise TaskDataError(
                f"{self.name}: {baselines[missing[0]['category']]} answers {len(asked) - len(missing)} of the "
                f"{len(asked)} questions; without an answer is {missing[0]['uid']}: {missing[0]['prompt']!r:.80}"
            )
        return [
            Entry(
                row["uid"], row["prompt"], answers[row["category"]][row["uid"]], baselines[row["category"]],
                row["category"],
            )
            for row in asked
        ]  # fmt: skip

    def _answers(self, category: str, model: str) -> dict[str, str]:
        """The baseline's answers by question. Raises TaskDataError, which says what else could be asked."""
        in_folder = self._places(f"model_answer/{model}.jsonl")
        shared = (
            f"arena_hard/{self.version}_baseline_{model}.parquet",
            f"arena_hard/{self.version}_answers_official_models.parquet",
            f"arena_hard/{in_folder[0]}",
        )
        hub = replace(self.hub, file=f"data/arena-hard-{self.version}/model_answer/{model}.jsonl", sha256=None)
        try:
            path = local_file(self.folder, in_folder, shared) or hub_file(hub, (*shared, *in_folder))
            found = {row.key: row.text for row in answer_rows(path) if row.generator == model and row.by_id}
        except TaskDataError as error:
            others = [name for name in self._categories if name != category]
            without = f" `categories: [{', '.join(others)}]` asks the others alone." if others else ""
            raise TaskDataError(
                f"{self.name}: the answers of {model}, the baseline of {category}, are needed. {error}{without}"
            ) from error
        return found

    @property
    def _shared(self) -> tuple[str, ...]:
        """The questions in GROUPBENCH_DATA: a table, or a copy of upstream's repository."""
        return f"arena_hard/{self.version}_questions.parquet", f"arena_hard/{self.hub.file}"

    def _places(self, file: str) -> tuple[str, ...]:
        """Where upstream's file lies in a copy of its repository, of its data folder or of the version's."""
        return (f"data/arena-hard-{self.version}/{file}", f"arena-hard-{self.version}/{file}", file)

    def _asked(self) -> Mapping[str, str] | None:
        path = shared_file(self._shared)
        if path is None:
            return None
        return {
            row["uid"]: row["prompt"] for row in file_rows(path, [_COLUMNS]).rows if row["category"] in self._categories
        }
