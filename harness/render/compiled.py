"""Templates as Python code, kept where Python keeps the modules that it has compiled.

Compiling the page takes longer than filling it in. As with modules: what is kept is used until the template,
or what decides how it is compiled, has changed; and nothing is kept where nothing may be written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from pickle import UnpicklingError
from secrets import token_hex

from jinja2.bccache import Bucket, BytecodeCache


class CompiledTemplates(BytecodeCache):
    """Keeps compiled templates.

    Args:
        folder: of the templates.
        compilers: files of Python that decide how a template is compiled.
    """

    def __init__(self, folder: Path, compilers: Iterable[Path]) -> None:
        self._folder = folder
        self._compilers = " ".join(str(file.stat().st_mtime_ns) for file in compilers)

    def get_source_checksum(self, source: str) -> str:
        """What must be as it was: the template, and what compiles it."""
        return super().get_source_checksum(f"{source}\0{self._compilers}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """What is kept of a template, if it is still true."""
        with suppress(OSError, EOFError, UnpicklingError), self._file(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template, as a whole: others may do so at the same time."""
        if sys.dont_write_bytecode:
            return
        file = self._file(bucket)
        part = file.with_name(f"{file.name}.{token_hex(4)}")
        with suppress(OSError):
            file.parent.mkdir(exist_ok=True)
            part.write_bytes(bucket.bytecode_to_string())
            part.replace(file)

    def _file(self, bucket: Bucket) -> Path:
        return Path(cache_from_source(str(self._folder / f"{bucket.key}.j2")))
