"""The two judges that the harness hands a model to."""

import math
from dataclasses import dataclass, field

import pytest

from tasks.engines import Scored, TextEngine
from tasks.judges.asking import compare, estimate
from tasks.judges.base import JudgeError
from tasks.judges.cache import Cache
from tasks.judges.engine import PART, EngineJudge
from tasks.judges.games import Pair
from tasks.judges.reward_model import RewardModelJudge


@dataclass
class Engine:
    """Likes the shorter text; `tokenless` labels are no single token of its tokenizer."""

    model: str = "tiny"
    revision: str = "abc"
    backend: str = "transformers float32"
    tokenless: tuple = ()
    calls: list = field(default_factory=list)

    def label_logprobs(self, chats, labels):
        for label in labels:
            if label in self.tokenless:
                raise JudgeError(f"{self.model}: label {label!r} is 2 tokens; expected one")
        self.calls.append(len(chats))
        found = []
        for chat in chats:
            text = chat[-1]["content"]
            first, second = (text.split(f"<answer_{x}>\n")[1].split(f"\n</answer_{x}>")[0] for x in "ab")
            logit = float(len(second) - len(first)) if first != "nan" else math.nan
            found.append(([-1.0, -1.0 - logit], len(text)))
        return found


@dataclass
class Scorer:
    model: str = "rm"
    revision: str = "def"
    backend: str = "transformers float32"
    scored: list = field(default_factory=list)

    def score(self, chats):
        texts = [chat[-1]["content"] for chat in chats]
        self.scored += [(chat[0]["content"], text) for chat, text in zip(chats, texts, strict=True)]
        return [Scored(float(text) if text[:1] in "0123456789-ni" else float(len(text)), 7) for text in texts]


def test_an_engine_gives_the_labels_share(labels, tmp_path):
    engine = Engine()
    engine_type: TextEngine = engine  # it is what the harness promises
    judge = EngineJudge(engine_type, labels)
    pairs = [Pair(f"p{n}", f"Q{n}", "abc", "abcd" + "x" * (n % 3)) for n in range(100)]
    with Cache(tmp_path) as cache:
        judged = compare(judge, pairs, cache)
        one = judged.pairs[0].games
        assert one[0].score == pytest.approx(1 / (1 + math.exp(-1))) == pytest.approx(one[1].score)
        assert (one[0].label, one[1].label) == ("A", "B") and one[0].mass == pytest.approx(math.exp(-1) + math.exp(-2))
        assert engine.calls == [1, PART, PART, PART, 200 - 3 * PART]  # one to see whether the labels are tokens
        assert judged.usd == 0.0 and judged.usage.prompt_tokens > 0 and judged.usage.seconds > 0
        assert compare(judge, pairs, cache).pairs == judged.pairs and len(engine.calls) == 5
        other = Engine(backend="vllm bfloat16")
        assert compare(EngineJudge(other, labels), pairs, cache).usage.calls == 200  # its numbers are others
    assert judged.identity.decode.max_tokens == 1 and judged.identity.model == "tiny"


def test_a_label_that_is_no_token_is_said_before_anything_is_asked(labels, verdict):
    engine = Engine(tokenless=("B",))
    with pytest.raises(JudgeError, match="label 'B' is 2 tokens; expected one"):
        compare(EngineJudge(engine, labels), [Pair("p", "Q", "a", "b")], None)
    assert engine.calls == []
    with pytest.raises(JudgeError, match="prompt 'verdict-1' has no two labels to read"):
        EngineJudge(engine, verdict)


def test_an_engine_that_gives_no_number_is_unreadable_and_not_asked_again(labels):
    engine = Engine()
    judged = compare(EngineJudge(engine, labels), [Pair("p", "Q", "nan", "b")], None)
    assert judged.games[0].status == "invalid" and engine.calls == [1, 2]


def test_a_reward_model_scores_each_answer_once():
    scorer = Scorer()
    pairs = [Pair("a", "Q", "1.5", "0.5"), Pair("b", "Q", "0.5", "0.5000000001"), Pair("c", "Q", "-900", "1.5")]
    judged = compare(RewardModelJudge(scorer), pairs, None)
    win, tie, loss = (pair.games[0] for pair in judged.pairs)
    assert win.score == pytest.approx(1 / (1 + math.exp(-1))) and win.label == "A>B"
    assert tie.score == 0.5 and tie.label == "A=B" and loss.score == 0.0
    assert all(len(pair.games) == 1 and pair.games[0].candidate_first for pair in judged.pairs)
    assert len(scorer.scored) == len(set(scorer.scored)) == 4 and judged.usage.prompt_tokens == 4 * 7
    colder = compare(RewardModelJudge(scorer, temperature=0.5), pairs[:1], None)
    assert colder.games[0].score == pytest.approx(1 / (1 + math.exp(-2)))
    assert colder.identity != judged.identity


def test_a_reward_models_mistakes_are_no_verdicts():
    judged = compare(RewardModelJudge(Scorer()), [Pair("a", "Q", "nan", "0.5"), Pair("b", "Q", "inf", "inf ")], None)
    assert {game.status for game in judged.games} == {"invalid"}
    with pytest.raises(JudgeError, match=r"temperature 0.0; expected a number above 0"):
        RewardModelJudge(Scorer(), 0.0)


def test_scores_are_kept_over_parts():
    scorer = Scorer()
    pairs = [Pair(f"p{n}", "Q", f"{n + 1}.0", "0.0") for n in range(3 * PART)]
    judged = compare(RewardModelJudge(scorer), pairs, None)
    assert len(scorer.scored) == 3 * PART + 1 and judged.games[-1].score == pytest.approx(1.0)
    assert estimate(RewardModelJudge(scorer), pairs, None).most_usd == 0.0
