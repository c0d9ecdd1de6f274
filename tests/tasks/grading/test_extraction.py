import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.grading import MAX_ANSWER_CHARS, extract_answer, last_boxed, last_hashed


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"so \boxed{18}.", "18"),
        (r"\boxed{205} … wait, \boxed{204}", "204"),
        (r"\boxed{18}. This took 3 steps.", "18"),
        (r"\boxed {18}", "18"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\text{a {b} c}}", r"\text{a {b} c}"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{1\\}", "1\\\\"),
        (r"\boxed{}", ""),
        (r"\boxed{ 18 }", "18"),
        (r"\boxed{18\ }", r"18\ "),
        ("\\boxed{18\\\\ }", "18\\\\"),
        (r"\boxed{\ 18\ }", r"\ 18\ "),
        (r"\fbox{18}", "18"),
        (r"\fbox{17} \boxed{18", None),
        ("\\boxed{\n18\n}", "18"),
        (r"\boxed{5} and then \boxed{6", None),
        (r"\boxed{5\}", None),
        (r"\boxed{5}, in a \boxed.", "5"),
        (r"\boxed 5", None),
        (r"\boxed", None),
        ("{18}", None),
        ("", None),
    ],
)
def test_last_boxed(text, content):
    assert last_boxed(text) == content


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a\n#### 18", "18"),
        ("#### 18\n", "18"),
        ("####18", "18"),
        ("#### $1,080.00", "$1,080.00"),
        ("#### 5\n#### 6", "6"),
        ("#### 18\n#### Check", "18"),
        ("#### Step 2: add", None),
        ("### 18", None),
        ("##### 18", None),
        ("####\n18", None),
        ("####", None),
        ("18", None),
    ],
)
def test_last_hashed(text, content):
    assert last_hashed(text) == content


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{5}" + "\n#### 6", "5"),
        ("#### 6\nor \\boxed{5", "6"),
        (r"\boxed{}" + "\n#### 6", None),
        (r"\boxed{5} \boxed{}", None),
        (r"\boxed{" + "9" * MAX_ANSWER_CHARS + "}", "9" * MAX_ANSWER_CHARS),
        (r"\boxed{" + "9" * (MAX_ANSWER_CHARS + 1) + "}", None),
        ("The answer is 18.", None),
    ],
)
def test_extract_answer(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "piece", [r"\boxed{", r"\boxed", "#### ", "#### 1\n", "{", "\\", "#", r"\boxed{1}", "\\boxed "]
)
def test_long_texts_take_linear_time(piece):
    started = time.perf_counter()
    extract_answer(piece * 100_000)
    assert time.perf_counter() - started < 5


PIECES = ["\\boxed{", "}", "{", "#### ", "\n", "\\", "\x00", "7", "$", "\\text{", "1e999999999"]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_never_raises(text):
    answer = extract_answer(text)
    assert answer is None or (0 < len(answer) <= MAX_ANSWER_CHARS and answer in text)


@given(st.recursive(st.text("ab1 "), lambda inner: st.lists(inner).map(lambda parts: "{" + "".join(parts) + "}")))
def test_balanced_contents_come_back_whole(content):
    assert last_boxed(f"so \\boxed{{{content}}} and more }}") == content.strip()
