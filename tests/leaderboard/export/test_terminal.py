import io

from rich.console import Console

from leaderboard.export.terminal import render
from leaderboard.runs import load


def test_fits_120_characters_and_says_what_counts(results):
    for seed in range(3):
        results.cell("gift@published-detached-with-a-long-name", seed, [0.2, 0.5 + 0.2 * seed], [0.2, 0.5 + 0.2 * seed])
    results.cell("[red]grpo", 0, [0.2, 0.4])
    results.cell("[red]grpo", 1, [0.2, 0.4], state="failed", error="[bold]out of memory")
    results.cell("dapo", 0, state=None)
    console = Console(width=120, record=True, file=io.StringIO())
    (shown,) = render(load(results.plan()))
    console.print(shown)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 120
    for piece in ("20.0 ± 0.0 → 70.0 ± 49.7", "+50.0 ± 49.7", "20.0 → 40.0 †", "0/1 (missing)", "│ [red]grpo"):
        assert piece in text
    assert "…" not in text  # nothing was cut off
    assert "demo: arithmetic, tiny; budget 4 steps" in text
    assert "[red]grpo, seed 1: failed after step 2: [bold]out of memory" in text
