"""A small encoder fitted to real preferences is right more often than chance on sets that it never saw."""

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
def test_ultrafeedback_teaches_a_small_encoder_something_of_other_preferences(minilm, data_folder, tmp_path):
    """The run of docs/reward-models.md: people's preferences by length alone, and others by more than that."""
    folder = data_folder / "rlhf"
    settings = RewardTraining(
        minilm, str(folder / "ultrafeedback_cleaned_1k.parquet"), max_tokens=384, epochs=1, learning_rate=3e-4,
        batch_pairs=8, heldout_share=0.0,
    )  # fmt: skip
    names = {"PandaLM": "pandalm_human_testset_v1", "demo": "llamafactory_dpo_en_demo"}
    further = {name: find_pairs(str(folder / f"{file}.parquet")) for name, file in names.items()}
    report = train_reward(settings, tmp_path / "model", "cpu", print, further=further)
    people, other = (one.report for one in report.measured)
    assert (report.fitted, people.pairs, other.pairs) == (287, 842, 115)
    assert people.accuracy.low > 0.53, people
    assert people.log_loss.mean < 0.693
    assert people.length.given_label.low > 0, people  # a length bias, which the report finds out
    assert other.length.gain.low > 0, other  # and yet more than length
