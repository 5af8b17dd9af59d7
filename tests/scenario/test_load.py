"""What comes out of the good sample, and what changes it."""

from __future__ import annotations

import re
import shutil
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from harness.errors import RequestError, ScenarioError
from harness.scenario.discover import find_scenarios
from harness.scenario.files import FILE_LIMIT, MOST_FILES, Named, missing_files
from harness.scenario.load import load_scenario, restore_scenario
from harness.scenario.models import (
    IdleAgent,
    LoadedScenario,
    OtherService,
    PostgresPitr,
    RailwayService,
    ScriptedAgent,
    TokenGrant,
)
from harness.scenario.problems import Known

from .samples import GOOD, SHIPPED, copy_of_good, good_tree, problems_of, replace_in

DUMP_OF_STAGING = "staging, volume: railway/bookings-data, data: {dump: last-night.dump}}"


def stack_beside(drill: Path) -> Path:
    return drill.with_name("stack.yaml")


# --- what is loaded ---------------------------------------------------------------------------------


def test_the_good_sample_has_no_problem(drill: Path) -> None:
    assert problems_of(drill) == ()


@pytest.mark.parametrize(
    "file", find_scenarios([SHIPPED]), ids=lambda file: f"{file.parent.name}-{file.stem}"
)
def test_every_shipped_scenario_loads(file: Path) -> None:
    assert problems_of(file) == ()


def test_the_files_are_read_as_they_are_written(drill: Path) -> None:
    loaded = load_scenario(drill)
    scenario = loaded.scenario
    assert (loaded.id, loaded.folder, loaded.file) == ("rentals/drill", drill.parent, drill)
    assert scenario.incident is not None
    assert scenario.incident.date == date(2026, 4, 24)
    assert scenario.workload.rate == 50
    assert scenario.recover.assume.decide == timedelta(seconds=90)
    assert isinstance(scenario.agent, ScriptedAgent)
    assert [step.on for step in scenario.agent.steps] == [
        None,
        None,
        "railway",
        "railway",
        "bookings-staging",
        "vault",
    ]
    assert loaded.files == {
        name: (GOOD / name).read_text()
        for name in ("events.sql", "invariants/no-empty-day.sql", "rebuild.sql", "schema.sql", "slice.sql")
    }


def test_guards_change_the_stack_and_leave_the_base_alone(drill: Path) -> None:
    loaded = load_scenario(drill)
    assert isinstance(loaded.stack.services["railway"], RailwayService)
    assert loaded.stack.services["railway"].profile == "current"
    assert isinstance(loaded.stack.protections["offsite"], PostgresPitr)
    assert isinstance(loaded.base.services["railway"], RailwayService)
    assert loaded.base.services["railway"].profile == "legacy"
    assert "offsite" not in loaded.base.protections


def test_guards_are_applied_in_the_order_of_the_scenario(drill: Path) -> None:
    replace_in(
        stack_beside(drill),
        "\nobjectives:",
        """
  nine: {why: Nine dumps., patch: {protections: {old-dump: {keep: 9}}}}
  five: {why: Five dumps., patch: {protections: {old-dump: {keep: 5}}}}

objectives:""",
    )

    def dumps(*guards: str) -> object:
        return load_scenario(drill, guards=guards).stack.protections["old-dump"].model_dump()["keep"]

    assert (dumps("nine", "five"), dumps("five", "nine"), dumps()) == (5, 9, 1)


def test_a_scenario_adds_to_the_objectives_of_its_stack_and_tightens_them(drill: Path) -> None:
    objectives = load_scenario(drill).objectives
    assert objectives.backup_survival is not None
    assert (objectives.backup_survival.copies, objectives.backup_survival.max_age) == (2, timedelta(days=2))
    assert objectives.isolation is not None
    assert objectives.rpo == timedelta(minutes=15)
    assert objectives.rto == timedelta(minutes=5)
    assert objectives.invariants is not None
    assert set(objectives.invariants) == {"no-empty-day", "no-free-ride"}
    assert objectives.containment is None


def test_objectives_are_added_up_from_both_files(drill: Path) -> None:
    replace_in(
        stack_beside(drill), "  rto: 1h", "  rto: 1h\n  containment: 9s\n  invariants: {never: SELECT 1}"
    )
    objectives = load_scenario(drill).objectives
    assert objectives.containment == timedelta(seconds=9)
    assert objectives.invariants is not None
    assert set(objectives.invariants) == {"never", "no-empty-day", "no-free-ride"}


