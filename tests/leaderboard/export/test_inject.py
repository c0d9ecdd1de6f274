"""Tables between markers: the right places, nothing else touched, nothing written where one marker is wrong."""

import os

import pytest

from leaderboard.export.inject import InjectError, injected, places, read, write

TABLES = {"main": "| a |\n| --: |\n| 1 |", "cost": "| b |", "empty": ""}
README = """# Title

<!-- groupbench:begin main -->
old
<!-- groupbench:end main -->

Text with <!-- a comment -->.

<!-- groupbench:begin cost -->
<!-- groupbench:end cost -->
```markdown
<!-- groupbench:begin NAME -->
```
"""


def test_places_are_filled_and_all_else_stays(tmp_path):
    text = injected(README, TABLES, tmp_path)
    assert text == README.replace("old\n", "\n| a |\n| --: |\n| 1 |\n\n").replace(
        "begin cost -->\n", "begin cost -->\n\n| b |\n\n"
    )
    assert injected(text, TABLES, tmp_path) == text
    assert injected(text, TABLES | {"main": "new"}, tmp_path).count("new") == 1


def test_one_table_in_two_places(tmp_path):
    text = README + "<!-- groupbench:begin main -->\n<!-- groupbench:end main -->\n"
    assert injected(text, TABLES, tmp_path).count("| 1 |") == 2


def test_line_ends_stay_as_they_are(tmp_path):
    path = tmp_path / "README.md"
    path.write_bytes(README.replace("\n", "\r\n").encode())
    text = injected(read(path), TABLES, path)
    assert "\n" not in text.replace("\r\n", "") and "| 1 |\r\n" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- groupbench:begin main -->\nx\n", r"line 1: main begins and does not end"),
        ("\n<!-- groupbench:end main -->\n", r"line 2: main ends within nothing"),
        (
            "<!-- groupbench:begin main -->\n<!-- groupbench:begin cost -->\n",
            r"line 2: cost begins within main, which began in line 1",
        ),
        (
            "<!-- groupbench:begin main -->\n<!-- groupbench:end cost -->\n",
            r"line 2: cost ends within main, which began in line 1",
        ),
        ("a\n<!-- groupbench:begin mian -->\n", r"line 2: no table 'mian'; the program has cost, empty, main"),
        ("<!-- groupbench:start main -->\n", r"line 1: .*expected <!-- groupbench:begin NAME -->"),
        ("text <!-- groupbench:begin main -->\n", r"line 1: .*each on a line of its own"),
        ("# Nothing\n", r"no place for a table"),
        ("```\n<!-- groupbench:begin main -->\n<!-- groupbench:end main -->\n```\n", r"no place for a table"),
        ("<!-- groupbench:begin empty -->\n<!-- groupbench:end empty -->\n", r"line 1: table empty finds no run"),
    ],
)
def test_a_wrong_marker_is_named_by_its_line(tmp_path, text, message):
    with pytest.raises(InjectError, match=message):
        injected(text, TABLES, tmp_path / "README.md")


def test_places_by_number(tmp_path):
    assert [(place.name, place.first, place.last) for place in places(README, TABLES, tmp_path)] == [
        ("main", 3, 4), ("cost", 9, 9)
    ]  # fmt: skip


def test_writing(tmp_path):
    path, link = tmp_path / "README.md", tmp_path / "link.md"
    path.write_text("a")
    path.chmod(0o640)
    link.symlink_to(path)
    write(link, "é\r\n")
    assert path.read_bytes() == "é\r\n".encode() and link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["README.md", "link.md"]
    with pytest.raises(InjectError, match=r"none\.md: No such file"):
        read(tmp_path / "none.md")
    path.write_bytes(b"\xff")
    with pytest.raises(InjectError, match=r"README\.md: not text in UTF-8 \(byte 0\)"):
        read(path)
