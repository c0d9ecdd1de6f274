"""Spaces and the points of them that are tried."""

from __future__ import annotations

import pytest

from harness.errors import UserError
from harness.space import dimensions, latin_hypercube, points

FIELDS = ["training.learning_rate", "clip_low", "clip_high", "epsilon", "tau"]
RATE = {"training.learning_rate": {"low": 1e-4, "high": 1e-2}}


def tried(space, trials):
    return points(dimensions(space, FIELDS, "here"), trials, "here")


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9])
def test_every_stratum_of_every_dimension_holds_one_point(size):
    design = latin_hypercube(size, ["a", "b", "c"])
    for column in zip(*design, strict=True):
        assert sorted(column) == [(i + 0.5) / size for i in range(size)]
    assert [point[0] for point in design] == sorted(point[0] for point in design)


@pytest.mark.parametrize("name", ["epsilon", "tau", "clip_low, clip_high"])
@pytest.mark.parametrize("size", [3, 4, 5, 6, 9])
def test_no_two_dimensions_move_in_step(size, name):
    second = [point[1] for point in latin_hypercube(size, ["training.learning_rate", name])]
    assert second not in (sorted(second), sorted(second, reverse=True))


def test_points_are_pinned():
    """A pure function of size and names: a change here makes every search on disk another one."""
    space = RATE | {"epsilon": {"low": 1e-6, "high": 1.0}}
    assert tried(space, 3) == [
        {"training.learning_rate": 0.000215, "epsilon": 1e-05},
        {"training.learning_rate": 0.001, "epsilon": 0.1},
        {"training.learning_rate": 0.00464, "epsilon": 0.001},
    ]  # no two dimensions in step


def test_algorithms_that_share_a_dimension_try_the_same_values_in_it():
    spaces = [RATE, RATE | {"tau": {"low": 0, "high": 1, "scale": "linear"}}, RATE | {"epsilon": [1, 2, 3]}]
    rates = [[setting["training.learning_rate"] for setting in tried(space, 7)] for space in spaces]
    assert rates[0] == rates[1] == rates[2] and len(set(rates[0])) == 7


def test_ranges():
    assert tried({"epsilon": {"low": "1e-6", "high": 1}}, 1) == [{"epsilon": 0.001}]  # YAML reads 1e-6 as text
    assert [s["tau"] for s in tried({"tau": {"low": 0, "high": 1, "scale": "linear"}}, 2)] == [0.25, 0.75]
    for value in (s["tau"] for s in tried({"tau": {"low": 0.1239, "high": 0.1249}}, 2)):
        assert 0.1239 <= value <= 0.1249


def test_fields_that_move_together():
    settings = tried({"clip_low, clip_high": [[0.1, 0.2], [0.3, 0.4]]}, 2)
    assert settings == [{"clip_low": 0.1, "clip_high": 0.2}, {"clip_low": 0.3, "clip_high": 0.4}]


@pytest.mark.parametrize("trials", [1, 2, 3, 4, 5, 6])
def test_settings_are_distinct_as_long_as_there_are_enough(trials):
    settings = tried({"epsilon": [1, 2], "tau": [0.1, 0.2, 0.3]}, trials)
    assert len(settings) == len({tuple(setting.values()) for setting in settings}) == trials


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"epsilon": [1, 2], "tau": [0.1]}, "only 2 distinct settings for tune.trials = 3"),
        ({"epsilon": {"low": 1.0, "high": 1.0001}}, "only 1 distinct settings"),
        ({"epsilom": [1]}, "unknown field 'epsilom'; did you mean 'epsilon'"),
        ({"training.learning_rat": [1]}, "did you mean 'training.learning_rate'"),
        ({"epsilon": {"low": 2, "high": 1}}, "low = 2.0, high = 1.0: low must be below high"),
        ({"epsilon": {"low": 1}}, "here: 'epsilon': high: Field required"),
        ({"epsilon": {"low": 1, "high": 2, "scal": "log"}}, "unknown key 'scal'; did you mean 'scale'"),
        ({"epsilon": {"low": 0, "high": 1}}, "logarithmic range lies above 0"),
        ({"epsilon": 3}, "found 3; expected a list, or a range"),
        ({"epsilon": []}, r"found \[\]; expected a list"),
        ({"epsilon": [1, 1]}, "1 is listed twice"),
        ({"clip_low, clip_high": [[0.1]]}, r"found \[0.1\]; expected a list of 2 values"),
        ({"clip_low, clip_high": {"low": 0.1, "high": 0.2}}, "expected a list with a value for each field"),
        ({"clip_low, clip_high": [[0.1, 0.2]], "clip_low": [0.1]}, "clip_low is searched twice"),
    ],
)
def test_mistakes_are_named(space, said):
    with pytest.raises(UserError, match=said):
        tried(space, 3)