def test_an_invariant_may_not_be_said_differently(drill: Path) -> None:
    replace_in(stack_beside(drill), "  rto: 1h", "  rto: 1h\n  invariants: {no-free-ride: SELECT 1}")
    assert [p.key for p in problems_of(drill)] == ["objectives.invariants.no-free-ride"]


# --- other guards, another agent, other drivers -----------------------------------------------------


def test_other_guards_take_the_place_of_the_scenarios_own(drill: Path) -> None:
    loaded = load_scenario(drill, guards=("scoped-token",))
    grant = loaded.stack.principals["domains-cli"].grants["railway"]
    assert isinstance(grant, TokenGrant)
    assert grant.allow == ("customDomainCreate",)
    assert loaded.scenario.guards == ("scoped-token",)
    assert load_scenario(drill, guards=()).stack == loaded.base


def test_another_agent_takes_the_place_of_the_scenarios_own(drill: Path) -> None:
    idle = IdleAgent(kind="idle", as_="staging-agent")
    loaded = load_scenario(drill, agent=idle)
    assert loaded.scenario.agent == idle
    assert loaded.stack == load_scenario(drill).stack


def test_what_takes_their_place_is_checked_too(drill: Path) -> None:
    (problem,) = problems_of(drill, guards=("locked-copi",))
    assert (problem.key, problem.hint) == ("guards[0]", "did you mean 'locked-copy'?")
    (problem,) = problems_of(drill, agent=IdleAgent(kind="idle", as_="nobody"))
    assert problem.key == "agent.as"


def test_drivers_of_others_can_be_used_when_they_are_known(drill: Path) -> None:
    stack = stack_beside(drill)
    replace_in(stack, "  vault:", "  cache: {kind: redis, settings: {size: 5}}\n  vault:")
    replace_in(stack, "  old-dump:", "  copies: {tool: rdb, of: cache}\n  old-dump:")
    replace_in(stack, "  rto: 1h", "  rto: 1h\n  other: {costs: {at_most: 5}}")
    replace_in(
        drill,
        "    - do: sql.execute",
        "    - {do: redis.flushall, on: cache, harm: true}\n    - do: sql.execute",
    )
    assert {p.key for p in problems_of(drill)} >= {"services.cache.kind", "protections.copies.tool"}
    known = Known(
        replicas=(*Known().replicas, "redis"),
        surfaces=(*Known().surfaces, "redis"),
        backups=(*Known().backups, "rdb"),
        objectives=(*Known().objectives, "costs"),
    )
    assert problems_of(drill, known=known) == ()
    assert isinstance(load_scenario(drill, known=known).stack.services["cache"], OtherService)


def test_an_agent_of_another_package_can_be_used(drill: Path) -> None:
    tree = good_tree("drill.yaml")
    text = drill.read_text()
    begin, end = text.index("agent:"), text.index("recover:")
    drill.write_text(f"{text[:begin]}agent: {{kind: model, as: staging-agent, goal: Tidy up.}}\n{text[end:]}")
    assert tree["agent"]["kind"] == "scripted"
    assert [p.key for p in problems_of(drill)] == ["agent.kind"]
    assert problems_of(drill, known=Known(agents=("scripted", "idle", "model"))) == ()


# --- guards that go wrong ---------------------------------------------------------------------------


def test_a_guard_that_no_scenario_uses_is_checked(drill: Path) -> None:
    stack = stack_beside(drill)
    replace_in(stack, "railway: {token: scoped,", "railway: {token: scopd,")
    (problem,) = problems_of(drill)
    assert problem.file == str(stack)
    assert problem.key == "guards.scoped-token.patch.principals.domains-cli.grants.railway.token"
    assert "scopd" in stack.read_text().splitlines()[problem.line - 1]


def test_guards_that_only_clash_together_are_told_at_the_patch_with_their_names(drill: Path) -> None:
    stack = stack_beside(drill)
    extra = """
  no-vault: {why: Elsewhere., patch: {services: {vault: null}, protections: {old-dump: null}, principals:
    {staging-agent: {grants: {vault: null}}}}}

objectives:"""
    replace_in(stack, "\nobjectives:", extra)
    replace_in(stack, "may_touch: [staging, vault]", "may_touch: [staging]")
    replace_in(drill, "soft-delete, locked-copy", "no-vault, locked-copy")
    problems = [p for p in problems_of(drill) if p.file == str(stack)]
    assert [p.key for p in problems] == ["guards.locked-copy.patch.protections.offsite.to"]
    assert problems[0].message == "no service is called 'vault' (with the guards no-vault, locked-copy)"
    assert "to: vault" in stack.read_text().splitlines()[problems[0].line - 1]


