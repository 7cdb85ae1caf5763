"""The fixtures that `pip install nodeling` brings to pytest; importing this module costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nodeling.results import RunResult
    from nodeling.testing.conformance import CaseResult, Report
    from nodeling.testing.nodes import NodeOutcome

CASE = "nodeling_case"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The program that the conformance fixtures judge."""
    group = parser.getgroup("nodeling")
    group.addoption("--nodeling-command", metavar="COMMAND", help="a program to judge by the node protocol")
    group.addoption(
        "--nodeling-claims", metavar="FILE", help="its capabilities.json; FILE:VARIANT for one of several"
    )
    group.addoption("--nodeling-channel", choices=("stdio", "fd"), default="stdio", help="how to talk to it")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `nodeling_case` runs once for each case of the protocol."""
    if CASE in metafunc.fixturenames:
        from nodeling.testing.conformance import load_cases

        metafunc.parametrize(CASE, load_cases(), ids=lambda case: case.id, indirect=True)


@pytest.fixture
def nodeling_node() -> Callable[..., NodeOutcome]:
    """`nodeling.testing.run_node`: runs one node alone."""
    from nodeling.testing.nodes import run_node

    return run_node


@pytest.fixture
def nodeling_workflow() -> Callable[..., RunResult]:
    """`nodeling.testing.run_workflow`: runs a workflow in memory, with fakes."""
    from nodeling.testing.workflows import run_workflow

    return run_workflow


@pytest.fixture(scope="session")
def nodeling_program(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the options say, as arguments of `run_suite`; override it to build the program first."""
    from nodeling.testing.conformance.plugin import program_of

    options = request.config.option
    return program_of(options.nodeling_command, options.nodeling_claims, options.nodeling_channel)


@pytest.fixture
def nodeling_case(
    request: pytest.FixtureRequest, nodeling_program: dict[str, Any]
) -> Callable[[], CaseResult]:
    """Call it to play one case: the test is skipped when it is not claimed, and fails when it is not kept."""

    def play() -> CaseResult:
        from nodeling.testing.conformance.plugin import judged

        return judged(request.param, nodeling_program)

    return play


@pytest.fixture
def nodeling_conformance() -> Callable[..., Report]:
    """`nodeling.testing.conformance.run_suite`: all cases at once, in one report."""
    from nodeling.testing.conformance import run_suite

    return run_suite
