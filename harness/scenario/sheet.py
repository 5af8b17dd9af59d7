"""One YAML file: where everything in it stands, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from harness.errors import Problem
from harness.scenario.building import Built, build
from harness.scenario.positions import Document, parse
from harness.scenario.problems import Finding, Known, at_positions
from harness.scenario.source import read_text

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Sheet(Generic[M]):
    """A file that was read.

    Attributes:
        document: its content with positions.
        built: the model that the content makes.
    """

    document: Document
    built: Built[M]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the file as YAML and as a model."""
        return (*self.document.problems, *at_positions(self.built.findings, self.document))

    def at(self, findings: Iterable[Finding]) -> tuple[Problem, ...]:
        """Later findings with their positions, but for those at places that are not as written."""
        certain = [finding for finding in findings if not self.built.is_doubtful(finding.path)]
        return at_positions(certain, self.document)


def read_sheet(path: Path, kind: type[M], known: Known) -> Sheet[M]:
    """Read one file.

    Raises:
        ScenarioError: it is no text that can be read; everything else stands in ``problems``.
    """
    document = parse(read_text(path), str(path))
    return Sheet(document, build(kind, document.value, known))
