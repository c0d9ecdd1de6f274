"""How often the leaderboard's intervals hold the truth, how often its stars are false, and what they find.

    python benchmarks/coverage_and_power.py [--repetitions 2000]

Prints the tables of docs/statistics.md, in 40 seconds on one core, or as many times longer as there are more
repetitions: that document has 8000. The data are those of simulated_tables.py.
"""

from __future__ import annotations

import argparse
import itertools

from simulated_tables import (
    CONTRASTS,
    EDGES,
    EQUALS,
    ITEMS,
    KINDS,
    METHODS,
    RUNS,
    SEED_PP,
    STATED,
    bootstrap_coverage,
    coverage,
    crossing_times,
    false_stars,
    pooled_coverage,
    power,
    profile_coverage,
    worlds,
)

POWER_EFFECTS, POWER_ITEMS = (0.01, 0.02, 0.03, 0.05), (200, 1319)
PROFILES = ((2, 0.5), (2, 4.0), (5, 0.5), (5, 4.0), (10, 0.5), (10, 4.0))  # tasks, and how far apart
MACRO = ((0.5, 0.5), (0.9, 0.1), (0.2,) * 5, (0.9, *(0.025,) * 4))


def main() -> None:
    """All tables, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000, help="of small tables; a quarter of it on 1319 items")
    repetitions = parser.parse_args().repetitions
    for table in (coverages, methods, profiles, stars, powers):
        lines = table(repetitions)
        print("\n".join(lines), end="\n\n", flush=True)
    for shares in MACRO:
        found = ", ".join(f"{100 * pooled_coverage(runs, shares):.1f} %" for runs in RUNS)
        print(f"macro gain, variance shares {shares}: {found} for {RUNS} seeds")
    for items in (200, 500, 1319):
        true, raw, ours = crossing_times(items, repetitions)
        print(f"time to target, {items} items: true {true:.0f}, raw {raw:.0f}, smoothed and sustained {ours:.0f}")


def coverages(repetitions: int) -> list[str]:
    """Lowest and highest over the seeds' standard deviations, for each kind of data."""
    cells = list(itertools.product(RUNS, ITEMS))
    lines = [f"| lowest-highest coverage, % | {' | '.join(f'{r} × {n}' for r, n in cells)} |", "|---|" + "---|" * 9]
    for kind in KINDS:
        found = [coverage(worlds()[kind, pp], repetitions) for pp in SEED_PP]
        ends = [[100 * pick(f["ours", r, n] for f in found) for pick in (min, max)] for r, n in cells]
        lines.append(f"| {kind} | {' | '.join(f'{low:.1f}-{high:.1f}' for low, high in ends)} |")
    for name, world in EDGES.items():
        edge = coverage(world, repetitions)
        shares = [100 * edge["ours", r, n] for r, n in cells]
        lines.append(f"| {name} | {' | '.join(f'{share:.1f}' for share in shares)} |")
    return lines


def methods(repetitions: int) -> list[str]:
    """Ours beside the simpler ones, where items are as nothing and where they dominate; and the bootstrap."""
    lines = ["| coverage, %, 200 items | method | 3 seeds | 5 | 10 |", "|---|---|---|---|---|"]
    for name, world in CONTRASTS.items():
        found = coverage(world, repetitions, list(METHODS), (200,))
        for method in METHODS:
            lines.append(f"| {name} | {method} | {' | '.join(f'{100 * found[method, r, 200]:.1f}' for r in RUNS)} |")
    shares = [bootstrap_coverage(runs, repetitions) for runs in RUNS]
    return [*lines, f"| normal seeds alone | percentile bootstrap | {' | '.join(f'{100 * s:.1f}' for s in shares)} |"]


def profiles(repetitions: int) -> list[str]:
    """The pointwise band of a performance profile, where the tasks' runs overlap and where they do not."""
    lines = ["| coverage of a profile's band, % | 3 seeds | 5 | 10 |", "|---|---|---|---|"]
    for tasks, apart in PROFILES:
        shares = [100 * profile_coverage(runs, tasks, apart, repetitions // 8) for runs in RUNS]
        lines.append(f"| {tasks} tasks, {apart:g} sd apart | {' | '.join(f'{share:.1f}' for share in shares)} |")
    return lines


def stars(tables: int) -> list[str]:
    """A/A."""
    lines = ["| tables with a false star, %, 200 items | family | 3 seeds | 5 | 10 |", "|---|---|---|---|---|"]
    for name, world in EQUALS.items():
        found = [false_stars(world, runs, 200, tables) for runs in RUNS]
        for k, family in enumerate(("4 against a reference", "all 10 pairs")):
            lines.append(f"| {name} | {family} | {' | '.join(f'{100 * f[k]:.1f}' for f in found)} |")
    return lines


def powers(repetitions: int) -> list[str]:
    """Of one comparison, and of one among the four of Holm's family where the other three show nothing."""
    cases = list(itertools.product(POWER_ITEMS, RUNS))
    lines = [f"| true difference | {' | '.join(f'{r} × {n}' for n, r in cases)} |", "|---|" + "---|" * len(cases)]
    for effect in POWER_EFFECTS:
        cells = [[100 * power(STATED, effect, r, n, repetitions // 4, m) for m in (1, 4)] for n, r in cases]
        lines.append(f"| {100 * effect:.0f} pp | {' | '.join(f'{one:.0f} / {four:.0f}' for one, four in cells)} |")
    return lines


if __name__ == "__main__":
    main()
