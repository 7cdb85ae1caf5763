"""Runtimes: how a workflow is run."""

from __future__ import annotations

from nodeling_bridges.kailash.api.runtime.async_local import AsyncLocalRuntime
from nodeling_bridges.kailash.api.runtime.circuit import CircuitBreaker, CircuitBreakerConfig
from nodeling_bridges.kailash.api.runtime.local import LocalRuntime
from nodeling_bridges.kailash.api.runtime.parallel import ParallelRuntime

__all__ = ["AsyncLocalRuntime", "CircuitBreaker", "CircuitBreakerConfig", "LocalRuntime", "ParallelRuntime"]
