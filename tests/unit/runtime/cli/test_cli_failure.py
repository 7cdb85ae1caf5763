from __future__ import annotations

import click
import pytest

from nodeling.errors import ConfigError, NodeError, PluginError, StoreError, WorkflowError
from nodeling_runtime.cli.failure import SignalledError, exit_code_of, exit_code_of_run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 65),
        (WorkflowError("x"), 65),
        (ConfigError("x", code="document.not_found"), 66),
        (ConfigError("x", code="registry.unknown"), 66),
        (ConfigError("x", code="run.option"), 2),
        (ConfigError("x", code="run.input"), 65),
        (ConfigError("x", code="secret.missing"), 78),
        (ConfigError("x", code="secret.mode"), 78),
        (PluginError("x"), 78),
        (StoreError("x"), 69),
        (WorkflowError("x", code="toolchain.missing"), 69),
        (NodeError("x"), 1),
        (click.UsageError("x"), 2),
        (click.FileError("x"), 66),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (SignalledError(15), 143),
        (SignalledError(2), 130),
        (AssertionError("x"), 70),
        (TypeError("x"), 70),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        ("succeeded", None, 0),
        ("failed", {"code": 4000, "details": {}}, 1),
        ("failed", {"code": 9005, "details": {"limit": "timeout"}}, 1),
        ("failed", {"code": 9005, "details": {"limit": "run_timeout"}}, 124),
        ("failed", {"code": "run.input"}, 65),
        ("cancelled", None, 143),
    ],
)
def test_every_end_of_a_run_has_its_exit_code(
    status: str, error: dict[str, object] | None, code: int
) -> None:
    assert exit_code_of_run(status, error) == code
