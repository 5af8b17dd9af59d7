"""A stack file with its guards: what the stack is with some of them on, and what is wrong then."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pydantic import JsonValue

from harness.errors import Problem
from harness.scenario.building import Built, build
from harness.scenario.files import Named, dump_findings, missing_files, named_by_stack, planted_findings
from harness.scenario.models import Stack, StackLine, TokenGrant
from harness.scenario.patch import merge_patch, written_places
from harness.scenario.positions import KeyPath, dotted
from harness.scenario.problems import Finding, Known, removes_nothing
from harness.scenario.sheet import Sheet, read_sheet
from harness.scenario.source import in_repository
from harness.scenario.stack_rules import PATCHABLE, stack_findings


@dataclass(frozen=True)
class Guarded:
    """A stack with guards on.

    Attributes:
        stack: None when it does not make one.
        problems: what is wrong with it that is not wrong without the guards.
    """

    stack: Stack | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class StackFile:
    """A stack file that was read.

    Attributes:
        sheet: its content.
        folder: that it lies in.
        known: the drivers that there are.
    """

    sheet: Sheet[Stack]
    folder: Path
    known: Known
    _seen: dict[tuple[str, ...], tuple[Built[Stack], list[Finding]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def base(self) -> Stack | None:
        """The stack with no guard on; None when it does not make one."""
        return self.sheet.built.model

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the stack, and with each guard alone, used or not."""
        return (
            *self.sheet.problems,
            *self.sheet.at(self._base_findings),
            *self.sheet.at(finding for name in self._guards for finding in self._of_guard(name)),
        )

    def guarded(self, names: Sequence[str]) -> Guarded:
        """The stack with guards on, in that order; names of guards that do not exist are left out.

        ``problems`` has what comes of the guards together, not what each does alone.
        """
        there = [name for name in names if name in self._guards]
        built, findings = self._patched(there)
        alone = {_gist(finding) for name in there for finding in self._patched([name])[1]}
        together = [finding for finding in findings if _gist(finding) not in alone]
        suffix = f" (with the guards {', '.join(there)})"
        placed = [self._placed(finding, there, suffix) for finding in together]
        return Guarded(built.model, self.sheet.at(placed))

    def lines(self, names: Sequence[str]) -> tuple[StackLine, ...]:
        """Where each service, principal and grant stands with guards on.

        A grant stands in the last guard that writes any of it; the others where they are named first.
        """
        stack = self.guarded(names).stack
        if stack is None:
            return ()
        named: list[KeyPath] = [("services", name) for name in stack.services]
        named += [("principals", name) for name in stack.principals]
        granted: list[KeyPath] = [
            ("principals", name, "grants", service)
            for name, principal in stack.principals.items()
            for service in principal.grants
        ]
        file = in_repository(Path(self.sheet.document.file))
        return (
            *(self._line(path, (path, *written_places(path, names)), file) for path in named),
            *(self._line(path, written_places(path, names), file) for path in granted),
        )

    def _line(self, path: KeyPath, places: Iterable[KeyPath], file: str) -> StackLine:
        document = self.sheet.document
        place = next((place for place in places if place in document.values), path)
        mark = document.mark(place, of_key=True)
        return StackLine(path=dotted(path), file=file, line=mark.line, column=mark.column)

    @property
    def _guards(self) -> Sequence[str]:
        return tuple(self.base.guards) if self.base else ()

    @cached_property
    def _base_findings(self) -> tuple[Finding, ...]:
        return tuple(_findings(self.base, self.folder, self.known))

    def _patched(self, names: Sequence[str]) -> tuple[Built[Stack], list[Finding]]:
        """The stack with guards on, and the findings that it does not have without them."""
        if tuple(names) not in self._seen:
            self._seen[tuple(names)] = self._patch_anew(names)
        return self._seen[tuple(names)]

    def _patch_anew(self, names: Sequence[str]) -> tuple[Built[Stack], list[Finding]]:
        tree = self.sheet.built.tree
        for name in names:
            tree = merge_patch(tree, self._patch(name))
        built = build(Stack, tree, self.known)
        before = {_gist(finding) for finding in self._base_findings}
        more = _findings(built.model, self.folder, self.known)
        found = (*built.findings, *(finding for finding in more if not built.is_doubtful(finding.path)))
        certain = [finding for finding in found if not self.sheet.built.is_doubtful(finding.path)]
        return built, [finding for finding in certain if _gist(finding) not in before]

    def _patch(self, name: str) -> dict[str, JsonValue]:
        guard = self.base.guards[name] if self.base else None
        return {key: value for key, value in guard.patch.items() if key in PATCHABLE} if guard else {}

    def _of_guard(self, name: str) -> Iterator[Finding]:
        for finding in self._patched([name])[1]:
            yield self._placed(finding, [name], "")
        yield from self._idle(name)
        yield from self._unmarked(name)

    def _idle(self, name: str) -> Iterator[Finding]:
        """What a guard was meant to do and does not."""
        path: KeyPath = ("guards", name, "patch")
        vain = tuple(removes_nothing(self.sheet.built.tree, self._patch(name), path))
        yield from vain
        written = self.base.guards[name].patch if self.base else {}
        if not vain and written == self._patch(name) and self._patched([name])[0].model == self.base:
            yield Finding(
                path, "changes nothing", "write what is different in the stack when the guard is on"
            )

    def _unmarked(self, name: str) -> Iterator[Finding]:
        """A guard that nobody sells and that is passed off as one that can be had."""
        stack = self._patched([name])[0].model
        if (
            stack
            and self.base
            and not self.base.guards[name].hypothetical
            and _scoped(stack) - _scoped(self.base)
        ):
            message = "missing: no provider offers tokens for single operations"
            hint = "say so in a sentence; reports repeat it next to every result"
            yield Finding(("guards", name, "hypothetical"), message, hint, of_key=True)

    def _placed(self, finding: Finding, names: Sequence[str], suffix: str) -> Finding:
        """The finding at the patch that brought it about, or where it shows if no patch is there."""
        values = self.sheet.document.values
        depths = {name: _depth(values, ("guards", name, "patch"), finding.path) for name in names}
        name = max(reversed(names), key=lambda name: depths[name], default="")
        if depths.get(name, 0) >= min(2, len(finding.path)):
            path: KeyPath = ("guards", name, "patch", *finding.path)
            return replace(finding, path=path, message=finding.message + suffix)
        suffix = suffix or f" (with the guard {names[0]})"
        return replace(finding, message=finding.message + suffix)


