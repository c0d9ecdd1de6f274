"""A small encoder fitted to real preferences is right more often than chance on a set that it never saw."""

import os

import pytest

from harness import wheels
from harness.rewards.pairs import find_pairs
from harness.rewards.training import train_reward
from harness.settings import RewardTraining
from leaderboard.stats.preferences import LN2


@pytest.fixture(scope="module")
def minilm():
    """`groupbench fetch minilm` brings it."""
    folder = wheels.cache_folder() / "models" / "minilm"
    if not (folder / "groupbench.json").exists():
        missing = f"{folder} is not there; run: groupbench fetch minilm"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return str(folder)


@pytest.mark.slow(seconds=200)
def test_ultrafeedback_teaches_a_small_encoder_what_people_prefer_and_the_report_says_that_it_is_length(
    minilm, data_folder, tmp_path
):
    """The first column of docs/reward-models.md, with fewer pairs."""
    folder = data_folder / "rlhf"
    settings = RewardTraining(
        minilm, str(folder / "ultrafeedback_cleaned_1k.parquet"), max_tokens=320, epochs=1, learning_rate=3e-4,
        batch_pairs=8, heldout_share=0.0,
    )  # fmt: skip
    further = {"PandaLM": find_pairs(str(folder / "pandalm_human_testset_v1.parquet"))}
    (people,) = (one.report for one in train_reward(settings, tmp_path / "rm", "cpu", print, further=further).measured)
    assert people.pairs == 842 and people.clusters == 153
    assert people.accuracy.low > 0.53, people
    assert people.log_loss.mean < LN2, people
    assert people.length.given_label.low > 0 and people.length.longer.low > people.length.shorter.high, people
