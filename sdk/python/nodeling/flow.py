"""What a container is written against.

A container is a node whose class is a `FlowNode`. It decides; the engine does. The container
says which child to start, how many at once, what a failure means and which writes leave with
its result; the engine gives every child its own context snapshot, its retries, its deadline,
its events and its end. The containers that nodeling ships use nothing but this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, Protocol

from nodeling._dataclass import dataclass
from nodeling._python import SLOTS
from nodeling.context import Context
from nodeling.errors import NodeError

__all__ = ["Child", "ChildRun", "Expression", "Flow", "FlowNode", "Pool", "Start", "outcome_of", "truth_of"]

ChildStatus = Literal["running", "succeeded", "failed", "skipped", "cancelled"]


@dataclass(frozen=True, **SLOTS)
class Child:
    """A step, or a scope of steps, that the container's document holds under one of its keys.

    In the manifest's `config` schema a key is a child when its schema says
    `"x-nodeling": "step"` (one step, or a list of steps that run as one scope),
    `"x-nodeling": "steps"` (a list of steps, each a child of its own) or
    `"x-nodeling": "workflow"` (the file of another workflow). Four more annotations hold no child:
    `"expression"` is a condition that is kept and evaluated when the container asks, `"template"` any value
    with expressions in it that is kept likewise, `"duration"` arrives as
    milliseconds, and the items of a `"list"` arrive as handles to be passed on in `Start.vars`,
    so that a long list is never copied. `"x-nodeling-names": ["item"]` lists the names that
    `Start.vars` gives the expressions of a child; `{key}` in one stands for that key's value.
    """

    name: str
    index: int = 0
    handle: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, **SLOTS)
class Expression:
    """A key marked `expression` or `template` by `x-nodeling`: evaluated when the container asks."""

    source: str
    handle: object = field(default=None, repr=False, compare=False)


@dataclass(**SLOTS)
class Start:
    """One child to be started: which, under what key, and what it alone gets to see.

    Args:
        child: The step or scope to run.
        key: Tells two starts of one child apart; by default the count of its starts.
        vars: Names its expressions may use, such as `item` and `index`.
        inputs: Values laid over the child's own inputs.
        after: Runs whose writes this child sees, in causal order.
        error: What `ctx.error` is for this child: the failure it is there to handle.
        cleanup: This child cleans up: it may start, and runs to its end, while the container itself is
            being ended. Start it in a `finally:` block, for there the container's code is interrupted.
    """

    child: Child
    key: str | int | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] | None = None
    after: Sequence[ChildRun] = ()
    error: Mapping[str, Any] | None = None
    cleanup: bool = False


class ChildRun(Protocol):
    """One run of one child. Statuses and errors are final once `wait` has returned."""

    @property
    def child(self) -> Child:
        """What runs."""

    @property
    def name(self) -> str:
        """The child's step name."""

    @property
    def index(self) -> int:
        """Its place in the order of starts."""

    @property
    def status(self) -> ChildStatus:
        """`running` until it has ended."""

    @property
    def output(self) -> Any:
        """A copy of the child's output; None unless it succeeded."""

    @property
    def unread(self) -> Any:
        """The same for the container's own output: what is large in it is handed on without being read."""

    @property
    def error(self) -> dict[str, Any] | None:
        """`{code, message, attempts, duration_ms, details}` of a child that failed."""

    @property
    def handled(self) -> bool:
        """The child failed and said `on_error: continue`."""

    async def wait(self) -> ChildRun:
        """Wait for its end. Never raises for a failed child: read `status`."""

    def cancel(self, reason: str = "cancelled") -> None:
        """End it, for real: processes die, coroutines are cancelled, threads are abandoned."""


class Pool(Protocol):
    """Runs many children, never more at once than its limit, and counts what happened."""

    async def run(
        self, starts: Iterable[Start], *, settled: Callable[[ChildRun], object] | None = None
    ) -> list[ChildRun]:
        """Run the children and return them in the order they were given.

        `settled` is called with each child as it ends, in order of completion. May be called
        again on the same pool: a barrier lies between the calls, the counts go on.
        """

    def cancel(self, reason: str = "cancelled") -> None:
        """Start nothing more and end what runs; `run` returns once all have ended."""

    def execution_info(self, strategy: str | None = None) -> dict[str, Any]:
        """The counts, times and children measured by the engine."""

    @property
    def expired(self) -> bool:
        """The pool's own deadline ended it."""


class Flow(Protocol):
    """The engine, as a container sees it."""

    def start(self, start: Start | Child) -> ChildRun:
        """Start one child at once."""

    def pool(
        self,
        *,
        limit: int,
        timeout_ms: float | None = None,
        deadline_ms: float | None = None,
        strategy: str | None = None,
    ) -> Pool:
        """Open a pool: at most `limit` at once, each child bounded, all of them bounded.

        `strategy` is a word for the execution info, also where the container is cut short.
        """

    def adopt(self, *runs: ChildRun) -> None:
        """Let the writes of these children leave with the container's result.

        Writes of children that do not follow one another and differ are a conflict, judged by
        the step's `merge`.
        """

    def evaluate(
        self, expression: Expression, vars: Mapping[str, Any] | None = None, after: Sequence[ChildRun] = ()
    ) -> Any:
        """Evaluate a key that was kept as an expression."""

    def now(self) -> float:
        """Seconds since the epoch, the same again when a recorded run is resumed."""

    def random(self) -> float:
        """A number in [0, 1), the same again when a recorded run is resumed."""


class FlowNode:
    """Derive from this to write a container.

    `inputs` holds the step's keys as the manifest's `config` schema lists them: values
    evaluated, children as `Child`, kept expressions as `Expression`.
    """

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Run the children and return the container's output."""
        raise TypeError(f"{type(self).__name__} must define `async def handle(self, ctx, inputs, flow)`")


def outcome_of(run: ChildRun, *, unread: bool = False) -> Any:
    """What a child gave; null for one that was skipped or whose failure is handled.

    A container that only hands it on asks for it `unread`.

    Raises:
        NodeError: It failed or was cancelled; the error is the child's, with its step beside it.
    """
    if run.status == "failed" and not run.handled:
        error = run.error or {}
        details = {"step": error.get("node"), **error.get("details", {})}
        raise NodeError(
            str(error.get("message")),
            code=error.get("code"),
            retryable=error.get("retryable"),
            details=details,
        )
    if run.status == "cancelled":
        raise NodeError(f"{run.name} was cancelled", code=9006, retryable=False)
    return run.unread if unread else run.output


def truth_of(value: Any, what: str) -> bool:
    """What a condition gave, which must be true or false.

    Raises:
        NodeError: It is neither; nothing else stands for either of them.
    """
    if not isinstance(value, bool):
        text = repr(value)
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        raise NodeError(
            f"{what} gave {shown}, which is neither true nor false", code="expr.type", retryable=False
        )
    return value
