"""The prepared cluster is made once, whole, and by one run only; a damaged one is noticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from harness.errors import ProvisionError
from harness.facts import Lease, Secret
from harness.replicas.cache import prepared
from harness.replicas.postgres import PostgresReplica
from harness.replicas.postgres.cluster import clone_cluster
from harness.replicas.postgres.programs import require_reach, server_programs
from harness.replicas.postgres.roles import scram_verifier
from harness.sandbox import Account, Sandbox
from tests.replicas.postgres_stack import lease, setting, stack

REPLICA = PostgresReplica()
NOBODY = Account(65534, 65534)


def fill(directory: Path) -> None:
    (directory / "data").write_text("whole")
    (directory / "below").mkdir()
    (directory / "below" / "more").write_text("whole")


class TestCache:
    def test_it_is_built_once(self, tmp_path):
        built = []

        def build(directory: Path) -> None:
            built.append(directory)
            fill(directory)

        for _ in range(3):
            with prepared(tmp_path / "thing", build) as content:
                assert (content / "below" / "more").read_text() == "whole"
        assert len(built) == 1

    @pytest.mark.parametrize("damage", ["truncated", "missing", "extra", "touched", "unsealed", "emptied"])
    def test_a_damaged_one_is_built_again(self, tmp_path, damage):
        with prepared(tmp_path / "thing", fill) as content:
            file = content / "below" / "more"
        match damage:
            case "truncated":
                file.write_text("")
            case "missing":
                file.unlink()
            case "extra":
                file.with_name("extra").touch()
            case "touched":
                os.utime(file, ns=(0, 0))
            case "unsealed":
                (tmp_path / "thing" / "seal").unlink()
            case "emptied":
                rmtree(tmp_path / "thing")
        built = []

        def build_again(directory: Path) -> None:
            built.append(directory)
            fill(directory)

        with prepared(tmp_path / "thing", build_again) as content:
            assert len(built) == 1
            assert sorted(path.name for path in content.rglob("*")) == ["below", "data", "more"]
            assert (content / "below" / "more").read_text() == "whole"

    def test_a_build_that_fails_leaves_nothing_that_looks_whole(self, tmp_path):
        def fail(directory: Path) -> None:
            fill(directory)
            raise RuntimeError

        with pytest.raises(RuntimeError), prepared(tmp_path / "thing", fail):
            pass
        assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
        with prepared(tmp_path / "thing", fill) as content:
            assert (content / "data").exists()

    def test_what_a_killed_build_left_is_cleared_away(self, tmp_path):
        stale = tmp_path / "thing.building-killed"
        (stale / "content").mkdir(parents=True)
        with prepared(tmp_path / "thing", fill):
            pass
        assert not stale.exists()

    def test_many_at_once_build_it_once_and_all_see_it_whole(self, tmp_path):
        built = []

        def build(directory: Path) -> None:
            built.append(directory)
            fill(directory)

        def use(_: int) -> str:
            with prepared(tmp_path / "thing", build) as content:
                return (content / "below" / "more").read_text()

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(use, range(32))) == {"whole"}
        assert len(built) == 1

    def test_a_cache_that_cannot_be_written_is_an_error(self, tmp_path):
        (tmp_path / "file").touch()
        with (
            pytest.raises(ProvisionError, match="cannot use the cache"),
            prepared(tmp_path / "file" / "x", fill),
        ):
            pass


class TestCluster:
    @pytest.fixture
    def fresh(self, sandbox: Sandbox) -> Iterator[Sandbox]:
        """With a cache of its own."""
        cache = Path(mkdtemp(prefix="cache-", dir=sandbox.root))
        cache.chmod(0o755)
        yield replace(sandbox, cache=cache)
        rmtree(cache)

    def test_two_runs_at_once_prepare_one_cluster_and_both_get_a_replica(self, fresh):
        leases = [lease(fresh, name) for name in ("one", "two")]

        def bring_up(name: str) -> bool:
            held = leases[("one", "two").index(name)]
            return REPLICA.alive(REPLICA.provision(held, setting(fresh, stack(name))))

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(bring_up, ("one", "two"))) == [True, True]
        for held in leases:
            REPLICA.destroy(held)
        clusters = [path for path in fresh.cache.glob("postgres-*-*") if path.is_dir()]
        assert len([path for path in clusters if "programs" not in path.name]) == 1

    def test_a_umask_that_closes_everything_does_not_matter(self, fresh):
        held = fresh.root / "closed"
        umask = os.umask(0o077)
        try:
            closed = Lease(run_id=fresh.run_id, service="closed", kind="postgres", directory=held)
            assert REPLICA.alive(REPLICA.provision(closed, setting(fresh, stack("closed"))))
        finally:
            os.umask(umask)
            REPLICA.destroy(closed)

    @pytest.mark.slow
    def test_damage_that_keeps_sizes_and_times_is_noticed_when_no_server_starts(self, fresh):
        clone_cluster(fresh, fresh.root / "warm")
        (control,) = fresh.cache.glob("postgres-*/content/global/pg_control")
        status = control.stat()
        control.write_bytes(bytes(status.st_size))
        os.utime(control, ns=(status.st_atime_ns, status.st_mtime_ns))
        held = lease(fresh, "mended")
        assert REPLICA.alive(REPLICA.provision(held, setting(fresh, stack("mended"))))
        REPLICA.destroy(held)
        assert any(control.read_bytes())

    def test_a_copy_is_closed_to_others_and_belongs_to_the_servers_account(self, sandbox):
        copy = sandbox.root / "copy"
        clone_cluster(sandbox, copy)
        assert copy.stat().st_mode & 0o777 == 0o700
        owner = sandbox.account.uid if sandbox.account else os.geteuid()
        assert {path.lstat().st_uid for path in (copy, *copy.rglob("*"))} == {owner}

    def test_a_cp_that_cannot_share_blocks_gives_way(self, sandbox, monkeypatch):
        """As BusyBox's, which does not know the option."""
        programs = sandbox.root / "programs"
        programs.mkdir()
        cp = programs / "cp"
        cp.write_text("#!/bin/sh\nexit 1\n")
        cp.chmod(0o755)
        monkeypatch.setattr(os, "defpath", str(programs))
        copy = sandbox.root / "copied-by-python"
        clone_cluster(sandbox, copy)
        owner = sandbox.account.uid if sandbox.account else os.geteuid()
        assert (copy / "global" / "pg_control").exists()
        assert copy.stat().st_mode & 0o777 == 0o700
        assert {path.lstat().st_uid for path in (copy, *copy.rglob("*"))} == {owner}


