"""A third party's drivers keep to the contracts, and the contracts notice when they do not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import JUnitXml

from tests.run.test_third_party import ACME, install

pytestmark = pytest.mark.slow
"""Each test runs pytest in a process of its own."""

Conform = Callable[..., dict[str, bool]]


@pytest.fixture
def conform(tmp_path: Path) -> Conform:
    """Installs the package, with one text of one file replaced, and says which of its tests pass."""

    def conform(tests: str = "", file: str = "", old: str = "", new: str = "") -> dict[str, bool]:
        package = shutil.copytree(ACME, tmp_path / "package")
        if file:
            text = (package / "acme_drills" / file).read_text(encoding="utf-8")
            assert text.count(old) == 1
            (package / "acme_drills" / file).write_text(text.replace(old, new), encoding="utf-8")
        (tmp_path / "site").mkdir()
        install(package, tmp_path / "site")
        found = tmp_path / "found.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "conformance.py",
            "-q",
            f"--junit-xml={found}",
            "-k",
            tests,
        ]
        paths = filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")])
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider"],
            cwd=package,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.exists(), done.stderr
        cases = [case for suite in JUnitXml.fromfile(str(found)) for case in suite]
        assert cases, done.stdout
        return {f"{case.classname.rpartition('.')[2]}.{case.name}": case.is_passed for case in cases}

    return conform


def test_they_keep_to_every_contract(conform: Conform) -> None:
    found = conform()
    assert [name for name, passed in found.items() if not passed] == []
    classes = {name.partition(".")[0] for name in found}
    assert classes == {"TestShelf", "TestShelfReset", "TestTunedPostgres", "TestShelfSurface", "TestJsonCopy"}
    assert len(found) > 40


DEFECTS = [
    (
        "shelf.py",
        "shutil.rmtree(lease.directory, ignore_errors=True)",
        "pass",
        "TestShelf.test_it_is_destroyed_from_the_lease_alone_and_again",
    ),
    (
        "shelf.py",
        '.write_text(lease.marker, encoding="utf-8")',
        '.write_text("shelf", encoding="utf-8")',
        "TestShelf.test_its_marker_is_the_leases",
    ),
    (
        "shelf.py",
        '            return "refused", "only admins delete", ()\n',
        '            return "failed", "only admins delete", ()\n',
        "TestShelfSurface.test_who_lacks_the_right_is_refused",
    ),
    (
        "shelf.py",
        '        if verb != "delete" or name not in files:\n',
        '        if verb == "delete" and name not in files:\n'
        '            return "refused", "no", ()\n'
        '        if verb != "delete":\n',
        "TestShelfSurface.test_a_misspelt_target_proves_no_guard",
    ),
    (
        "shelf.py",
        "files = {path.name: path for path in files_of(self._endpoint)}",
        "files = {path.name: path for path in self._endpoint.path.iterdir()}",
        "TestShelfSurface.test_a_place_where_nothing_answers_has_failed",
    ),
    (
        "shelf.py",
        'f"deleted {name}", (resource(self._endpoint, name),)',
        'f"deleted {name}", ()',
        "TestShelfSurface.test_what_is_destroyed_is_touched",
    ),
    (
        "shelf.py",
        '"there is no such verb, or no such file"',
        'f"there is no {name}"',
        "TestShelfSurface.test_no_secret_is_written",
    ),
    (
        "shelf.py",
        "return contents_of(self._endpoint) != self._files",
        "return contents_of(self._endpoint).keys() != self._files.keys()",
        "TestShelfReset.test_a_reset_leaves_nothing_of_what_was_done",
    ),
    (
        "tuned_postgres.py",
        "    def describe(",
        "    def fence(self, endpoint: Endpoint) -> None:\n        pass\n\n    def describe(",
        "TestTunedPostgres.test_a_fenced_one_acknowledges_nothing_and_a_fresh_one_takes_its_place",
    ),
    (
        "json_copy.py",
        "except (OSError, ValueError) as error:",
        "except OSError as error:",
        "TestJsonCopy.test_a_copy_that_was_cut_short_does_not_pass_for_a_whole_one",
    ),
    (
        "json_copy.py",
        "[row for (row,) in found]",
        "[row for (row,) in found][1:]",
        "TestJsonCopy.test_a_fresh_instance_brings_back_what_was_taken",
    ),
    (
        "json_copy.py",
        "range(self._keep, 0, -1) if day * DAY <= span]",
        "range(span.days, 0, -1)]",
        "TestJsonCopy.test_what_retention_keeps_is_due",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "test"), DEFECTS, ids=[test for *_, test in DEFECTS])
def test_a_defect_is_noticed(conform: Conform, file: str, old: str, new: str, test: str) -> None:
    name = test.partition(".")[0]
    found = conform(f"{name} and {test.partition('.')[2]}", file, old, new)
    assert found == {test: False}
