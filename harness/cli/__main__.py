"""``python -m harness.cli``: the command, for whoever has the interpreter and not the script."""

from harness.cli import main

main()