class TestReach:
    def test_a_cache_out_of_the_servers_reach_names_the_directory_in_the_way(self, tmp_path):
        closed = tmp_path / "closed"
        (closed / "cache").mkdir(parents=True)
        for directory in (tmp_path, *tmp_path.parents):
            if directory.stat().st_uid == os.geteuid() and directory != Path("/tmp"):
                directory.chmod(directory.stat().st_mode | 0o011) if directory != Path("/") else None
        closed.chmod(0o700)
        with pytest.raises(ProvisionError, match=f"below {closed}, which") as caught:
            require_reach(NOBODY, closed / "cache", "the cache directory")
        assert f"chmod o+x {closed}" in caught.value.hint

    def test_our_own_account_reaches_everything_that_we_do(self, tmp_path):
        tmp_path.chmod(0o700)
        with pytest.raises(ProvisionError):
            require_reach(NOBODY, tmp_path, "the cache directory")
        require_reach(None, tmp_path, "the cache directory")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
    def test_programs_out_of_the_servers_reach_are_copied_into_the_cache(self, sandbox, monkeypatch):
        monkeypatch.setattr("harness.replicas.postgres.programs.reaches", lambda *_: False)
        with server_programs(sandbox) as programs:
            assert programs.is_relative_to(sandbox.cache)
            ran = sandbox.call([programs / "initdb", "--version"], drop=True)
            assert ran.stdout.startswith("initdb (PostgreSQL) 18")
            ran = sandbox.call([programs / "postgres", "--version"], drop=True)
            assert ran.stdout.startswith("postgres (PostgreSQL) 18")


def test_a_verifier_is_the_one_that_rfc_7677_gives():
    """The example of RFC 7677, section 3: user ``user``, password ``pencil``."""
    from base64 import b64decode

    verifier = scram_verifier(Secret("pencil"), b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    assert verifier == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
