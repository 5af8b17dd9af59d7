"""What the command does before it does anything, and after it: little."""

from __future__ import annotations

import subprocess
import sys

PRODUCT = "import sys, harness.cli; print(*{name.partition('.')[0] for name in sys.modules})"
RUN = "import sys, harness.cli.run; print(*sys.modules)"
NOT_FOR_A_RUN = (
    "harness.search",
    "harness.archive",
    "sqlalchemy",
    "alembic",
    "harness.journal.answer",
    "harness.render.answers",
    "harness.controls.catalogue",
)
COLLECTOR = """
import gc
import harness.cli

harness.cli._answer = lambda: print(gc.get_threshold()[0]) or 0
print(gc.get_threshold()[0])
try:
    harness.cli.main()
finally:
    print(gc.get_threshold()[0], gc.get_freeze_count())
"""


def python(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_command_itself_needs_none_of_the_product() -> None:
    assert not {"pydantic", "psycopg", "botocore", "rich"} & set(python(PRODUCT))


def test_a_run_waits_for_nothing_that_only_searches_and_controls_need() -> None:
    loaded = python(RUN)
    assert "harness.run.drill" in loaded
    assert not [name for name in loaded if name.startswith(NOT_FOR_A_RUN)]


def test_garbage_is_collected_seldom_for_as_long_as_a_command_lasts() -> None:
    before, within, after, frozen = map(int, python(COLLECTOR))
    assert (within > 100 * before, after) == (True, before)
    assert frozen > 0, "all that is left was looked through on the way out"
