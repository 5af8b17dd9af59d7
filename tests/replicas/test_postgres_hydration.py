"""Replicas that begin with a backup file: each format of the real ``pg_dump``, and each way to spoil one."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.errors import DumpError, ProvisionError
from harness.facts import APPLICATION, Endpoint, Lease
from harness.replicas.postgres import PostgresReplica
from harness.replicas.postgres.plain_dump import without_owners
from harness.replicas.postgres.programs import wheel_version
from harness.sandbox import Sandbox
from harness.scenario.dump_file import dump_format
from harness.seams.postgres_tools import binary, connection_environment, connection_options

from .postgres_stack import lease, login, setting, stack

pytestmark = pytest.mark.slow

OURS = ".".join(wheel_version().split(".")[:2]).encode()
NEXT = b"19.1"
TABLES = ("acct", "moods", "reservations")
SCHEMA = """
CREATE TABLE reservations (id bigint PRIMARY KEY, customer text NOT NULL, booked_at timestamptz);
INSERT INTO reservations SELECT n, 'c' || n, timestamptz '2026-01-01' + n * interval '1 s'
FROM generate_series(1, 20000) AS n;
"""
OWNED = """
CREATE ROLE alice; CREATE ROLE "bob; the reader";
CREATE SCHEMA billing AUTHORIZATION alice;
CREATE TABLE billing.invoices (id serial PRIMARY KEY, paid boolean);
CREATE TABLE acct (id int PRIMARY KEY, note text);
INSERT INTO acct VALUES (1, 'plain'), (2, E'GRANT ALL ON acct TO bob;\nALTER TABLE acct OWNER TO alice;');
ALTER TABLE acct OWNER TO alice;
GRANT SELECT ON acct TO "bob; the reader";
ALTER DEFAULT PRIVILEGES FOR ROLE alice GRANT SELECT ON TABLES TO "bob; the reader";
CREATE TABLE moods (id int PRIMARY KEY);
COMMENT ON TABLE moods IS 'over
GRANT SELECT ON moods TO alice;
two lines';
CREATE FUNCTION advice() RETURNS text LANGUAGE sql AS $$ SELECT $x$
REVOKE ALL ON moods FROM alice;
$x$ $$;
CREATE VIEW open_invoices AS SELECT id FROM billing.invoices WHERE NOT paid;
ALTER VIEW open_invoices OWNER TO alice;
"""
TOLD = "SELECT obj_description('moods'::regclass), advice(), (SELECT note FROM acct WHERE id = 2)"


class Original:
    """A server that dumps are taken of, and replicas that are hydrated with them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.replica = PostgresReplica()
        self.dumps = sandbox.root / "dumps"
        self.dumps.mkdir()
        self.lease = lease(sandbox, "bookings")
        self.endpoint = self.replica.provision(self.lease, setting(sandbox, stack(), schema=SCHEMA))
        self.replica.execute(self.endpoint, OWNED, {})

    def dump(self, name: str, *options: str) -> Path:
        """What the real ``pg_dump`` writes."""
        path = self.dumps / name
        command = [binary("pg_dump"), *connection_options(self.endpoint), *options, f"--file={path}"]
        environment = {**self.sandbox.environment(), **connection_environment(self.endpoint)}
        subprocess.run([*command, self.endpoint.name], env=environment, check=True)
        return path


@pytest.fixture(scope="module")
def original(sandbox: Sandbox) -> Iterator[Original]:
    made = Original(sandbox)
    yield made
    made.replica.destroy(made.lease)


@pytest.fixture
def hydrated(original: Original, sandbox: Sandbox) -> Iterator[Callable[[Path], Endpoint]]:
    """Brings up a replica from a dump."""
    leases: list[Lease] = []

    def bring_up(dump: Path) -> Endpoint:
        data = {"dump": str(dump.relative_to(sandbox.root))}
        leases.append(lease(sandbox, "hydrated"))
        described = stack("hydrated", schema=None, data=data)
        return original.replica.provision(leases[-1], setting(sandbox, described))

    yield bring_up
    for each in leases:
        original.replica.destroy(each)