# --- the record -------------------------------------------------------------------------------------


def test_a_loaded_scenario_comes_back_from_its_json(drill: Path) -> None:
    loaded = load_scenario(drill)
    text = loaded.model_dump_json(by_alias=True)
    restored = restore_scenario(text)
    assert restored.model_dump() == loaded.model_dump()
    assert restored.model_dump_json(by_alias=True) == text
    assert restore_scenario(text, drill.parent).folder == drill.parent


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"scenario": 5}', "{" * 5000, '{"a": "\ud800"}', "\0"]
)
def test_a_record_that_was_changed_is_refused_in_words(text: str) -> None:
    with pytest.raises(ScenarioError) as told:
        restore_scenario(text)
    assert all(problem.file == "scenario.json" for problem in told.value.problems)


def digest_of(drill: Path) -> str:
    return load_scenario(drill).digest


def test_the_digest_does_not_depend_on_the_folder_or_the_layout(drill: Path, tmp_path: Path) -> None:
    other = copy_of_good(tmp_path / "elsewhere")
    shutil.copytree(other.parent, tmp_path / "sorted", copy_function=shutil.copy)
    assert digest_of(other) == digest_of(drill)
    other.write_text("# a comment\n" + other.read_text().replace("rpo: 15m", "rpo:   '15m'"))
    assert digest_of(other) == digest_of(drill)
    assert re.fullmatch("[0-9a-f]{64}", digest_of(drill))


@pytest.mark.parametrize(
    "name",
    [
        "schema.sql",
        "slice.sql",
        "events.sql",
        "rebuild.sql",
        "workload.py",
        "invariants/no-empty-day.sql",
        "workspace/scripts/domains.env",
    ],
)
def test_the_digest_changes_with_every_file_that_is_named(drill: Path, name: str) -> None:
    before = digest_of(drill)
    with (drill.parent / name).open("a") as file:
        file.write("-- more\n")
    assert digest_of(drill) != before


@pytest.mark.parametrize("change", ["added", "renamed", "removed", "linked"])
def test_the_digest_changes_with_the_files_of_a_workspace(drill: Path, change: str) -> None:
    workspace = drill.parent / "workspace"
    (workspace / "notes").write_text("x")
    before = digest_of(drill)
    if change == "added":
        (workspace / "empty").write_text("")
    elif change == "renamed":
        (workspace / "notes").rename(workspace / "scripts" / "notes")
    elif change == "removed":
        (workspace / "notes").unlink()
    else:
        (workspace / "link").symlink_to("scripts")
    assert digest_of(drill) != before


def test_a_dump_may_be_of_any_size_and_every_byte_of_it_counts(drill: Path) -> None:
    replace_in(
        stack_beside(drill), "staging, volume: railway/bookings-data, schema: schema.sql}", DUMP_OF_STAGING
    )
    dump = drill.with_name("last-night.dump")
    with dump.open("wb") as file:
        file.write(b"PGDMP")
        file.truncate(FILE_LIMIT + 1)
    before = digest_of(drill)
    with dump.open("r+b") as file:
        file.seek(FILE_LIMIT)
        file.write(b"x")
    assert digest_of(drill) != before


def test_the_digest_changes_with_the_files_of_a_dump_that_is_a_directory(drill: Path) -> None:
    replace_in(
        stack_beside(drill), "staging, volume: railway/bookings-data, schema: schema.sql}", DUMP_OF_STAGING
    )
    dump = drill.with_name("last-night.dump")
    dump.mkdir()
    (dump / "toc.dat").write_bytes(b"PGDMP")
    before = digest_of(drill)
    (dump / "4711.dat.gz").write_bytes(b"")
    assert digest_of(drill) != before


