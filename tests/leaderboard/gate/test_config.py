from __future__ import annotations

import pytest

from leaderboard.gate import ConfigError, load, parse

GOOD = {"task": "gsm8k", "metric": "accuracy"}


def test_defaults():
    metrics = [
        {"task": t, "metric": "accuracy"} for t in ("gsm8k", "gsm8k@greedy", "math500", "aime24", "AIME-2025", "x")
    ]
    config = parse({"metrics": [*metrics, {"task": "gsm8k", "metric": "response_tokens"}]}, "it")
    assert [metric.delta for metric in config.metrics] == [0.02, 0.02, 0.03, 0.06, 0.06, 0.03, 0.10]
    assert [metric.gated for metric in config.metrics] == [True, True, True, False, False, True, True]
    assert [metric.sign for metric in config.metrics] == [1, 1, 1, 1, 1, 1, -1]
    own = parse(
        {"metrics": [GOOD | {"direction": "higher"}, GOOD | {"metric": "format_gap", "direction": "lower"}]}, "it"
    )
    assert [metric.sign for metric in own.metrics] == [1, -1]
    assert (config.alpha, config.limits.length, config.limits.truncated, config.limits.unanswered) == (
        0.05,
        0.25,
        0.05,
        0.02,
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "found list, expected keys such as metrics"),
        (None, "found NoneType"),
        ({}, "metrics: Field required"),
        ({"metrics": []}, "metrics is empty"),
        ({"metrics": [GOOD], "aplha": 0.1}, "unknown key 'aplha'; did you mean 'alpha'?"),
        ({"metrics": [GOOD | {"margn": 0.1}]}, "unknown key 'metrics.0.margn'; did you mean 'margin'?"),
        ({"metrics": [GOOD], "limits": {"truncatd": 0.1}}, "did you mean 'truncated'?"),
        ({"metrics": [GOOD | {"metric": "acuracy"}]}, "unknown metric; did you mean 'accuracy'?"),
        ({"metrics": [GOOD | {"metric": "pass@0"}]}, "unknown metric"),
        ({"metrics": [{"metric": "accuracy"}]}, "metrics.0.task: Field required"),
        ({"metrics": [GOOD | {"margin": 2}]}, "margin = 2.0; must be above 0 and below 1"),
        ({"metrics": [GOOD | {"margin": 0}]}, "margin = 0.0"),
        ({"metrics": [GOOD | {"margin": "2 pp"}]}, "metrics.0.margin: Input should be a valid number; found '2 pp'"),
        ({"metrics": [GOOD | {"direction": "up"}]}, "Input should be 'higher' or 'lower'; found 'up'"),
        (
            {"metrics": [GOOD | {"direction": "lower"}]},
            "direction = 'lower'; of accuracy, higher is better: leave it out",
        ),
        ({"metrics": [GOOD | {"metric": "pass^4", "direction": "lower"}]}, "of pass^4, higher is better"),
        ({"metrics": [GOOD | {"metric": "response_tokens", "direction": "higher"}]}, "lower is better"),
        ({"metrics": [GOOD | {"min": 60}]}, "min = 60.0; must be a share"),
        (
            {"metrics": [GOOD | {"metric": "response_tokens", "min": 0.5}]},
            "a floor is for metrics where more is better",
        ),
        ({"metrics": [GOOD | {"k": 0}]}, "k = 0; must be 1 or more"),
        ({"metrics": [GOOD | {"metric": "pass@8", "k": 4}]}, "k = 4; must be 8 or more"),
        ({"metrics": [GOOD | {"k": 4, "max_k": 4}]}, "max_k = 4; must be more than k"),
        ({"metrics": [GOOD | {"max_k": 4}]}, "max_k = 4 needs k"),
        ({"metrics": [GOOD | {"rtol": 0.05, "margin": 0.1}]}, "rtol knows neither margin nor max_k"),
        ({"metrics": [GOOD | {"rtol": -1}]}, "rtol = -1.0"),
        ({"metrics": [GOOD | {"required": "yes"}]}, "Input should be a valid boolean"),
        ({"metrics": [GOOD, GOOD]}, "metrics holds 'gsm8k: accuracy' 2 times"),
        ({"metrics": [GOOD], "alpha": 0.6}, "alpha = 0.6"),
        ({"metrics": [GOOD], "discordance": 0}, "discordance = 0.0"),
        ({"metrics": [GOOD], "limits": {"coverage": 1.1}}, "limits.coverage = 1.1; must be a share in [0, 1]"),
        ({"metrics": [GOOD], "limits": {"length": -1}}, "limits.length = -1.0"),
    ],
)
def test_mistakes(content, said):
    with pytest.raises(ConfigError) as error:
        parse(content, "gate config it.yaml")
    assert str(error.value).startswith("gate config it.yaml: ") and said in str(error.value)


def test_files(tmp_path):
    path = tmp_path / "gate.yaml"
    with pytest.raises(ConfigError, match=r"gate\.yaml: No such file"):
        load(path)
    path.write_text("metrics: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(path)
    path.write_bytes(b"metrics: \xff")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        load(path)
    path.write_text("metrics:\n  - {task: gsm8k, metric: pass@4, k: 8}\nlimits: {length: null}\n")
    config = load(path)
    assert config.metrics[0].least == 4 and config.limits.length is None