FORMATS: dict[str, tuple[str, ...]] = {
    "custom": ("--format=custom",),
    "custom-unpacked": ("--format=custom", "--compress=0"),
    "directory": ("--format=directory",),
    "directory-unpacked": ("--format=directory", "--compress=0"),
    "directory-inserts": ("--format=directory", "--compress=0", "--inserts", "--rows-per-insert=1000"),
    "last night.tar": ("--format=tar",),
    "plain.sql": ("--format=plain",),
    "inserts.sql": ("--format=plain", "--inserts", "--rows-per-insert=1000"),
    "gzip.sql.gz": ("--format=plain", "--compress=gzip"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_pg_dump_brings_back_every_row_and_gives_it_to_the_owner(
    original: Original, hydrated: Callable[[Path], Endpoint], name: str
) -> None:
    dump = original.dump(name, *FORMATS[name])
    endpoint = hydrated(dump)
    replica = original.replica
    assert replica.fingerprint(endpoint, TABLES) == replica.fingerprint(original.endpoint, TABLES)
    assert replica.query(endpoint, TOLD, {}) == replica.query(original.endpoint, TOLD, {})
    owners = "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('acct', 'invoices')"
    assert replica.query(endpoint, owners, {}) == [("data_owner",)]
    assert replica.query(endpoint, "SELECT rolname FROM pg_roles WHERE rolname IN ('alice')", {}) == []
    with login(endpoint, APPLICATION) as connection:
        connection.execute("INSERT INTO acct VALUES (4, 'written')")
        connection.execute("INSERT INTO billing.invoices (paid) VALUES (false)")
        assert connection.execute("SELECT id FROM open_invoices").fetchall() == [(1,)]
    with login(endpoint, "staging-agent") as connection:
        connection.execute("DROP TABLE acct")
    left = {path.name for path in endpoint.lease.directory.iterdir()}
    assert left == {"pgdata", "pg_hba.conf", "pg_ident.conf", "postgresql.conf", "postgres.log"}


def cut(path: Path, share: float = 0.5) -> None:
    """After a whole line, so that no line is torn."""
    content = path.read_bytes()
    path.write_bytes(content[: content.rfind(b"\n", 0, int(len(content) * share)) + 1])


def halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def cut_a_table(directory: Path) -> None:
    cut(max(directory.glob("*.dat"), key=lambda path: path.stat().st_size))


def halve_a_table(directory: Path) -> None:
    halve(max(directory.glob("*.dat.gz"), key=lambda path: path.stat().st_size))


def remove_a_table(directory: Path) -> None:
    max(directory.glob("*.dat.gz"), key=lambda path: path.stat().st_size).unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def make_newer(path: Path) -> None:
    """As the next release would write it; the archive's own version stays."""
    content = path.read_bytes()
    assert content.count(OURS) >= 2
    path.write_bytes(content.replace(OURS, NEXT))


def raise_archive_version(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:6] + b"\x63" + content[7:])


def cut_unpacked(path: Path) -> None:
    """A whole gzip file of half a dump, as a pipe leaves behind whose first end has died."""
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[: content.rfind(b"\n", 0, len(content) // 2) + 1]))


SPOILT: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "custom, cut": ("custom", halve, "cannot be loaded: could not read from input file: end of file"),
    "custom, last bytes gone": ("custom", lambda path: cut(path, 0.999), "cannot be loaded: could not"),
    "custom, unpacked, cut": ("custom-unpacked", cut, "cannot be loaded: could not read from input file"),
    "custom, flipped": ("custom", flip, "cannot be loaded: could not uncompress data"),
    "custom, empty": ("custom", empty, "is empty"),
    "custom, newer archive": ("custom", raise_archive_version, "unsupported version (1.99) in file header"),
    "custom, newer pg_dump": ("custom", make_newer, "was written by pg_dump 19, and the replica is"),
    "directory, table cut": ("directory", halve_a_table, "cannot be loaded: could not"),
    "directory, table cut after a line": ("directory-unpacked", cut_a_table, ".dat is cut off"),
    "directory, inserts cut after a line": ("directory-inserts", cut_a_table, ".dat is cut off"),
    "directory, table gone": ("directory", remove_a_table, "cannot be loaded: could not open input file"),
    "directory, contents gone": (
        "directory",
        lambda path: (path / "toc.dat").unlink(),
        "is a directory without toc.dat",
    ),
    "tar, cut": ("last night.tar", cut, "is no whole tar file: unexpected end of data"),
    "tar, end gone": ("last night.tar", lambda path: path.write_bytes(path.read_bytes()[:-1024]), "is cut"),
    "plain, cut in a table": ("plain.sql", cut, "is cut off: it does not end with '-- PostgreSQL database"),
    "plain, cut at the end": ("plain.sql", lambda path: cut(path, 0.99), "is cut off"),
    "plain, newer pg_dump": ("plain.sql", make_newer, "was written by pg_dump 19, and the replica is"),
    "gzip, cut": ("gzip.sql.gz", halve, "is no whole gzip file: Compressed file ended before"),
    "gzip, flipped": ("gzip.sql.gz", flip, "is no whole gzip file"),
    "gzip of half a dump": ("gzip.sql.gz", cut_unpacked, "is cut off: it does not end with"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_spoilt_dump_is_refused_by_its_name_with_what_to_do(
    original: Original, hydrated: Callable[[Path], Endpoint], spoilt: str
) -> None:
    name, spoil, told = SPOILT[spoilt]
    dump = original.dump(f"spoilt {name}", *FORMATS[name])
    try:
        spoil(dump)
        with pytest.raises(DumpError) as caught:
            hydrated(dump)
    finally:
        shutil.rmtree(dump) if dump.is_dir() else dump.unlink()
    assert caught.value.message.startswith(str(dump))
    assert told in caught.value.message
    assert caught.value.hint


def test_a_script_that_the_server_refuses_is_told_with_the_line_on_which_the_statement_ends(
    original: Original, hydrated: Callable[[Path], Endpoint]
) -> None:
    dump = original.dump("refused.sql")
    text = dump.read_text()
    begin = text.index("CREATE TABLE public.moods")
    assert text.index("OWNER TO") < begin
    dump.write_text(text.replace("CREATE TABLE public.moods", "CREATE TABL public.moods"))
    line = text[: text.index(";", begin)].count("\n") + 1
    with pytest.raises(DumpError) as caught:
        hydrated(dump)
    assert caught.value.message.startswith(f'{dump}:{line} cannot be loaded: syntax error at or near "TABL"')


@pytest.mark.parametrize(
    "command",
    ["\\! touch {}", "SELECT 1 \\g |touch {}", "\\unrestrict x\n\\! touch {}", "\\o |touch {}\nSELECT 1;"],
    ids=["shell", "pipe", "with a guess", "output"],
)
def test_a_dump_cannot_have_psql_run_a_program(
    original: Original, hydrated: Callable[[Path], Endpoint], tmp_path: Path, command: str
) -> None:
    dump, made = original.dump("hostile.sql"), tmp_path / "made"
    text = dump.read_text()
    begin = text.index("CREATE TABLE public.moods")
    dump.write_text(text[:begin] + command.format(made) + "\n" + text[begin:])
    with pytest.raises(DumpError, match="backslash commands are restricted"):
        hydrated(dump)
    assert not made.exists()


def test_a_dump_of_an_older_release_is_loaded(
    original: Original, hydrated: Callable[[Path], Endpoint]
) -> None:
    """Its archive is one that pg_dump 12 would have written, but for its dates of release."""
    dump = original.dump("older", "--format=custom")
    dump.write_bytes(dump.read_bytes().replace(OURS, b"12.9"))
    endpoint = hydrated(dump)
    assert original.replica.fingerprint(endpoint, TABLES) == original.replica.fingerprint(
        original.endpoint, TABLES
    )


ENCRYPTING = {
    "gpg": ["gpg", "--batch", "--symmetric", "--passphrase", "x", "--pinentry-mode", "loopback", "--yes"],
    "openssl": ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-pass", "pass:x"],
}


def test_what_is_no_dump_is_told_for_what_it_is(original: Original) -> None:
    """Where the machine has the programs, they have written it."""
    whole = original.dump("to-pack", "--format=custom")
    found = {
        "age": b"age-encryption.org/v1\n-> X25519 abc\n",
        "age, armoured": b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n",
        "gpg, armoured": b"-----BEGIN PGP MESSAGE-----\n\njA0E\n",
        "openssl": b"Salted__" + bytes(64),
        "openssl, base64": b"U2FsdGVkX1+abcdefgh\n",
        "gpg": bytes.fromhex("8c0d0409030245"),
        "zstd": bytes.fromhex("28b52ffd04"),
        "xz": b"\xfd7zXZ\x00",
        "zip": b"PK\x03\x04",
    }
    for tool, command in ENCRYPTING.items():
        if shutil.which(command[0]):
            home = {**original.sandbox.environment(), "GNUPGHOME": str(original.dumps)}
            with whole.open("rb") as content:
                ran = subprocess.run(command, stdin=content, capture_output=True, env=home, check=True)
            found[f"{tool}, really"] = ran.stdout
    for name, content in found.items():
        tool = name.partition(",")[0]
        path = original.dumps / "packed"
        path.write_bytes(content)
        what = "encrypted" if tool in ("age", "gpg", "openssl") else "packed"
        with pytest.raises(DumpError) as caught:
            dump_format(path, "packed")
        assert caught.value.message == f"packed is {what} ({tool})"


def test_dumps_of_something_else_are_told_for_what_they_are(original: Original) -> None:
    path = original.dumps / "other"
    everything = subprocess.run(
        [binary("pg_dumpall"), *connection_options(original.endpoint), "--schema-only"],
        env={**original.sandbox.environment(), **connection_environment(original.endpoint)},
        capture_output=True,
        check=True,
    )
    others = {
        everything.stdout: r"is of a whole cluster \(pg_dumpall\)",
        b"-- MySQL dump 10.13  Distrib 8.0.36\n": "is a dump of MySQL",
        b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n": "is a dump of MariaDB",
        b"CREATE TABLE orders (id int);\n": "is no dump that pg_dump wrote",
        gzip.compress(b"CREATE TABLE orders (id int);\n"): "unpacked, is no dump that pg_dump wrote",
    }
    for content, told in others.items():
        path.write_bytes(content)
        with pytest.raises(DumpError, match=told):
            dump_format(path, "other")


def test_a_tar_file_of_a_directory_is_told_apart_from_pg_dumps_own(original: Original) -> None:
    directory = original.dump("to-tar", "--format=directory")
    archive = shutil.make_archive(str(original.dumps / "made"), "tar", directory.parent, directory.name)
    with pytest.raises(DumpError, match="is a tar file, and not one that pg_dump wrote"):
        dump_format(Path(archive), "made.tar")


@pytest.mark.parametrize(
    "text",
    [
        "COMMENT ON TABLE x IS 'a\nGRANT SELECT ON x TO y;\n';\n",
        "COMMENT ON TABLE x IS E'a\\'\nGRANT SELECT ON x TO y;\n';\n",
        'CREATE TABLE "a\nGRANT SELECT ON x TO y;\n" (id int);\n',
        "CREATE FUNCTION f() RETURNS void AS $_$\nGRANT SELECT ON x TO y;\n$_$ LANGUAGE sql;\n",
        "/* a\nGRANT SELECT ON x TO y;\n*/\n",
        "SELECT 1\nGRANT SELECT ON x TO y;\n",
        "COPY t (a) FROM stdin;\nGRANT SELECT ON x TO y;\n'\n\\.\n",
    ],
)
def test_only_whole_statements_are_left_out(text: str) -> None:
    """The same words inside of something stay, and the statement after it is left out."""
    lines = f"{text}GRANT SELECT ON x TO y;\nSELECT 2;\n".encode().splitlines(keepends=True)
    kept = b"".join(without_owners(lines)).decode()
    assert kept == f"{text}\nSELECT 2;\n"


@pytest.mark.parametrize("name", ["custom", "plain.sql"])
def test_whoever_stops_the_run_does_not_wait_until_a_dump_is_loaded(
    original: Original,
    hydrated: Callable[[Path], Endpoint],
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
    name: str,
) -> None:
    """As when a signal has been heard before it begins; nothing of it goes on."""
    dump = original.dump(f"stopped {name}", *FORMATS[name])
    monkeypatch.setattr("harness.replicas.postgres.hydration.interrupted", lambda: True)
    with pytest.raises(ProvisionError, match="was not loaded to its end, as somebody has asked"):
        hydrated(dump)
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] in ("psql", "pg_restore"):
            assert not (process.info["cwd"] or "").startswith(str(sandbox.root))
