"""The papers' tables: what is published, and what of our runs stands beside it.

`reading` has the files gift.toml and gft.toml, `shape` makes their tables of runs, `build` writes them.
"""
