"""What `runtime_config` says of a run's bounds. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nodeling.errors import ConfigError
from nodeling_bridges.kailash.draft import suggestion
from nodeling_bridges.kailash.model import ROUTE, SKIP, Limits

__all__ = ["limits_of", "mebibytes"]

_KEYS = ("max_parallel_tasks", "task_timeout", "memory_limit", "conditional_execution")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?\s*", re.IGNORECASE)
_UNITS = {"": 1 / 1024**2, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
_LEAST_MB = 16


def limits_of(said: Mapping[str, Any]) -> Limits:
    """The bounds that a configuration names.

    Raises:
        ConfigError: A key or a value of it means nothing.
    """
    for key in said:
        if key not in _KEYS:
            raise _refusal(f"`runtime_config` has no {key!r}", suggestion(key, _KEYS))
    most, timeout, memory = (said.get(key) for key in _KEYS[:3])
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise _refusal(f"`max_parallel_tasks` is a whole number from 1 up, not {most!r}")
    if timeout is not None and (
        isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0
    ):
        raise _refusal(f"`task_timeout` is a number of milliseconds above 0, not {timeout!r}")
    mode = said.get("conditional_execution", SKIP)
    if mode not in (SKIP, ROUTE):
        raise _refusal(f"`conditional_execution` is {SKIP} or {ROUTE}, not {mode!r}")
    return Limits(most, timeout, None if memory is None else mebibytes(memory), mode)


def mebibytes(said: Any) -> int:
    """A size like `2GB` in MiB; a bare number is MiB.

    Raises:
        ConfigError: It is none, or too little for a process.
    """
    if isinstance(said, int | float) and not isinstance(said, bool):
        found = float(said)
    else:
        match = _SIZE.fullmatch(said) if isinstance(said, str) else None
        if match is None:
            raise _refusal(f"`memory_limit` is a size like 512MB or 2GB, not {said!r}")
        found = float(match[1]) * _UNITS[match[2].upper()]
    if found < _LEAST_MB:
        raise _refusal(f"`memory_limit` is at least {_LEAST_MB} MB, not {said!r}")
    return int(found)


def _refusal(message: str, hint: str | None = None) -> ConfigError:
    return ConfigError(message, code="kailash.option", hint=hint)
