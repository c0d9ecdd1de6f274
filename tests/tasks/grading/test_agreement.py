import pytest

BENCHMARK = "grader_agreement"
# (outputs, scorer): responses that it scores, and the least agreement with our (strict, lenient) verdict
LEAST = {
    ("GSM8K, OpenAI 6B and 175B", "label"): (5276, 3275, 5276),
    ("GSM8K, OpenAI 6B and 175B", "flexible-extract"): (5276, 3275, 5276),
    ("GSM8K, OpenAI 6B and 175B", "strict-match"): (5276, 5276, 3275),
    ("GSM8K, R1-Distill-Qwen-7B", "label"): (3957, 3747, 3781),
    ("GSM8K, R1-Distill-Qwen-7B", "flexible-extract"): (3957, 3556, 3582),
    ("GSM8K train, GPT-3.5", "label"): (622, 529, 622),
    ("GSM8K train, GPT-3.5", "strict-match"): (622, 619, 526),
    ("MATH, Qwen2.5-Math", "label"): (800, 799, 799),
    ("MATH, Qwen2.5-Math", "flexible-extract"): (616, 612, 612),
    ("MATH train, Qwen3-8B-Base", "flexible-extract"): (1424, 1355, 1371),
    ("Polaris, Qwen3-8B-Base", "flexible-extract"): (1168, 1141, 1143),
}


@pytest.mark.slow
def test_agreement_with_lm_eval_and_with_published_labels(benchmark_script, data_folder):
    scored = benchmark_script.score(data_folder)
    for (name, other), (responses, strict, lenient) in LEAST.items():
        found = benchmark_script.agreement(scored[name], other)
        assert found[0] == responses, name
        assert found[2] >= strict and found[3] >= lenient, (name, other, found)
    assert not any(row.verdict.timed_out for rows in scored.values() for row in rows)
    assert all(row.verdict.lenient for rows in scored.values() for row in rows if row.verdict.strict)
