"""A small encoder fitted to real preferences is right more often than chance on a set that it never saw."""

import os

import pytest

from harness import models
from harness.rewards.pairs import find_pairs
from harness.rewards.training import train_reward
from harness.settings import RewardTraining


@pytest.fixture(scope="module")
def minilm():
    """`groupbench fetch minilm` brings it."""
    folder = models.cache_folder() / "models" / "minilm"
    if not (folder / "groupbench.json").exists():
        missing = f"{folder} is not there; run: groupbench fetch minilm"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return str(folder)


@pytest.mark.slow(seconds=200)
def test_ultrafeedback_teaches_a_small_encoder_something_about_pandalm(minilm, data_folder, tmp_path):
    folder = data_folder / "rlhf"
    settings = RewardTraining(
        minilm, str(folder / "ultrafeedback_cleaned_1k.parquet"), max_tokens=384, epochs=1, learning_rate=3e-4,
        batch_pairs=8, heldout_share=0.0,
    )  # fmt: skip
    further = {"PandaLM": find_pairs(str(folder / "pandalm_human_testset_v1.parquet"))}
    report = train_reward(settings, tmp_path / "model", "cpu", print, further=further)
    (one,) = report.measured
    assert report.fitted == 287 and one.report.pairs == 842
    assert one.report.accuracy.low > 0.53, one.report
    assert one.report.log_loss.mean < 0.72
