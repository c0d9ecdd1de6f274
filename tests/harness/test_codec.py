"""Text to token ids and back: prompts plain and chat, demonstrations, and what a tokenizer cannot carry."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.codec import Codec, CodecError
from harness.errors import UserError
from harness.models import find, load_codec
from harness.tiny import ALPHABET
from tasks.base import Example, Message

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def tiny() -> Codec:
    return load_codec(find("tiny"))


def example(prompt: str | tuple[Message, ...]) -> Example:
    return Example("id", prompt, "")


def build_tokenizer(*, begin: bool = False, end: bool = False, template: str | None = None) -> Any:
    """A character tokenizer over a-z that may put tokens of its own around every text. <s> 0, </s> 1, <unk> 2, ..."""
    from tokenizers import Regex, Tokenizer, decoders
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    symbols = ["<s>", "</s>", "<unk>", "<user>", "<assistant>", "<system>", *"abcdefghijklmnopqrstuvwxyz "]
    backend = Tokenizer(WordLevel({symbol: i for i, symbol in enumerate(symbols)}, unk_token="<unk>"))
    backend.pre_tokenizer = Split(Regex("[\\s\\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens(["<s>", "</s>", "<user>", "<assistant>", "<system>"])
    if begin or end:
        single = f"{'<s> ' if begin else ''}$A{' </s>' if end else ''}"
        backend.post_processor = TemplateProcessing(single=single, special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.chat_template = template
    return tokenizer


def letters(text: str) -> tuple[int, ...]:
    return tuple(6 + "abcdefghijklmnopqrstuvwxyz ".index(c) for c in text)


# --- prompts ---


def test_a_plain_prompt_is_the_text_as_it_is(tiny: Codec) -> None:
    assert tiny.prompt(example("7+5=")) == (10, 13, 8, 17)
    assert tiny.prompt(example(" 7 ")) == (18, 10, 18)


@pytest.mark.parametrize("begin", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_an_end_token_that_the_tokenizer_appends_is_taken_off(begin: bool, end: bool) -> None:
    tokenizer = build_tokenizer(begin=begin, end=end)
    assert (tokenizer("ab").input_ids[-1] == 1) == end
    assert Codec(tokenizer, [1]).prompt(example("ab")) == (0,) * begin + letters("ab")
    assert Codec(tokenizer, [9, 1]).prompt(example("ab")) == (0,) * begin + letters("ab"), "any of the end tokens"
    assert Codec(tokenizer, [9, 8]).prompt(example("xyz"))[-1] == (1 if end else letters("z")[0])


def test_a_chat_prompt_goes_through_the_template_up_to_the_assistants_turn() -> None:
    codec = Codec(build_tokenizer(begin=True, end=True, template=TEMPLATE), [1])
    messages: tuple[Message, ...] = (
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hi there"},
    )
    expected = (5, *letters("be kind"), 1, 3, *letters("hi there"), 1, 4)
    assert codec.prompt(example(messages)) == expected


def test_chat_without_a_template_is_refused(tiny: Codec) -> None:
    with pytest.raises(CodecError, match=r"tokenizer has no chat template; choose an instruct model, or a plain form"):
        tiny.prompt(example(({"role": "user", "content": "7"},)))


def test_unknown_characters_are_refused_by_the_text_that_holds_them(tiny: Codec) -> None:
    with pytest.raises(CodecError, match=r"no tokens for some of '7 plus 5='"):
        tiny.prompt(example("7 plus 5="))
    with pytest.raises(CodecError, match="no tokens for some of '12,5'"):
        tiny.demonstration("12,5")
    with pytest.raises(CodecError, match="no tokens for some of ''"):
        tiny.prompt(example(""))
    chat = Codec(build_tokenizer(template=TEMPLATE), [1])
    with pytest.raises(CodecError, match="HELLO"):
        chat.prompt(example(({"role": "user", "content": "HELLO"},)))


def test_a_long_text_is_cut_in_the_message(tiny: Codec) -> None:
    with pytest.raises(CodecError) as caught:
        tiny.prompt(example("1" * 80 + "x" * 5000))
    assert "1" * 80 + "'" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_codec_error_is_the_users() -> None:
    assert issubclass(CodecError, UserError)


# --- demonstrations and ends ---


def test_a_demonstration_ends_as_a_response_would() -> None:
    plain = build_tokenizer(begin=True, end=True)
    assert Codec(plain, [1]).demonstration("ab") == (*letters("ab"), 1)
    assert Codec(plain, [4, 1]).demonstration("ab") == (*letters("ab"), 4), "the first end token"


def test_end_ids_keep_their_order_once_each() -> None:
    assert Codec(build_tokenizer(), [4, 1, 4, 1, 0]).end_ids == (4, 1, 0)


def test_a_model_without_an_end_token_is_refused() -> None:
    with pytest.raises(CodecError, match="declares no end-of-text token"):
        Codec(build_tokenizer(), [])


# --- texts ---


@given(text=st.text(ALPHABET, min_size=1, max_size=30))
def test_every_text_of_tinys_alphabet_survives(text: str) -> None:
    codec = load_codec(find("tiny"))
    assert codec.text(codec.prompt(example(text))) == text
    demonstration = codec.demonstration(text)
    assert demonstration[-1] == codec.end_ids[0] == 1
    assert codec.text(demonstration) == text
    assert demonstration[:-1] == codec.prompt(example(text))


def test_a_graders_text_has_no_special_tokens() -> None:
    codec = Codec(build_tokenizer(), [1])
    assert codec.text((0, *letters("ab"), 4, *letters("c"), 1)) == "abc"
    assert codec.text((1,)) == ""
    assert codec.text(()) == ""
