"""What is to be evaluated, by its name: what a user is told who named something else."""

import json
import shutil

import pytest

from harness.errors import UserError
from harness.evaluation.subject import find


def cell(folder, seed):
    folder.mkdir(parents=True)
    (folder / "cell.json").write_text(json.dumps({"algorithm": "gift", "task": "arithmetic", "seed": seed}))
    return folder


def test_a_folder_of_cells_is_named_with_those_of_ones_own(tmp_path):
    """What others handed in has no weights, with a manifest or without."""
    mine = [cell(tmp_path / "cells" / str(seed), seed) for seed in range(2)]
    theirs = [tmp_path / "submissions" / "lost", tmp_path / "elsewhere"]
    for folder in theirs:
        cell(folder / "cells" / "9", 9)
    (theirs[1] / "submission.json").write_text("{}")
    with pytest.raises(UserError, match="holds 2 cells; name one of them") as caught:
        find(str(tmp_path))
    said = str(caught.value)
    assert all(f"{folder}  gift on arithmetic, seed {seed}" in said for seed, folder in enumerate(mine))
    assert "seed 9" not in said
    shutil.rmtree(tmp_path / "cells")
    with pytest.raises(UserError, match=r"no config\.json"):
        find(str(tmp_path))
