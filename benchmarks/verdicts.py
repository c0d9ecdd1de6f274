"""How often `groupbench claims` is wrong, and how often it finds what is there: the table of docs/claims.md.

    python benchmarks/verdicts.py [--tables 2000]

One algorithm against three others on 200 items with 4 samples each, held to the claim that it beats all of them; seeds'
accuracies have 1 point standard deviation. Two minutes on one core. The data are those of simulated_tables.py.
"""

from __future__ import annotations

import argparse

from simulated_tables import STATED, verdicts

EFFECTS, RUNS = (0.0, 0.02, 0.05), (3, 5, 10)


def main() -> None:
    """The table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=2000)
    tables = parser.parse_args().tables
    print("| true difference | seeds | supported, % | refuted, % | any comparison with a verdict, % |")
    print("|---:|---:|---:|---:|---:|")
    for effect in EFFECTS:
        for runs in RUNS:
            found = verdicts(STATED, effect, runs, 200, tables)
            shares = " | ".join(f"{100 * found[name]:.1f}" for name in ("supported", "refuted", "any"))
            print(f"| {100 * effect:g} points | {runs} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
