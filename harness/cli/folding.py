"""Lines for a terminal of any width, and for programs."""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.text import Text


def tell(
    console: Console, text: str, *, styled: str = "", style: str = "", first: str = "", rest: str = ""
) -> None:
    """Print a text: folded between words to a terminal, a path in one piece; in one line to a program.

    Args:
        console: where to.
        text: plain; nothing in it is markup.
        styled: what it begins with that is shown in ``style``.
        style: as rich names them.
        first, rest: indent of its first line, and of those that follow.
    """
    line = f"{first}{text}"
    if console.is_terminal:
        line = textwrap.fill(
            text,
            console.width,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    shown = Text(line)
    shown.stylize(style, len(first), len(first) + len(styled))
    console.print(shown, soft_wrap=True)


def tell_lines(text: str, rest: str) -> None:
    """Print lines of text, each as ``tell`` does.

    Args:
        text: plain; what a line begins with stays before it.
        rest: indent of what goes on in the next line.
    """
    console = Console(highlight=False)
    for line in text.splitlines():
        tell(console, line, rest=rest)
