import pandas as pd
import pytest

from tasks.judges import prompts
from tasks.judges.base import JudgeError
from tasks.judges.games import Game, Pair
from tasks.judges.prompts import OURS, JudgePrompt


def test_ours_are_filled_in_one_pass():
    pair = Pair("1", "What of {first}?", "{second} {instruction}", "plain")
    for prompt in OURS.values():
        text = prompt.messages(Game(pair, True))[-1]["content"]
        assert text.count("{second} {instruction}") == 1 and text.index("{second}") < text.index("plain")
        swapped = prompt.messages(Game(pair, False))[-1]["content"]
        assert swapped.index("plain") < swapped.index("{second}") and "What of {first}?" in swapped
    assert OURS["labels-1"].sha != OURS["verdict-1"].sha


def test_alpaca_evals_prompt_is_the_installed_packages(data_folder):
    installed, stored = prompts.alpaca_eval(), prompts.alpaca_eval(data_folder / "alpaca_eval")
    assert installed == stored and installed.labels == ("m", "M") and installed.needs_logprobs
    assert (installed.decode.max_tokens, installed.decode.logprobs, installed.decode.temperature) == (1, 5, 1.0)


@pytest.mark.slow  # importing alpaca_eval
def test_alpaca_evals_chat_is_what_the_package_sends(data_folder):
    from alpaca_eval.utils import prompt_to_chatml

    prompt = prompts.alpaca_eval()
    pair = Pair("1", 'Quote "this" and {that}.', "the candidate's", "the baseline's\n")
    path = next((data_folder / "alpaca_eval" / "judge").glob("*alpaca_eval_clf.txt"))
    filled = path.read_text()
    for place, text in (("instruction", pair.instruction), ("output_1", pair.baseline), ("output_2", pair.candidate)):
        filled = filled.replace(f"{{{place}}}", text)
    theirs = [(turn["role"], turn["content"]) for turn in prompt_to_chatml(filled)]
    assert [(turn["role"], turn["content"]) for turn in prompt.messages(Game(pair, False))] == theirs


def test_arena_hards_chat_is_what_its_judges_were_shown(data_folder):
    folder = data_folder / "arena_hard"
    prompt = prompts.arena_hard(folder)["arena-hard-v0.1"]
    assert prompt.parser == "upstream-v0.1" and prompt.decode.max_tokens == 4096 and "[[A>>B]]" in prompt.system
    asked = pd.read_parquet(folder / "v0.1_questions.parquet").set_index("uid").prompt
    answers = pd.read_parquet(folder / "v0.1_answers_official_models.parquet")
    baseline = answers[answers.model == "gpt-4-0314"].set_index("uid").answer
    rows = pd.read_parquet(folder / "v0.1_raw_judgments_partial.parquet")
    rows = rows[rows.model == "Meta-Llama-3.1-8B-Instruct"]
    equal = 0
    for row in rows[rows.game == 0].itertuples():
        head, tail = "<|The Start of Assistant B's Answer|>\n", "\n<|The End of Assistant B's Answer|>"
        pair = Pair(row.uid, asked[row.uid], row.user_prompt.split(head)[1].removesuffix(tail), baseline[row.uid])
        equal += prompt.messages(Game(pair, False))[-1]["content"] == row.user_prompt
    assert equal == len(rows) / 2 == 82


def test_arena_hard_v2_has_a_prompt_a_category(data_folder):
    found = prompts.arena_hard(data_folder / "arena_hard", "v2.0", policy="ours")
    assert set(found) == {"hard_prompt", "coding", "math", "creative_writing"}
    assert found["hard_prompt"].sha == found["coding"].sha != found["creative_writing"].sha
    assert found["math"].parser == "ours" and found["math"].decode.max_tokens == 16000


def test_what_is_wrong_with_a_prompt_is_named(tmp_path):
    with pytest.raises(JudgeError, match="places instruction, first; expected"):
        JudgePrompt("mine", "", "{instruction} {first}", "ours")
    with pytest.raises(JudgeError, match="parser 'theirs'; allowed: alpaca_eval, labels"):
        JudgePrompt("mine", "", "{instruction}{first}{second}", "theirs")
    with pytest.raises(JudgeError, match=r"there is no such folder; expected one judge_settings.json"):
        prompts.arena_hard(tmp_path / "nowhere")
    with pytest.raises(JudgeError, match=r"version 'v3'; allowed: v0.1, v2.0"):
        prompts.arena_hard(tmp_path, "v3")
    (tmp_path / "alpaca_eval_clf.txt").write_text("<|im_start|>user\n{instruction}<|im_end|>")
    with pytest.raises(JudgeError, match=r"alpaca_eval_clf.txt: turns \['user'\]; expected ChatML"):
        prompts.alpaca_eval(tmp_path)
    (tmp_path / "judge_settings.json").write_text('{"arena-hard-v0.1": {"baseline": "x"}}')
    (tmp_path / "arena-hard-v0.1.yaml").write_text("prompt_template: '{QUESTION} {ANSWER_A} {ANSWER_B}'")
    with pytest.raises(JudgeError, match=r"judge_settings.json: system_prompt is NoneType; expected text"):
        prompts.arena_hard(tmp_path)
    (tmp_path / "judge_settings.json").write_text("{")
    with pytest.raises(JudgeError, match=r"judge_settings.json or arena-hard-v0.1.yaml cannot be read"):
        prompts.arena_hard(tmp_path)
