"""A process of ours with a mutation: ``python -m tests.run.guards.altered NAME MODULE ARGUMENT...``."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import signature

from tests.run.guards.mutations import MUTATIONS


def main(name: str, module: str, *arguments: str) -> int:
    """Exchange what is to be exchanged, and run the module."""
    MUTATIONS[name].exchange()
    run = import_module(module).main
    takes_a_list = list(signature(run).parameters) == ["arguments"]
    return (run(list(arguments)) if takes_a_list else run(*arguments)) or 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
