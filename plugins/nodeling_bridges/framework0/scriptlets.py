"""What a scriptlet is, how it is registered, and what its answer means."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import time
from typing import Any, TypeVar

from nodeling.errors import NodeError
from nodeling_bridges.framework0.context import Context

__all__ = ["REGISTERED", "WRITTEN", "BaseScriptlet", "get_logger", "outcome_of", "register_scriptlet"]

Class = TypeVar("Class", bound=type)
REGISTERED: dict[str, type] = {}  # by the class's name, in the order of registration
WRITTEN = "written"  # in the details of a failure: what the scriptlet had written before
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class BaseScriptlet:
    """Derive from this and write `run(self, context, params)`."""

    def __init__(self) -> None:
        self.name = type(self).__name__
        self.version = "1.0"
        self.description = (inspect.getdoc(type(self)) or "").partition("\n")[0]
        self._began = time.perf_counter()

    def run(self, context: Context, params: dict[str, Any]) -> Any:
        """Do the work: give a dictionary, which is the step's output, or an exit code."""
        raise NotImplementedError(f"{type(self).__name__} has no `run`")

    def execute(self, context: Context, params: dict[str, Any]) -> Any:
        """Run it, with its clock started; what `run` gives is given on, as it is."""
        self._began = time.perf_counter()
        return self.run(context, params)

    def get_execution_time(self) -> float:
        """Seconds since this run of it began."""
        began = getattr(self, "_began", None)  # a class may forget to call super().__init__()
        return 0.0 if began is None else time.perf_counter() - began


def register_scriptlet(target: Any = None, /, **labels: Any) -> Any:
    """Make a class known by its name: `@register_scriptlet`, or `@register_scriptlet(…)` with labels.

    Raises:
        TypeError: It is no class with a `run`.
    """
    if target is not None and not isinstance(target, str):
        return _registered(target)

    def decorate(found: Class) -> Class:
        return _registered(found)

    return decorate


def _registered(found: Class) -> Class:
    if not inspect.isclass(found) or not callable(getattr(found, "run", None)):
        raise TypeError(f"a scriptlet is a class with a method `run`, not {found!r}")
    REGISTERED[found.__name__] = found
    return found


def get_logger(name: str, debug: bool | None = None) -> logging.Logger:
    """A logger whose lines go to stderr; all of them with `debug`, or with DEBUG=1 in the environment."""
    is_loud = os.environ.get("DEBUG") == "1" if debug is None else debug
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG if is_loud else logging.INFO)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(_FORMAT))
        logger.addHandler(handler)
        logger.propagate = False
    return logger


def outcome_of(returned: Any, what: str) -> dict[str, Any] | None:
    """A step's output, from what `run` gave: a dictionary is it, 0 and nothing are success without one.

    Raises:
        NodeError: It gave another exit code, or something that is neither.
    """
    if returned is None or isinstance(returned, dict):
        return returned
    if isinstance(returned, bool) or not isinstance(returned, int):
        raise NodeError(
            f"{what} gave back {returned!r:.60}, which is neither a dictionary nor an exit code",
            code=4006,
            retryable=False,
        )
    if returned != 0:
        raise NodeError(f"{what} ended with the exit code {returned}", details={"exit_code": returned})
    return None
