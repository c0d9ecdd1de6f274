"""Length-controlled win rates by alpaca_eval's own function, 0.6.6: `--lc official`, to be held against ours.

Left to itself it downloads `df_gamed.csv`, writes its weights into site-packages, and takes a row's number for its
instruction's index. So it is given the side file, no folder for weights, and all rows in the instructions' order.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from ..records import LeaderboardError
from .length_control import Rows
from .side_file import SideFile


@dataclass(frozen=True)
class Official:
    """What `get_length_controlled_winrate` says, in [0, 1]."""

    win_rate: float
    standard_error: float
    discrete: float
    length_controlled: float
    lc_standard_error: float  # the spread of fitted probabilities: 2 to 6 times too small for the estimate's error
    strength: float  # the C that its folds chose
    n: int


def official(found: Rows, side: SideFile) -> Official:
    """The package's numbers. LeaderboardError unless there is a row for each of the side file's instructions, in order.

    LeaderboardError too where alpaca-eval is not installed (`pip install groupbench[judges]`).
    """
    count = len(side.difficulty)
    if len(found.share) != count:
        raise LeaderboardError(
            f"alpaca_eval counts rows: it takes all {count} instructions in their order, not {len(found.share)}; "
            "without `--lc official` rows are joined by instruction"
        )
    # An index may be a mere position; a difficulty came with its instruction.
    off = np.flatnonzero((found.index != np.arange(count)) | ~np.isclose(found.difficulty, side.difficulty))
    if off.size:
        raise LeaderboardError(
            f"alpaca_eval counts rows: {off.size} of {count} are not in the instructions' order, the first at row "
            f"{off[0]}; without `--lc official` rows are joined by instruction"
        )
    return _call(found, side)


def by_position(found: Rows, side: SideFile) -> Official:
    """The same, rows counted as the package counts them: for files that miss rows, as some published ones do."""
    return _call(found, side)


def _call(found: Rows, side: SideFile) -> Official:
    try:
        with warnings.catch_warnings(action="ignore"):  # pkg_resources
            glm: Any = importlib.import_module("alpaca_eval.metrics.glm_winrate")
    except ImportError as error:
        raise LeaderboardError(f"alpaca_eval cannot be loaded ({error}); `pip install groupbench[judges]`") from None
    import pandas as pd
    import sklearn

    shortest = min(0, int(found.delta.min()))
    frame = pd.DataFrame(
        {
            "preference": found.share + 1,
            # Only lengths count, and of these only the difference.
            "output_1": ["x" * (int(delta) - shortest) for delta in found.delta],
            "output_2": ["x" * -shortest] * len(found.delta),
            "generator_1": "baseline",
            "generator_2": "candidate",
            "annotator": "judge",
        }
    )
    chosen: list[Any] = []

    def fitted(*arguments: Any, **named: Any) -> Any:
        chosen.append(original(*arguments, **named))
        return chosen[-1]

    original = glm.fit_LogisticRegressionCV
    with (
        warnings.catch_warnings(action="ignore", category=FutureWarning),  # of scikit-learn 1.10: excluded by our pin
        sklearn.config_context(),  # it sets an option for good
        mock.patch.object(glm, "hf_hub_download", lambda **_: str(side.path)),
        mock.patch.object(glm, "fit_LogisticRegressionCV", fitted),
    ):
        said = glm.get_length_controlled_winrate(frame, save_weights_dir=None, is_warn_extreme_changes=False)
    return Official(
        win_rate=float(said["win_rate"]) / 100,
        standard_error=float(said["standard_error"]) / 100,
        discrete=float(said["discrete_win_rate"]) / 100,
        length_controlled=float(said["length_controlled_winrate"]) / 100,
        lc_standard_error=float(said["lc_standard_error"]) / 100,
        strength=float(np.ravel(chosen[-1].C_)[0]),
        n=int(said["n_total"]),
    )
