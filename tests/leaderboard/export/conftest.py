"""A grid made by hand, with labels that every format has something against."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from leaderboard.columns import Entry
from leaderboard.runs import Table
from leaderboard.tables import Grid, Header, Line

HOSTILE = [
    "a|b", "`code` ``x", "<script>alert(1)</script>", "two\nlines\n\n# heading", "*bold* **x**", "_it_ __x__",
    "[link](http://x.y)", "![image](x)", "]", "[red]", "*", "# heading", "## x ##", "> quote", "- item", "+ item",
    "1. item", "2) item", "---", "===", "~~gone~~", "&amp; &lt;b&gt;", "$x$ $$y$$", "\\", "\\textbf{x} \\\\ \\|",
    "a & b",
    "100 % #1 {x} x^2 ~", "a--b---c", '"quoted" \'single\' ``', "<<x>> ?` !`", "αβγ Σ σ² Ωμέγα", "é ñ ü Å ç ø ß ł",
    "日本語", "🙂 👩‍💻", "\x1b[31mred\x07", "\ttab ", "½ ﬁ x₂ “q” — –", "=cmd()", "a,b;c\"d\"", "\r\n", "x" * 60,
]  # fmt: skip


@pytest.fixture
def grid():
    """One row a hostile label, with every kind of entry and mark; a control arm last."""
    headers = (
        Header("rank", "rank", "count"),
        Header("algorithm", "algorithm", "text"),
        Header("card_clip", "clip | & [x]", "text"),
        Header("sampled_final", "sampled: final", "share"),
        Header("sampled_delta", "sampled: vs a_b & $c$", "points"),
        Header("time_to_target", "steps to target", "quantity"),
    )
    lines = []
    for n, label in enumerate(HOSTILE):
        seeds = {0: 0.5 + 0.01 * n, 1: 0.52 + 0.01 * n}
        mean = sum(seeds.values()) / 2
        final = Entry(mean, mean - 0.1, mean + 0.1, 1.5, by_seed=seeds, bold=n < 3, mark="†" * (n == 4))
        delta = Entry(-0.01 * n, -0.01 * n - 0.2, -0.01 * n + 0.2, 2.0, 0.5, 1.0, mark=("", "*", "**", "†")[n % 4])
        reference = Entry(text="reference")
        other = Entry(text="not compared", mark="‡")
        delta = reference if n == 0 else other if n == 5 else delta
        time = Entry(math.inf if n % 2 else 1e4 * n, by_seed={0: math.inf if n % 2 else 1e4 * n, 1: 1e4 * n})
        entries = (
            Entry(1.0 + n) if n != 4 else Entry(),
            Entry(text=label),
            Entry(text=label[::-1]),
            final,
            delta,
            time,
        )
        lines.append(Line(label, f"row{n}", entries, control=n == len(HOSTILE) - 1))
    source = Table("demo | [x]", "ta_sk & $1$", "mo#del", {"steps": 50}, "ta_sk-日本", ())
    caption = ("Shares in %.", "± is half of a 95 % interval.", "* p < .05, ** p < .01.", "# not a heading_ at <all>.")
    title, conditions = "A *title* & {more} ## x #", "Budget of each run: 50 steps."
    return Grid("main", title, headers, tuple(lines), caption, source, "mo#del", conditions)


@pytest.fixture
def hostile():
    return SimpleNamespace(labels=HOSTILE)
