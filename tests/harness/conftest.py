"""What tests of the harness share: small random models, policies on them, and cells that run in a second."""

import contextlib
import io
import json
import shutil
import string
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from harness import benchmark, chains, cli, experiment, recipe
from harness.policy import Policy
from leaderboard import reading, records

BuildModel = Callable[..., Any]
CHARACTERS = string.printable
TEMPLATE = (
    "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)


def said(*arguments: object, cwd: Path | str = ".") -> tuple[int, str, str]:
    """Exit code, output and errors of a command in this process, which has paid for its imports."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        before, sys.argv = sys.argv, ["groupbench", *map(str, arguments)]
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.argv = before
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models of a few thousand weights: a second thread costs several times what it saves on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def build_model() -> BuildModel:
    """A random causal LM of a named family: large weights, so that attention and positions matter to the output."""

    def build(family: str = "llama", seed: int = 0, **overrides: Any) -> Any:
        from transformers import AutoConfig, AutoModelForCausalLM

        settings: dict[str, Any] = {
            "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
            "tie_word_embeddings": False, "initializer_range": 0.3, "pad_token_id": None, "bos_token_id": None,
            "eos_token_id": None,
        }  # fmt: skip
        config = AutoConfig.for_model(family, **(settings | overrides))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AutoModelForCausalLM.from_config(config).eval()

    return build


def _tokenizer(template: str | None, encoder: bool) -> Any:
    from tokenizers import Regex, Tokenizer, decoders
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    special = ["<end>", "<unk>", *(["<cls>", "<sep>", "<pad>"] if encoder else [])]
    backend = Tokenizer(WordLevel({symbol: n for n, symbol in enumerate([*special, *CHARACTERS])}, unk_token="<unk>"))
    backend.pre_tokenizer = Split(Regex("[\\s\\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    names: dict[str, str] = {"eos_token": "<end>"}
    if encoder:
        names = {"cls_token": "<cls>", "sep_token": "<sep>", "pad_token": "<pad>"}
    made = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", **names)
    made.chat_template = template
    return made


@pytest.fixture(scope="session")
def character_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder with a random model that reads characters; of a Bert kind, with an encoder's special tokens."""

    def make(kind: str, seed: int, template: str | None = TEMPLATE, **overrides: Any) -> Path:
        import transformers

        encoder = kind.startswith("Bert")
        common = {
            "vocab_size": len(CHARACTERS) + (5 if encoder else 2), "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 2048,
            "initializer_range": 0.3, "num_labels": 1,
        }  # fmt: skip
        own = {"num_key_value_heads": 2, "eos_token_id": 0, "bos_token_id": None, "pad_token_id": 0}
        config = (
            transformers.BertConfig(**{**common, "pad_token_id": 4, **overrides})
            if encoder
            else transformers.LlamaConfig(**{**common, **own, **overrides})
        )
        folder = tmp_path_factory.mktemp(kind)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            getattr(transformers, kind)(config).save_pretrained(folder)
        _tokenizer(template, encoder).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def chat_model(character_model: Callable[..., Path]) -> Path:
    return character_model("LlamaForCausalLM", 0)


@pytest.fixture(scope="session")
def other_model(character_model: Callable[..., Path]) -> Path:
    return character_model("LlamaForCausalLM", 1)


@pytest.fixture(scope="session")
def reward_model(character_model: Callable[..., Path]) -> Path:
    return character_model("LlamaForSequenceClassification", 2)


@pytest.fixture(scope="session")
def other_reward_model(character_model: Callable[..., Path]) -> Path:
    return character_model("LlamaForSequenceClassification", 3)


@pytest.fixture(scope="session")
def without_template() -> Callable[[Path, Path], Path]:
    """A copy of a model folder whose tokenizer has no chat template."""

    def copy(folder: Path, target: Path) -> Path:
        copied = shutil.copytree(folder, target)
        (copied / "chat_template.jinja").unlink(missing_ok=True)
        settings = json.loads((copied / "tokenizer_config.json").read_text())
        settings.pop("chat_template", None)
        (copied / "tokenizer_config.json").write_text(json.dumps(settings))
        return copied

    return copy


@pytest.fixture(scope="session")
def cpu_policy() -> Callable[..., Policy]:
    """A policy on the CPU."""

    def make(model: Any, precision: Any = "float32", temperature: float = 1.0) -> Policy:
        return Policy(model, torch.device("cpu"), precision, temperature)

    return make


class Small:
    """Cells of a second on one thread, and the same cells as they are when nothing happens to them."""

    RECIPE: ClassVar[dict[str, Any]] = {
        "name": "small",
        "task": {"name": "arithmetic", "parameters": {"level": 1}},
        "model": "tiny",
        "algorithms": ["gft"],
        "budget": {"steps": 5},
        "training": {"prompts_per_step": 4, "responses_per_prompt": 6, "updates_per_rollout": 2, "learning_rate": 1e-3},
        "sampling": {"max_tokens": 4},
        "evaluation": {"every": 2, "examples": 10, "probe": 6, "samples": 2},
        "execution": {"threads": 1, "checkpoint_seconds": 0},
    }  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Any] = {}

    def cells(self, **changes: Any) -> tuple[benchmark.Cell, ...]:
        return benchmark.plan(recipe.parse({**self.RECIPE, **changes}, "recipe"), "cpu").cells

    def cell(self, **changes: Any) -> benchmark.Cell:
        (cell,) = self.cells(**changes)
        return cell

    def run(self, cell: benchmark.Cell, folder: Path, stop: Any = None, on: Any = None) -> tuple[Any, list[Any]]:
        """Status, and everything that a watcher was told; `on` is called with each of these as well."""
        told: list[Any] = []

        def watch(_: Any, progress: Any) -> None:
            told.append(progress)
            if on is not None:
                on(progress)

        before = None if cell.after is None else self.stage(cell.after)
        return experiment.run_cell(cell, folder, cell.start, watch, stop, before), told

    def stage(self, cell: benchmark.Cell) -> chains.Before:
        """An earlier stage of chains, run once."""
        self.run(cell, self.folder / cell.id)
        return chains.Before(self.folder / cell.id)

    def command(self, folder: Path, overrides: Sequence[str] = (), **changes: Any) -> list[str]:
        """`groupbench run` of the recipe into `folder`/out."""
        path = folder / "small.yaml"
        path.write_text(json.dumps({**self.RECIPE, **changes}))
        program = Path(sys.executable).with_name("groupbench")
        return [str(program), "run", str(path), *overrides, "--out", str(folder / "out")]

    def wait_for_steps(self, results: Path, steps: int, seconds: float = 240) -> Path:
        """The first cell of a running command that has recorded so many steps; a busy machine takes a minute to it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for path in results.glob("cells/*/steps.jsonl"):
                if path.read_bytes().count(b"\n") >= steps:
                    return path.parent
            time.sleep(0.02)
        raise AssertionError(f"no cell below {results} made {steps} steps in {seconds} s")

    def timeless(self, folder: Path) -> dict[str, list[Any]]:
        """All records of a cell, without what is measured in seconds."""

        def strip(line: str) -> Any:
            record = json.loads(line)
            record.pop("seconds", None)
            record.get("counters", {}).pop("seconds", None)
            return record

        return {n: [strip(x) for x in (folder / n).read_text().splitlines()] for n in records.RECORD_FILES}

    def evaluated(self, folder: Path) -> list[Any]:
        """The verdicts of all evaluations' items, each read from where its record says that they are."""
        evaluations = records.read_lines(folder / "evals.jsonl")
        found = [item for evaluation in evaluations for item in reading.items(folder, evaluation)]
        return [(item.step, item.split, item.mode, item.id, item.correct) for item in found]

    def sessions(self, folder: Path) -> list[Any]:
        return list(records.read_json(folder / "cell.json")["provenance"]["sessions"])

    def assert_unharmed(self, folder: Path, algorithm: str | dict[str, Any]) -> None:
        """The cell is done, equal to one that nothing happened to, and nothing is left lying about."""
        cell = self.cell(algorithms=[algorithm])
        if cell.id not in self._known:
            undisturbed = self.folder / cell.id
            status, _ = self.run(cell, undisturbed)
            self._known[cell.id] = status["weights_end"], self.timeless(undisturbed)
        status = records.read_json(folder / "status.json")
        assert status["state"] == "done"
        assert (status["weights_end"], self.timeless(folder)) == self._known[cell.id]
        keys = ("step", "split", "mode", "id", "correct")
        written = [tuple(item[key] for key in keys) for item in records.read_lines(folder / "items.jsonl")]
        assert self.evaluated(folder) == written
        left = {path.name for path in folder.iterdir()} - {*records.RECORD_FILES, "weights"}
        assert left == {"cell.json", "status.json", "lock"}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("undisturbed"))
