"""The claims of GIFT (arXiv 2510.23868). Its full text was not to be had: they are those of its abstracts."""

from __future__ import annotations

from .checks import Steadier, Versus
from .claim import Claim, Exact, Side
from .quantities import OVERFIT, PEAK_DROP, time
from .winning import WinRate

GIFT = Side("GIFT", ("gift@released*", "gift"))
GRPO = Side("GRPO", ("grpo",))
DAPO = Side("DAPO", ("dapo",))
GSPO = Side("GSPO", ("gspo",))
BASELINES = (GRPO, DAPO, GSPO)

FASTER = "arXiv 2510.23868, abstracts of v1 (faster convergence) and v5 (than GRPO, DAPO, GSPO); the axis is not said"
OVERFITS = "arXiv 2510.23868, abstracts of v1, v2 (less training overfitting) and v5; neither defines it by a number"
WINS = "arXiv 2510.23868, abstracts of v4 and v5 (length-controlled win rates of RLHF)"
MINIMISERS = "arXiv 2510.23868, abstract of v5 (population minimisers)"
TINY_SPEED = (
    "A tiny model that learns sums shows whether the update itself is quick; it says nothing of models that know much "
    "already. Learning rates decide a race; at tiny scale every row has the best of six trials on a dev split."
)
TINY_OVERFIT = (
    "A tiny model is trained on thousands of generated sums and hardly overfits at all, so that a difference is easily "
    "below what its items resolve; peak drops of noise alone are above 0 for every row."
)

CLAIMS = (
    Claim(
        "gift-converges-faster-steps",
        "GIFT reaches a target accuracy on verified rewards in fewer rollout steps than GRPO, DAPO and GSPO.",
        FASTER, "rlvr", Versus(GIFT, BASELINES, time("steps")), TINY_SPEED,
    ),
    Claim(
        "gift-converges-faster-tokens",
        "GIFT reaches a target accuracy on verified rewards in fewer generated tokens, discarded ones counted, than "
        "GRPO, DAPO and GSPO.",
        FASTER, "rlvr", Versus(GIFT, BASELINES, time("generated_tokens")), TINY_SPEED,
    ),
    Claim(
        "gift-overfits-less",
        "GIFT's gain on its training prompts exceeds that on held-out ones by less than GRPO's, DAPO's, GSPO's does.",
        OVERFITS, "rlvr", Versus(GIFT, BASELINES, OVERFIT), TINY_OVERFIT,
    ),
    Claim(
        "gift-holds-its-peak",
        "GIFT's held-out accuracy falls less below its peak by the end of training than GRPO's, DAPO's and GSPO's.",
        OVERFITS, "rlvr", Versus(GIFT, BASELINES, PEAK_DROP), TINY_OVERFIT,
    ),
    Claim(
        "gift-higher-win-rate",
        "Trained on a reward model, GIFT has a higher length-controlled win rate than GRPO, DAPO and GSPO.",
        WINS, "rlhf", WinRate(GIFT, BASELINES),
        "At tiny scale answers are a few invented words, and the judge is their known worth or the reward model "
        "itself, which every row was trained to please.",
    ),
    Claim(
        "gift-higher-arena-hard",
        "Trained on a reward model, GIFT has a higher Arena-Hard score than GRPO, DAPO and GSPO.",
        "arXiv 2510.23868, v4 (Arena-Hard is an evaluation that it names; that GIFT is higher is our reading)", "rlhf",
        WinRate(GIFT, BASELINES, "arena"),
        "No model that fits the tiny or small scale answers Arena-Hard's prompts above its floor.", ("paper",),
    ),
    Claim(
        "gift-less-sensitive",
        "GIFT's final accuracy depends less on the learning rate than GRPO's.",
        "arXiv 2510.23868, abstracts of v1, v2 speak of fewer hyper-parameters; a measured sensitivity is our reading",
        "sensitivity", Steadier("GIFT", "GRPO", ("lr",)),
        "The range over a handful of values: which were chosen decides as much as the algorithm. GIFT has no β that "
        "could act, so that it cannot depend on it; the study's rows of GRPO by β show what that saves.",
    ),
    Claim(
        "gift-minimiser-family",
        "The minimisers of GIFT's printed objective are exactly the policies π_ref·exp(r/β), β > 0.",
        MINIMISERS, "",
        Exact("gift@published", {
            "rests inside": True, "in the family": True, "π_ref·exp(K r) is stationary": True,
        }),
        "Exact, for one prompt and four answers of one token. Every β is a minimiser: which one a run ends at is what "
        "the optimizer leaves, and no table of runs can show the theorem itself.",
    ),
    Claim(
        "gift-minimiser-family-as-released",
        "The author's code, whose reference is the policy that sampled the rollout, has that family of minimisers too.",
        f"{MINIMISERS}; that the code shares it is the reading that we test", "",
        Exact("gift@released", {"rests inside": True, "nothing holds K": False}),
        "Exact, on the same small policies. Rows that are called `gift` are this code.",
    ),
    Claim(
        "gift-beta-drops-out",
        "Normalising within the group removes β: the objective does not depend on the scale of the log-ratios.",
        "arXiv 2510.23868, abstracts (β log Z by centring, β by the division)", "",
        Exact("gift@published", {
            "for ε → 0: L = 2 (N-1)/N (1 - corr(r, s))": True,
            "for ε → 0 the gradient is orthogonal to s - mean s": True,
        }),
        "An identity in exact arithmetic; that nothing then fixes the scale is the other side of it.",
    ),
    Claim(
        "gift-convex",
        "GIFT's objective is convex.",
        "arXiv 2510.23868, abstracts of v1 and v2; not in later ones", "",
        Exact("gift@published", {"π_ref·exp(-r), correlation -1, is stationary": False}),
        "A convex function that is not constant has no stationary maximum, and this one has one in the log-ratios. It "
        "is convex in the normalised p_i alone.",
    ),
)  # fmt: skip
