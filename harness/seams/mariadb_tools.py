"""MariaDB's own programs, which a package of the operating system installs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.errors import MissingToolError

PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin")
"""Where servers lie that are not on an ordinary user's path."""

SERVER = ("mariadbd", "mariadb-install-db")
"""Programs that an image brings along."""


def binary(name: str) -> Path:
    """A program of the machine's MariaDB.

    Args:
        name: ``mariadbd``, ``mariadb-dump``, ...

    Raises:
        MissingToolError: it is not installed.
    """
    found = shutil.which(name, path=os.pathsep.join((os.defpath, *PLACES)))
    if found is None and name in SERVER:
        raise MissingToolError(
            f"{name} is not installed; a service of kind mariadb runs the MariaDB of this machine",
            hint="install it, for instance with `apt-get install mariadb-server`, or use --provider docker",
        )
    if found is None:
        raise MissingToolError(
            f"{name} is not installed; dumps and binary logs of MariaDB are handled with it",
            hint="install MariaDB's client, for instance with `apt-get install mariadb-client`",
        )
    return Path(found)