def read_stack(path: Path, known: Known) -> StackFile:
    """Read a stack file.

    Raises:
        ScenarioError: it is no text that can be read; everything else stands in ``problems``.
    """
    return StackFile(read_sheet(path, Stack, known), path.parent, known)


def _findings(stack: Stack | None, folder: Path, known: Known) -> Iterator[Finding]:
    if stack is not None:
        yield from stack_findings(stack, known)
        yield from missing_files(named_by_stack(stack), folder)
        yield from planted_findings(stack, folder)
        yield from dump_findings(stack, folder)
        if stack.production is not None:
            yield from missing_files([Named(("production",), stack.production, "file")], folder)


def _scoped(stack: Stack) -> set[tuple[str, str]]:
    """Each grant that is a token for single operations."""
    return {
        (principal, service)
        for principal, model in stack.principals.items()
        for service, grant in model.grants.items()
        if isinstance(grant, TokenGrant) and grant.token == "scoped"  # noqa: S105 - a kind of token, not one
    }


def _gist(finding: Finding) -> tuple[KeyPath, str]:
    return finding.path, finding.message


def _depth(written: Container[KeyPath], root: KeyPath, path: KeyPath) -> int:
    """How many parts of a path are written below a root."""
    lengths = range(len(path), 0, -1)
    return next((length for length in lengths if (*root, *path[:length]) in written), 0)
