"""Writes the parts of README.md and docs/ that are made from the code. ``make docs`` runs it.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. A test fails when one is
stale, so none is ever edited by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from harness.archive.policy import policy_schema
from harness.cli import Verbs
from harness.controls.catalogue import frameworks, observations
from harness.facts import Destruction
from harness.objectives import gates, losses
from harness.render.oscal import FRAMEWORK
from harness.replicas.aws.operations import operation_table as aws_table
from harness.replicas.railway.reference import operation_table
from harness.scenario.discover import find_scenarios
from harness.scenario.load import load_scenario
from harness.scenario.reference import key_tables
from harness.scenario.schema import scenario_schema, stack_schema
from harness.seams.lookup import BUILT_IN, lookup

ROOT = Path(__file__).resolve().parent.parent
ACME = ROOT / "tests/run/acme"
PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def scenarios() -> str:
    """The shipped scenarios, their guards, and what they expect."""
    rows = ["| scenario | guards | expected | what it plays |", "|---|---|---|---|"]
    for file in find_scenarios((ROOT / "scenarios",)):
        loaded = load_scenario(file)
        scenario, known = loaded.scenario, loaded.base.guards
        guards = ", ".join(name + ("*" if known[name].hypothetical else "") for name in scenario.guards)
        breached = [name for name, value in scenario.expect.items() if value == "breached"]
        expected = f"{', '.join(breached)} breached" if breached else "all held"
        path = file.relative_to(ROOT)
        rows.append(f"| [{scenario.id}]({path}) | {guards or 'none'} | {expected} | {scenario.title} |")
    return "\n".join(rows)


def observed() -> str:
    """What drills observe, and the objectives that tell."""
    rows = ["| observation | is made when | by the objective |", "|---|---|---|"]
    for name, one in observations().items():
        by = [f"`{each}`" for each in (*one.objectives, *((one.counted.objective,) if one.counted else ()))]
        by += [f"`{one.gate}`, a rule of [`ninelives gate`](history.md)"] if one.gate else []
        rows.append(f"| {name} | {one.says} | {', '.join(by) or 'none yet'} |")
    return "\n".join(rows)


def known_frameworks() -> str:
    """The shipped frameworks, each with its version and its controls."""
    rows = ["| name | framework | version | controls | sure |", "|---|---|---|---|---|"]
    for name, one in frameworks().items():
        rows.append(
            f"| `{name}` | [{one.title}]({one.link}) | {one.version} | {', '.join(one.known)} | {one.sure} |"
        )
    notices = (one.notice for one in frameworks().values() if one.notice)
    return "\n".join((*rows, "", *notices))


def determinations() -> str:
    """What of the assessment procedures of NIST a drill decides."""
    rows = ["| control | statement | by |", "|---|---|---|"]
    for control in frameworks()[FRAMEWORK].controls:
        for one in control.decides:
            rows.append(f"| {control.id} | `{one.id}` | {' '.join(one.by)} |")
    return "\n".join(rows)


def verbs() -> str:
    """Every verb of the command with its summary."""
    return "\n".join(
        ["| command | does |", "|---|---|"]
        + [f"| `ninelives {name}` | {summary} |" for name, summary in Verbs.SUMMARIES.items()]
    )


def drivers() -> str:
    """Every built-in driver with the first line of its docstring."""
    rows = ["| kind | name | what it is |", "|---|---|---|"]
    for kind, table in BUILT_IN.items():
        for name in table:
            first = (lookup(kind, name).__doc__ or "").strip().partition("\n")[0]
            rows.append(f"| {kind} | `{name}` | {first} |")
    return "\n".join(rows)


def destructions() -> str:
    """What each built-in surface can destroy, a table for each."""
    return "\n\n".join(
        f"### {name}\n\n"
        + "\n".join([*DESTRUCTION_HEAD, *map(_destruction, lookup("surfaces", name).destructive)])
        for name in BUILT_IN["surfaces"]
    )


DESTRUCTION_HEAD = (
    "| operation | `do:` | taken back by | takes along | guard | known from |",
    "|---|---|---|---|---|---|",
)


def _destruction(one: Destruction) -> str:
    file, _, test = one.evidence.partition("::")
    named = test.removeprefix("test_").replace("_", " ")
    shown = f"[{named}](../{file})" if test else f"[page]({one.evidence})"
    cells = (one.operation, one.verb, one.undo or "**nothing**", one.takes_along or "nothing", one.guard)
    return f"| {' | '.join(cells)} | {one.basis}: {shown} |"


def objectives() -> str:
    """Every built-in objective with the first line of its class."""
    rows = ["| objective | what must hold |", "|---|---|"]
    for name in BUILT_IN["objectives"]:
        first = (lookup("objectives", name).__doc__ or "").strip().partition("\n")[0]
        rows.append(f"| [`{name}`](#{name}) | {first} |")
    return "\n".join(rows)


def table_of(module: ModuleType) -> str:
    """The table in a module's docstring."""
    return "\n".join(line for line in (module.__doc__ or "").splitlines() if line.startswith("|"))


def shown(language: str, file: str) -> Callable[[], str]:
    """A file of the package whose drivers a test plays drills with, as a block of code."""
    return lambda: f"```{language}\n{(ACME / file).read_text(encoding='utf-8')}```"


PARTS: Mapping[str, Callable[[], str]] = {
    "railway-operations": operation_table,
    "aws-operations": aws_table,
    "scenarios": scenarios,
    "verbs": verbs,
    "observations": observed,
    "frameworks": known_frameworks,
    "determinations": determinations,
    "drivers": drivers,
    "destructions": destructions,
    "objectives": objectives,
    "gates": lambda: table_of(gates),
    "losses": lambda: table_of(losses),
    "keys": key_tables,
    "entry-points": shown("toml", "pyproject.toml"),
    "objective": shown("python", "acme_drills/blast_radius.py"),
    "conformance": shown("python", "conformance.py"),
}
SCHEMAS: Mapping[str, Callable[[], dict[str, object]]] = {
    "docs/scenario.schema.json": scenario_schema,
    "docs/stack.schema.json": stack_schema,
    "docs/policy.schema.json": policy_schema,
}


def fresh() -> dict[Path, str]:
    """What every file with a generated part should hold."""
    files = {ROOT / name: json.dumps(make(), indent=2) + "\n" for name, make in SCHEMAS.items()}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        files[path] = PART.sub(lambda m: m[1] + PARTS[m[2]]() + "\n" + m[3] if m[2] in PARTS else m[0], text)
    return files


def main() -> int:
    """Write what is stale and name it."""
    for path, text in fresh().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