def test_the_digest_changes_with_stack_scenario_guards_and_agent(drill: Path) -> None:
    digests = {
        digest_of(drill),
        load_scenario(drill, guards=()).digest,
        load_scenario(drill, agent=IdleAgent(kind="idle")).digest,
    }
    replace_in(drill, "rpo: 15m", "rpo: 14m")
    digests.add(digest_of(drill))
    replace_in(stack_beside(drill), "keep: 1}", "keep: 2}")
    digests.add(digest_of(drill))
    assert len(digests) == 5


def test_a_file_beside_that_nobody_names_changes_nothing(drill: Path) -> None:
    before = digest_of(drill)
    drill.with_name("notes.md").write_text("notes")
    assert digest_of(drill) == before


def test_a_relative_path_is_as_good_as_an_absolute_one(drill: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = digest_of(drill)
    monkeypatch.chdir(drill.parent)
    loaded = load_scenario(Path("drill.yaml"))
    assert loaded.digest == wanted
    assert loaded.folder == Path()
    assert (loaded.folder / "schema.sql").exists()


def test_nothing_but_the_scenarios_own_files_is_opened(drill: Path) -> None:
    opened: list[str] = []
    watching = [True]

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in {"open", "os.scandir", "os.listdir"} and not isinstance(arguments[0], int):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)
    load_scenario(drill)
    watching.clear()
    assert str(drill) in opened
    assert [name for name in opened if not name.startswith(str(drill.parent))] == []


def test_a_control_that_its_framework_does_not_have_is_an_error_with_the_nearest(drill: Path) -> None:
    replace_in(drill, "nist-800-53:CP-9", "nist-800-53:CP-9(4)")
    (problem,) = problems_of(drill)
    assert drill.read_text().splitlines()[problem.line - 1].startswith("controls:")
    assert problem.message == "CP-9(4) is withdrawn from NIST SP 800-53 Revision 5"
    assert "did you mean 'nist-800-53:" in problem.hint


def test_problems_come_in_the_order_of_the_file(drill: Path) -> None:
    replace_in(drill, "title:", "titel:")
    replace_in(drill, 'controls: ["nist-800-53:CP-9", "ours:4.2"]', "controls: CP-9")
    replace_in(drill, "span: 90d", "span: 90")
    lines = [problem.line for problem in problems_of(drill)]
    assert len(lines) == 3
    assert lines == sorted(lines)


def test_a_hostile_number_of_mistakes_is_cut_short(drill: Path) -> None:
    drill.write_text(drill.read_text() + "".join(f"key-{n}: 1\n" for n in range(300)))
    problems = problems_of(drill)
    assert len(problems) == 101
    assert any("more problems" in problem.message for problem in problems)


def test_a_loaded_scenario_cannot_be_changed(drill: Path) -> None:
    loaded = load_scenario(drill)
    assert isinstance(loaded, LoadedScenario)
    with pytest.raises(ValueError, match="frozen"):
        loaded.digest = "x"  # type: ignore[misc]


def test_a_locustfile_that_is_not_python_is_told_with_its_line_before_anything_is_played(drill: Path) -> None:
    locustfile = drill.with_name("workload.py")
    locustfile.write_text("import locust\n\nclass Broken(:\n", encoding="utf-8")
    (problem,) = problems_of(drill)
    assert problem.key == "workload.locustfile"
    assert problem.message == "workload.py:3: not Python: invalid syntax"
    locustfile.write_bytes(b"\0")
    assert "null bytes" in problems_of(drill)[0].message


def test_a_tree_may_have_any_number_of_files_and_a_workspace_may_not(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(MOST_FILES + 1):
        (tmp_path / "many" / str(number)).touch()
    tree, workspace = (Named(("x",), "many", sort) for sort in ("tree", "folder"))
    assert list(missing_files([tree], tmp_path)) == []
    (finding,) = missing_files([workspace], tmp_path)
    assert finding.message == f"many holds more than {MOST_FILES} files"


def test_whoever_leaves_the_suffix_out_is_told_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scenarios" / "shop").mkdir(parents=True)
    (tmp_path / "scenarios" / "shop" / "wipe.yaml").touch()
    monkeypatch.chdir(tmp_path)
    for named in ("shop/wipe", "scenarios/shop/wipe"):
        with pytest.raises(RequestError) as caught:
            find_scenarios([Path(named)])
        assert caught.value.hint == "did you mean scenarios/shop/wipe.yaml?"
    with pytest.raises(RequestError) as caught:
        find_scenarios([Path("shop/wash")])
    assert "did you mean" not in caught.value.hint
