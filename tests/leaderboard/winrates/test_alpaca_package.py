"""alpaca_eval's own function beside ours."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

from leaderboard.records import LeaderboardError
from leaderboard.winrates import alpaca, alpaca_package, length_control

BENCHMARK = "alpaca_published"


@pytest.fixture(scope="module")
def models(benchmark_script, data_folder, side):
    return {model.name: model for model in benchmark_script.models(data_folder, side)}


@pytest.mark.parametrize("name", ["claude-2.1", "NullModel", "vicuna-7b-v1.5"])
def test_it_says_what_was_published_and_what_we_say(models, side, name):
    model = models[name]
    found, ours = alpaca_package.official(model.rows, side), length_control.fit(model.rows, side)
    assert found.length_controlled == pytest.approx(model.length_controlled, abs=5e-5)
    assert found.length_controlled == pytest.approx(ours.win_rate, abs=1e-4)
    assert found.strength == pytest.approx(ours.strength)
    raw = alpaca.win_rate(model.rows.share)
    assert (found.win_rate, found.standard_error) == pytest.approx((raw.win_rate, raw.standard_error), abs=1e-9)
    assert found.discrete == pytest.approx(raw.discrete) and found.n == raw.n


def test_it_takes_every_instruction_in_its_order(models, side):
    rows = models["claude-2.1"].rows
    fewer = replace(rows, **{name: getattr(rows, name)[1:] for name in ("share", "delta", "difficulty", "index")})
    with pytest.raises(LeaderboardError, match="takes all 805 instructions in their order, not 804"):
        alpaca_package.official(fewer, side)
    # Rows whose index is only where they stand.
    mixed = replace(rows, difficulty=np.concatenate([rows.difficulty[[1, 0]], rows.difficulty[2:]]))
    with pytest.raises(LeaderboardError, match="2 of 805 are not in the instructions' order, the first at row 0"):
        alpaca_package.official(mixed, side)


def test_it_leaves_nothing_behind(models, side, monkeypatch):
    sklearn = pytest.importorskip("sklearn")
    glm = importlib.import_module("alpaca_eval.metrics.glm_winrate")

    def no_network(*_, **__):
        raise AssertionError("asked the Hub")

    monkeypatch.setattr(glm, "hf_hub_download", no_network)
    before = sklearn.get_config()["enable_metadata_routing"]
    with np.errstate(all="ignore"):
        alpaca_package.official(models["gemma-7b-it"].rows, side)
    assert glm.hf_hub_download is no_network
    assert sklearn.get_config()["enable_metadata_routing"] == before


@pytest.mark.slow
def test_ours_is_the_official_number_for_every_model(benchmark_script, models, side):
    """And within 0.05 pp of the published one wherever the official function comes out there."""
    reproduced = 0
    for model in models.values():
        if model.name == benchmark_script.BASELINE or model.by_position is not None:
            continue
        found = benchmark_script.compare(model, side, official=True)
        assert abs(found.fit.win_rate - found.official) < 0.0005, model.name
        if found.reproduced:
            reproduced += 1
            assert abs(found.off) < 0.0005, model.name
    assert reproduced == 30
