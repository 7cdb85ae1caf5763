"""The kit behind the pytest fixtures: options become a program, a program and a case become a result."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from nodeling.testing.conformance.cases import Case, load_claims
from nodeling.testing.conformance.discovery import discover, environment
from nodeling.testing.conformance.report import CaseResult, told_of
from nodeling.testing.conformance.runner import run_suite

__all__ = ["judged", "program_of"]


def program_of(command: str | None, claims: str | None, channel: str) -> dict[str, Any]:
    """The arguments of `run_suite` for a command line, claimed for by a file or by its own handshake."""
    if command is None:
        raise pytest.UsageError("say which program to judge: --nodeling-command './my-node'")
    words = shlex.split(command)
    found: dict[str, Any] = {"command": words, "channel": channel, "env": environment()}
    if claims is not None:
        path, variant = _variant(claims)
        return found | {"claims": load_claims(path, variant)}
    told = discover(words, channel, environment(), None)
    if told.problem:
        raise pytest.UsageError(told.problem)
    return found | {"claims": list(told.claims), "node": told.node}


def _variant(claims: str) -> tuple[Path, str]:
    """`FILE:VARIANT`, or a file with a single variant."""
    file, found, variant = claims.rpartition(":")
    path = Path(file) if found else Path(claims)
    if found and path.is_file():
        return path, variant
    path = Path(claims)
    if not path.is_file():
        raise pytest.UsageError(f"--nodeling-claims: there is no file {claims}")
    variants = list(json.loads(path.read_text(encoding="utf-8"))["variants"])
    if len(variants) != 1:
        raise pytest.UsageError(f"--nodeling-claims: {claims} holds {', '.join(variants)}; say FILE:VARIANT")
    return path, variants[0]


def judged(case: Case, program: dict[str, Any]) -> CaseResult:
    """How a program does in one case; a test that asks is skipped or failed accordingly."""
    (result,) = run_suite(**program, cases=[case]).results
    if result.status == "skipped":
        pytest.skip(result.reason)
    if result.status == "failed":
        pytest.fail("\n".join(told_of(result)), pytrace=False)
    return result
