import pytest

from leaderboard import programs
from leaderboard.columns import COLUMNS
from leaderboard.columns.across import ACROSS
from leaderboard.export.delimited import PARTS
from leaderboard.programs import Choice, ProgramError, RowChoice
from leaderboard.records import LeaderboardError

TABLE = '[[table]]\nname = "t"\ncolumns = ["rank", "algorithm"]\n'


def load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return programs.load(path)


@pytest.mark.parametrize("name", programs.BUILT_IN)
def test_built_in_programs_are_sound(name):
    assert programs.load(name).name == name


def test_every_key(tmp_path):
    program = load(
        tmp_path,
        """
        [[table]]
        name = "main"
        title = "Mine"
        columns = ["rank", {column = "sampled_final", heading = "GSM8K"}, "mismatch"]
        optional = ["mismatch"]
        rows = ["gift*", "grpo@no-kl"]
        where = {task = "gsm8k", model = "*", benchmark = "b?", min_seeds = 2, controls = false}
        order = "-time_to_target"
        metric = "greedy"
        axis = "generated_tokens"
        reference = "grpo@no-kl"
        target_accuracy = 1

        [[table]]
        name = "second"
        columns = [{column = "sampled_final", task = "*"}, "algoperf"]
        across = true
        target_gain = 0.5
        """,
    )
    first, second = program.tables
    assert program.name == "mine"
    assert first.columns[:2] == (Choice("rank"), Choice("sampled_final", heading="GSM8K"))
    assert first.rows == (RowChoice("gift*"), RowChoice("grpo@no-kl")) and first.optional == ("mismatch",)
    assert (first.where.min_seeds, first.where.controls, first.where.benchmark) == (2, False, "b?")
    view = first.view
    assert (view.metric, view.axis, view.reference) == ("greedy", "generated_tokens", "grpo@no-kl")
    assert (view.target_accuracy, second.view.target_accuracy, second.view.target_gain) == (1.0, None, 0.5)
    assert [table.axis for table in program.on_axis("flops").tables] == ["flops"] * 2 and first.axis != "flops"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no [[table]]; expected at least one"),
        ("# nothing", "holds no [[table]]"),
        ("columns", "not valid TOML"),
        ('[table]\nname = "t"', "write [[table]], in two brackets"),
        ("table = 3", "holds no [[table]]"),
        ("table = [1]", "table 1: Input should be a table; found 1"),
        ("tabel = []", "unknown key 'tabel'; did you mean 'table'"),
        (b"\xff\xfe[[table]]", "not text in UTF-8 (byte 0"),
        (TABLE + 'colums = ["a"]', "table 1 (t): unknown key 'colums'; did you mean 'columns'"),
        (TABLE + 'title = 3', "title: Input should be a valid string; found 3"),
        (TABLE + 'rows = "gift"', "rows: Input should be a valid array; found 'gift'"),
        (TABLE + "rows = [1]", "rows.0: Input should be a table; found 1"),
        (TABLE + 'rows = [{label = "GIFT"}]', "rows.0.row: Field required"),
        (TABLE + 'rows = [{row = "gift", lable = "GIFT"}]', "unknown key 'rows.0.lable'; did you mean 'label'?"),
        (TABLE + 'family = "some"', "family: Input should be 'all' or 'shown'; found 'some'"),
        (TABLE + 'across = "yes"', "across: Input should be a valid boolean"),
        (TABLE + 'target_gain = "0.5"', "target_gain: Input should be a valid number"),
        (TABLE + "target_gain = true", "target_gain: Input should be a valid number; found True"),
        (TABLE + "target_gain = nan", "target_gain = nan; must be above 0, at most 1"),
        (TABLE + "target_gain = inf", "target_gain = inf; must be above 0, at most 1"),
        (TABLE + "target_gain = 0", "target_gain = 0.0; must be above 0"),
        (TABLE + "target_accuracy = 60.5", "target_accuracy = 60.5; must be above 0, at most 1"),
        (TABLE + "target_accuracy = 0.6\ntarget_gain = 0.9", "both target_gain and target_accuracy"),
        (TABLE + "where = {min_seeds = -1}", "where.min_seeds = -1; must be 0 or more"),
        (TABLE + "where = {min_seeds = 1.5}", "where.min_seeds: Input should be a valid integer; found 1.5"),
        (TABLE + 'where = {tsk = "a"}', "unknown key 'where.tsk'; did you mean 'task'"),
        (TABLE + "where = 3", "where: Input should be a table"),
        (TABLE + 'metric = "best"', "metric: Input should be 'sampled' or 'greedy'; found 'best'"),
        (TABLE + 'axis = "hours"', "found 'hours'"),
        (TABLE + "axis = 2020-01-01", "found '2020-01-01'"),
        (TABLE + 'order = "sampled_finl"', "order = 'sampled_finl'; did you mean 'sampled_final'?"),
        (TABLE + 'order = "-rows"', "order = '-rows'; did you mean 'rows'?"),
        (TABLE + 'order = "seeds"', "order = 'seeds'; it holds no numbers"),
        (TABLE + 'order = "sampled_macro_gain"', "order = 'sampled_macro_gain'"),
        (TABLE + 'optional = ["seeds"]', "optional column 'seeds' is none of its columns"),
        (TABLE + "across = true", "unknown column 'rank'; it stands in a table of one task: name its `task`"),
        (TABLE + TABLE, "2 tables have the name 't'"),
        (TABLE.replace('"rank"', '"rnak"'), "unknown column 'rnak'; did you mean 'rank'?"),
        (TABLE.replace('"rank"', '"zzz"'), f"unknown column 'zzz'; docs/tables.md lists all {len(COLUMNS)}"),
        (TABLE.replace('"rank"', '"algoperf"'), "unknown column 'algoperf'; it stands in a table across tasks"),
        (TABLE.replace('"rank"', '"algorithm"'), "column 'algorithm' is there 2 times"),
        (TABLE.replace('"rank"', "5"), "columns.0: Input should be a table; found 5"),
        (TABLE.replace('"rank"', '{colum = "rank"}'), "unknown key 'columns.0.colum'; did you mean 'column'"),
        (TABLE.replace('"rank"', '{heading = "x"}'), "columns.0.column: Field required"),
        (TABLE.replace('"rank"', '{column = "rank", task = "a"}'), "that is for a table with across = true"),
        (TABLE.replace('["rank", "algorithm"]', '"rank"'), "columns: Input should be a valid array; found 'rank'"),
        (TABLE.replace('["rank", "algorithm"]', "[]"), "columns is empty; must be at least one column"),
        (TABLE.replace('["rank", "algorithm"]', '[]\noptional = ["rank"]'), "columns is empty; must be"),
        (TABLE.replace('"t"', '""'), "name = ''; must be a word"),
        (TABLE.replace('"t"', '"../t"'), "must be a word"),
        ("[[table]]\ncolumns = ['rank']", "table 1: name: Field required"),
    ],
)  # fmt: skip
def test_a_program_that_cannot_be_run_says_why(tmp_path, text, said):
    with pytest.raises(ProgramError) as error:
        load(tmp_path, text)
    message = str(error.value)
    assert said in message and message.startswith(f"table program {tmp_path / 'mine.toml'}: ")
    assert "\n" not in message and len(message) < 400 + len(str(tmp_path)) and isinstance(error.value, LeaderboardError)


def test_files_that_are_none(tmp_path):
    for path, said in (
        (tmp_path / "none.toml", "No such file or directory"),
        (tmp_path, "Is a directory; a TOML file, or one of leaderboard, terminal"),
        ("leaderbord", "a TOML file, or one of leaderboard, terminal"),
    ):
        with pytest.raises(ProgramError, match=said):
            programs.load(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    assert load(tmp_path, b"\xef\xbb\xbf" + TABLE.encode()).tables[0].name == "t"


def test_columns_have_names_that_csv_can_add_to():
    """`x_low` must be the interval of x, and no column of its own."""
    for register in (COLUMNS, ACROSS):
        assert not {f"{name}_{part}" for name in register for part in PARTS} & register.keys()
        assert not {"rows", *(f"-{name}" for name in register)} & register.keys()
        assert all(name == column.name and name.isidentifier() for name, column in register.items())
