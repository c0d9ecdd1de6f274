"""The statistics of a table, as pure functions on numpy arrays; docs/statistics.md says which number is which formula.

intervals: means with the errors of seeds and items. comparing: corrections, ranks, exact tests. convergence: time to
target and what goes with it. across: several tasks. samples: several answers to one item. scipy is loaded at the first
call that needs it.
"""

from .across import (
    iqm,
    macro_gain,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    profile_band,
    stratified_bootstrap,
)
from .comparing import generator, holm, mcnemar, ranks, sign_flip
from .convergence import (
    Success,
    algoperf_scores,
    nauc,
    peak_drop,
    reference_target,
    restricted_mean,
    roughness,
    smoothed,
    speedup,
    success,
    time_to_target,
)
from .intervals import (
    AGREEMENT,
    Estimate,
    Part,
    cluster_means,
    crossed,
    half_widths,
    minimum_detectable,
    of_shares,
    over_items,
    over_seeds,
    sample_size,
    variances,
    wilson,
)
from .samples import g_pass_at_k, majority_at_k, pass_at_k, pass_hat_k

__all__ = [
    "AGREEMENT",
    "Estimate",
    "Part",
    "Success",
    "algoperf_scores",
    "cluster_means",
    "crossed",
    "g_pass_at_k",
    "generator",
    "half_widths",
    "holm",
    "iqm",
    "macro_gain",
    "majority_at_k",
    "mcnemar",
    "minimum_detectable",
    "nauc",
    "of_shares",
    "optimality_gap",
    "over_items",
    "over_seeds",
    "pass_at_k",
    "pass_hat_k",
    "peak_drop",
    "performance_profile",
    "probability_of_improvement",
    "profile_band",
    "ranks",
    "reference_target",
    "restricted_mean",
    "roughness",
    "sample_size",
    "sign_flip",
    "smoothed",
    "speedup",
    "stratified_bootstrap",
    "success",
    "time_to_target",
    "variances",
    "wilson",
]
