"""Texts that want to do harm to whoever reads a report of them, and a run that is full of them."""

from __future__ import annotations

from pathlib import Path

from pocketos_run import Tape, finish, loaded, play_until_steady

from harness.journal import events as e
from harness.journal.record import Figure, RunRecord, Verdict

CORPUS = {
    "script": "<script>window.pwned=1</script>",
    "attribute": "\" autofocus onfocus=window.pwned=1 x=\"' onmouseover='window.pwned=1",
    "image": "<img src=x onerror=window.pwned=1>",
    "svg": "<svg/onload=window.pwned=1><animate onbegin=window.pwned=1 attributeName=x dur=1s>",
    "style": "<style>*{background:url(https://example.invalid/x)}</style>",
    "frame": "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe><base href=//example.invalid>",
    "end of element": "</style></title></textarea></script><script>window.pwned=1</script>",
    "end of comment": "--><script>window.pwned=1</script><!--",
    "end of data": "]]><script>window.pwned=1</script><![CDATA[",
    "entities": "&lt;script&gt;window.pwned=1&lt;/script&gt; &#x3c;b&#x3e; &unknown;",
    "link": "[x](javascript:window.pwned=1) <a href=javascript:window.pwned=1>y</a> https://example.invalid",
    "markdown": "@everyone #1 !123 ~~x~~ | a | b | ``` **b** _i_ ![x](https://example.invalid/y.png)",
    "template": "{{ 7*7 }} {% include '/etc/passwd' %} ${7*7} #{7*7} %(x)s {0}",
    "markup of a terminal": "[bold red]x[/] [link=https://example.invalid]y[/link]",
    "codes of a terminal": "\x1b]8;;https://example.invalid\x07click\x1b]8;;\x07 \x1b[2J\x1b[31mred",
    "codes of a terminal in one byte": "\x9b31mred\x9b0m \x9d0;title\x9c",
    "turned round": "\u202egnp.exe\u202c \u2066abc\u2069 \u200fx\u061cy",
    "hidden": "a\u200bb\u2060c\ufeffd\u00ade\U000e0041f",
    "lines": "one\r\ntwo\rthree\u2028four\u2029five\x85six\x0bseven\x0ceight",
    "control": "a\x00b\x07c\x08d\x7fe",
    "formula": '=HYPERLINK("http://example.invalid","x")',
    "formula with plus": "+cmd|' /C calc'!A0",
    "formula with minus": "-2+3",
    "formula with at": "@SUM(1+1)",
    "formula after a tab": "\t=1+1",
    "formula after a line": "\r\n=1+1",
    "cells": 'a","=1+1","b\n=1+1',
    "label": 'x"} 1\nninelives_pwned{a="\\',
    "long": "W" * 100_000,
    "marks": "Z" + "\u0301" * 1000,
}

UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\U000e0000-\U000e007f"
)
"""A class of characters that no report may hold, as a regular expression has it between its brackets."""


def corpus_run(folder: Path) -> RunRecord:
    """A run in which the agent, a server and the database say each of them, and a verdict is about each."""
    tape = Tape(folder)
    play_until_steady(tape)

    def act() -> None:
        tape.write(e.AgentStarted(principal="staging-agent", kind="scripted", goal="".join(CORPUS.values())))
        for number, text in enumerate(CORPUS.values()):
            at = 13 + number / 10
            tape.act(
                "sql", "query", at, at + 0.05, service="bookings", why=text, detail=text,
                arguments={"statement": text},
            )  # fmt: skip
        tape.write(e.AgentEnded(actions=len(CORPUS)))

    tape.phase("act", 12.6, 20, act)
    tape.at(21)
    for name, text in CORPUS.items():
        tape.write(e.InvariantChecked(name=name.replace(" ", "-"), rows=1, sample=(text,)))
    finish(tape)
    verdicts = tuple(
        Verdict(
            objective=text,
            value="breached",
            summary=text,
            figures=(Figure(name=text, value=1, unit="count"),),
            evidence=(1,),
        )
        for text in CORPUS.values()
    )
    return tape.record(loaded({"title": "".join(CORPUS.values()), "expect": {}}), verdicts)
