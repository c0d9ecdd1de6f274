"""What of a plug-in's code is part of a cell's identity: its file, and what that imports of its author's."""

from __future__ import annotations

import hashlib
import importlib
import sys

import pytest

from harness import plugins
from harness.sources import source_hash

PLUGIN = """
from dataclasses import dataclass
import numpy, yaml
from algorithms import Algorithm, Loss, register

{}

@register("sourced")
@dataclass(frozen=True)
class Sourced(Algorithm):
    def loss(self, signals, batch):
        from late import never_run
        return Loss(-(batch.token_advantage * signals.logp).sum() / batch.totals.tokens)
"""
OWN = {"helper", "deeper", "kit", "late", "other"}
BY_PATH = """
import importlib.util
_spec = importlib.util.spec_from_file_location("helper", __file__.replace("sourced", "helper"))
_helper = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_helper)
"""
HELPERS = {"helper.py": "import deeper\nsign = 1\n", "deeper.py": "scale = 1\n", "other.py": "x = 1\n"}


@pytest.fixture
def hashed(monkeypatch, tmp_path):
    """The hash of a plug-in that imports so, with these files beside it, as if in a process of its own."""

    def make(imports="", files=HELPERS, folder="here", first=()):
        place = tmp_path / folder
        plugin = place / "sourced.py"
        for name, text in {**files, "sourced.py": PLUGIN.format(imports)}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        with monkeypatch.context() as patched:
            patched.syspath_prepend(place)
            for known in [name for name in sys.modules if name.partition(".")[0] in OWN]:
                patched.delitem(sys.modules, known)
            for name in first:
                __import__(name)
            plugins.load_file(plugin)
            return source_hash(plugins.build_algorithm("sourced", {}, "here")[0])

    yield make
    for known in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[known]


def test_a_file_that_imports_nothing_of_its_authors_is_hashed_alone(hashed):
    """Its cells keep their ids, whatever lies beside it or was loaded by others."""
    alone = hashlib.sha256(PLUGIN.format("").encode()).hexdigest()[:16]
    assert hashed() == alone == hashed(first=["helper", "other"])
    assert hashed("# another baseline") != alone


@pytest.mark.parametrize(
    "imports", ["import helper", "from helper import sign", "from helper import *", "import helper as h", BY_PATH]
)
def test_what_is_imported_counts_however_it_is(hashed, imports):
    before = hashed(imports)
    assert hashed(imports) == before != hashed(imports, {**HELPERS, "helper.py": "import deeper\nsign = -1\n"})
    assert hashed(imports, {**HELPERS, "deeper.py": "scale = 2\n"}) != before, "what a helper imports"
    assert hashed(imports, {**HELPERS, "other.py": "x = 2\n"}) == before, "what nobody imports"


def test_neither_place_nor_order_nor_other_plugins_count(hashed):
    imports = "import helper, other"
    before = hashed(imports)
    assert hashed(imports, folder="elsewhere") == before
    assert hashed(imports, first=["other", "deeper"]) == before
    assert hashed(imports, {**HELPERS, "kit.py": ""}, first=["kit"]) == before
    swapped = {**HELPERS, "helper.py": HELPERS["other.py"], "other.py": HELPERS["helper.py"]}
    assert hashed(imports, swapped) != before


def test_packages_count_with_what_they_import_of_themselves(hashed):
    kit = {"kit/__init__.py": "", "kit/signs.py": "from . import scales\n", "kit/scales.py": "one = 1\n"}
    before = hashed("from kit.signs import scales", kit)
    for name in kit:
        assert hashed("from kit.signs import scales", {**kit, name: f"{kit[name]}\n# edited\n"}) != before, name
    assert hashed("from kit.signs import scales", {**kit, "kit/unused.py": "two = 2\n"}) == before


def test_an_import_that_comes_later_counts_before_it_has_run(hashed):
    late = {"late.py": "def never_run(): pass\n"}
    before = hashed(files=late)
    assert before != hashed(files={"late.py": "def never_run(): return 1\n"})
    assert hashed(files=late, first=["late"]) == before


def test_other_packages_do_not_count(hashed):
    """Libraries have versions, and are not what somebody edits between two runs."""
    kit = {"site-packages/kit/__init__.py": "", "site-packages/kit/other.py": "x = 1\n"}
    path = "import sys; sys.path.insert(0, __file__.replace('sourced.py', 'site-packages'))"
    imports = f"{path}; import kit.other; del sys.path[0]; import helper"
    before = hashed(imports, {**HELPERS, **kit})
    assert hashed(imports, {**HELPERS, **kit, "site-packages/kit/other.py": "x = 2\n"}) == before


def test_an_installed_plugins_own_modules_count(tmp_path, monkeypatch):
    kit = tmp_path / "site-packages" / "kit"
    kit.mkdir(parents=True)
    (kit / "__init__.py").write_text("")
    (kit / "helper.py").write_text("sign = 1\n")
    (kit / "installed.py").write_text(PLUGIN.format("from . import helper").replace("sourced", "installed"))
    monkeypatch.syspath_prepend(kit.parent)
    for name in ("kit", "kit.helper", "kit.installed"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    algorithm = importlib.import_module("kit.installed").Sourced()
    before = source_hash(algorithm)
    (kit / "helper.py").write_text("sign = -1\n")
    assert source_hash(algorithm) != before


def test_ours_has_a_version_instead():
    assert source_hash(plugins.build_algorithm("grpo", {}, "here")[0]) is None
