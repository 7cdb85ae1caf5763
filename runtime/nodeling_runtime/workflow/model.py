"""A workflow as the engine knows it: frozen, resolved, with nothing left to look up.

Front doors lower to the native document, `load` lowers that to these values, and everything
behind reads only them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from nodeling._dataclass import dataclass
from nodeling_runtime.documents.reader import Document
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.registry import NodeSpec

Trigger = Literal["body", "on_error", "always"]
Merge = Literal["last", "deep"]
ON_WORDS = ("success", "failure", "done", "skipped", "any")


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of `needs`."""

    source: str
    on: frozenset[str]
    condition: Template | None
    pointer: str


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failed attempt is repeated, and after how long."""

    attempts: int = 1
    delay_ms: float = 1_000.0
    max_delay_ms: float = 60_000.0
    factor: float = 2.0
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    jitter: bool = True
    on: tuple[int | str, ...] | None = None
    unless: tuple[int | str, ...] = ()  # types and codes of errors that are never tried again


@dataclass(frozen=True, slots=True)
class Circuit:
    """When a node that fails is not called any more, and for how long."""

    failures: int = 5
    window_ms: float = 60_000.0
    cooldown_ms: float = 30_000.0


@dataclass(frozen=True, slots=True)
class Cache:
    """By what else than its inputs a step's output is known, and how long it holds: for ever by default."""

    key: Template | None = None
    ttl_ms: float | None = None
    any_inputs: bool = False  # the key alone says which output it is, whatever the inputs


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A place in a container's keys that holds no value: children, or an expression kept for later."""

    path: tuple[str | int, ...]
    kind: Literal["step", "steps", "expression", "template", "workflow", "duration", "list"]
    pointer: str
    scope: Scope | None = None
    expression: Template | None = None
    workflow: Workflow | None = None
    names: tuple[str, ...] = ()  # what its expressions may call by name, as in `item`


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step, resolved."""

    name: str
    index: int
    node: str
    spec: NodeSpec
    pointer: str
    type: str | None = None
    inputs: Template | None = None
    inputs_pointer: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameters_pointer: str = ""
    config: Template | None = None
    config_pointer: str = ""
    links: tuple[Link, ...] | None = None
    needed: int = 0  # how many links must be satisfied; 0 stands for all of them
    condition: Template | None = None
    trigger: Trigger = "body"
    retry: Retry = Retry()
    circuit: Circuit | None = None
    cache: Cache | None = None
    timeout_ms: float | Template | None = None
    deadline_ms: float | Template | None = None
    continues: bool = False
    on_lost: Literal["again", "fail"] | None = None  # a call that died with its runner; None: by its effects
    recovers: bool = False
    merge: Merge | None = None
    set_var: bool | str | None = None
    active: bool = True
    stops: bool = False
    slots: tuple[Slot, ...] = ()
    description: str = ""

    @property
    def is_container(self) -> bool:
        """Whether the step's node runs children."""
        return self.spec.manifest.flow


@dataclass(frozen=True, eq=False)
class Scope:
    """A list of steps that see one another, or of independent children."""

    steps: tuple[Step, ...]
    pointer: str
    ordered: bool
    independent: bool = False
    single: bool = False
    stop_on_failure: bool = False
    output: Template | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a whole run."""

    max_concurrent: int | None = None
    timeout_ms: float | None = None
    cleanup_timeout_ms: float = 30_000.0
    estimated_duration_ms: float | None = None
    env: tuple[str, ...] = ()
    max_runs: int | None = None
    when_full: Literal["queue", "refuse", "cancel_oldest"] = "queue"
    suspends: bool = False  # a failure that nobody takes up suspends the run


@dataclass(frozen=True, eq=False)
class Workflow:
    """A whole workflow."""

    name: str
    version: str
    description: str
    scope: Scope
    settings: Settings
    inputs: Mapping[str, Any] | bool | None
    document: Document
    labels: Mapping[str, Any] = field(default_factory=dict)
