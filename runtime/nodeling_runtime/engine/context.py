"""Who sees which write. Pure: values are bytes, and steps are bits.

A frame belongs to one run of one scope and keeps every write under its key, with the step that
made it. A step's view is the set of its ancestors that had succeeded when it became ready; reading
a key takes the newest of the visible writes in causal order. Two visible writes of which neither
follows the other are a conflict unless they are equal or the step says how to merge. Nothing is
copied when a step starts, so a chain of ten thousand writing steps costs ten thousand entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Literal

from nodeling._dataclass import dataclass
from nodeling.errors import WorkflowError
from nodeling_runtime.values import Value, json_equal
from nodeling_runtime.workflow.plan import Plan

Merge = Literal["last", "deep"]


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one key; no data means that the key was deleted."""

    step: int
    data: bytes | None
    who: str


Delta = Mapping[str, Write]
UNWRITTEN: Delta = MappingProxyType({})
UNNAMED: Mapping[str, Any] = MappingProxyType({})


class ConflictError(WorkflowError):
    """Two steps wrote different values under one key, and neither follows the other."""

    default_code = "context.conflict"


@dataclass(slots=True)
class Frame:
    """The writes of one run of one scope, above the view of the step that holds the scope."""

    plan: Plan
    parent: View | None
    base: Mapping[str, Write]
    outputs: list[Value | None] = field(default_factory=list)
    records: list[Any] = field(default_factory=list)
    _writes: dict[str, list[Write]] = field(default_factory=dict)
    _writers: dict[str, int] = field(default_factory=dict)  # the same steps as bits
    _contested: dict[str, None] = field(default_factory=dict)
    _failed: dict[int, Delta] = field(default_factory=dict)
    is_calm: bool = True  # nothing that was written is contested, or only for some to see
    epoch: Callable[[float], float] | None = None  # a moment of the run's clock on the world's; at the top

    def __post_init__(self) -> None:
        count = len(self.plan.steps)
        self.outputs = [None] * count
        self.records = [None] * count

    def let_go(self) -> None:
        """Nobody asks for its steps any more."""
        self.outputs, self.records = [], []

    def write(self, step: int, delta: Mapping[str, Write]) -> None:
        """Keep what a step that succeeded wrote."""
        for key, write in delta.items() if delta else ():
            held = self._writes.setdefault(key, [])
            held.append(Write(step, write.data, write.who))
            self._writers[key] = self._writers.get(key, 0) | 1 << step
            if len(held) > 1:
                self._contested[key] = None
                self.is_calm = False

    def write_failed(self, step: int, delta: Mapping[str, Write]) -> None:
        """Keep what a failed step wrote, for those few who may see it."""
        if delta:
            self.is_calm = False
            self._failed[step] = {key: Write(step, w.data, w.who) for key, w in delta.items()}

    def view(
        self,
        visible: int,
        merge: Merge | None,
        *,
        failed: Iterable[int] = (),
        is_handler: bool = False,
    ) -> View:
        """What a step sees. `failed` names the failed steps whose writes it may see.

        Raises:
            ConflictError: Two visible writes differ and nothing says how to merge them.
        """
        if self.is_calm:
            return View(self, visible)
        extra: dict[str, list[Write]] = {}
        for step in failed:
            for key, write in self._failed.get(step, {}).items():
                extra.setdefault(key, []).append(write)
        resolved: dict[str, Write] = {}
        how = merge or ("last" if is_handler else None)
        for key in {**self._contested, **extra}:
            found = self._resolve(key, self._last_words(key, visible, extra.get(key, ())), how)
            if found is not None:
                resolved[key] = found
        merged = {k: w for k, w in resolved.items() if w.step < 0 and not is_handler}
        return View(self, visible, resolved, merged)

    def _last_words(self, key: str, visible: int, extra: Iterable[Write]) -> list[Write]:
        """The visible writes of a key that no visible descendant overrides, in declaration order.

        Walking back from the newest write, each that is met hides its ancestors, and the walk ends when
        nothing is left: in a chain at once. A step that did not wait for all its sources may have ended
        before one of them, so what was met is looked through once more.
        """
        ancestors = self.plan.ancestors
        left = visible & self._writers.get(key, 0)
        met = list(extra)
        hidden = 0
        for write in met:
            hidden |= ancestors[write.step]
        left &= ~hidden
        for write in reversed(self._writes.get(key, ())) if left else ():
            if left >> write.step & 1:
                met.append(write)
                hidden |= ancestors[write.step]
                left &= ~(hidden | 1 << write.step)
                if not left:
                    break
        return sorted((w for w in met if not hidden >> w.step & 1), key=lambda write: write.step)

    def _resolve(self, key: str, top: list[Write], merge: Merge | None) -> Write | None:
        """The one write that stands, or a merged one with the step -1."""
        if not top:
            return None
        first = top[0]
        rivals = [write for write in top[1:] if not same(first.data, write.data)]
        if not rivals:
            return first
        if merge == "last":
            return Write(-1, top[-1].data, top[-1].who)
        if merge == "deep":
            return Write(-1, deep_merge([w.data for w in top]), " and ".join(w.who for w in top))
        raise conflict(key, first, rivals[0])

    def latest(self, key: str, visible: int) -> Write | None:
        """The visible write of an uncontested key."""
        if not visible & self._writers.get(key, 0):
            return None
        return next((w for w in reversed(self._writes[key]) if visible >> w.step & 1), None)

    def keys(self) -> Iterable[str]:
        """Every key somebody wrote here."""
        return self._writes.keys()

    def leaving(self, visible: int, merge: Merge | None) -> dict[str, Write]:
        """What the scope leaves behind: its end is a join of all that succeeded.

        Raises:
            ConflictError: As in `view`.
        """
        view = self.view(visible, merge)
        out: dict[str, Write] = {}
        for key in self._writes:
            write = view.write(key, own_frame=True)
            if write is not None:
                out[key] = write
        return out


class View:
    """One step's snapshot."""

    __slots__ = ("frame", "merged", "names", "resolved", "visible")

    def __init__(
        self,
        frame: Frame,
        visible: int,
        resolved: Delta = UNWRITTEN,
        merged: Delta = UNWRITTEN,
        names: Mapping[str, Any] = UNNAMED,
    ) -> None:
        self.frame = frame
        self.visible = visible
        self.resolved = resolved
        self.merged = merged
        self.names = names  # item, index and their like, where a container gave some

    def behind(self, record: Any, delta: Delta, index: int) -> View:
        """What a step would see behind one that saw this, stands alone in its scope, and has ended."""
        frame = Frame(self.frame.plan, self.frame.parent, self.frame.base)
        frame.records[index] = record
        if record.status != "succeeded":
            return View(frame, 0, names=self.names)
        frame.outputs[index] = record.output
        frame.write(index, delta)
        return View(frame, 1 << index, names=self.names)

    def write(self, key: str, *, own_frame: bool = False) -> Write | None:
        """The write that a read of `key` finds; a deletion is a write without data."""
        view: View | None = self
        while view is not None:
            found = view.resolved.get(key) or view.frame.latest(key, view.visible)
            if found is not None or own_frame:
                return found
            frame = view.frame
            if key in frame.base:
                return frame.base[key]
            view = frame.parent
        return None

    def output_of(self, key: str) -> Value | None:
        """The output that stands in `ctx.vars` under a visible step's name."""
        view: View | None = self
        while view is not None:
            step = view.frame.plan.index.get(key)
            if step is not None and view.visible >> step & 1:
                return view.frame.outputs[step] if view.frame.plan.steps[step].set_var is not False else None
            view = view.frame.parent
        return None

    def keys(self) -> list[str]:
        """Every key that can be read, outputs included."""
        found: dict[str, None] = {}
        view: View | None = self
        while view is not None:
            frame = view.frame
            for key in (*frame.keys(), *view.resolved, *frame.base):
                found.setdefault(key)
            for name, step in frame.plan.index.items():
                if (
                    view.visible >> step & 1
                    and frame.outputs[step] is not None
                    and frame.plan.steps[step].set_var is not False
                ):
                    found.setdefault(name)
            view = frame.parent
        return [key for key in found if self.readable(key)]

    def readable(self, key: str) -> bool:
        """Whether a read of `key` finds a value."""
        if self.output_of(key) is not None:
            return True
        write = self.write(key)
        return write is not None and write.data is not None


def same(one: bytes | None, other: bytes | None) -> bool:
    """Whether two writes are equal as JSON; two deletions are."""
    if one is None or other is None:
        return one is other
    return one == other or json_equal(Value.from_checked(one).shared(), Value.from_checked(other).shared())


def conflict(key: str, one: Write, other: Write) -> ConflictError:
    """The error that names both writers."""
    return ConflictError(
        f"{one.who} and {other.who} both wrote {key!r}, with different values, and neither follows the other",
        hint="order them with `needs`, write under other keys, or set `merge: last` or `merge: deep` here",
        details={"key": key, "writers": [one.who, other.who]},
    )


def join_deltas(deltas: Iterable[Delta], merge: Merge | None) -> dict[str, Write]:
    """Writes of children that do not follow one another, made one under a step's `merge`.

    Raises:
        ConflictError: Two of them differ and nothing says how to merge them.
    """
    found: dict[str, list[Write]] = {}
    for delta in deltas:
        for key, write in delta.items():
            found.setdefault(key, []).append(write)
    out: dict[str, Write] = {}
    for key, writes in found.items():
        first = writes[0]
        rival = next((w for w in writes[1:] if not same(w.data, first.data)), None)
        if rival is None:
            out[key] = first
        elif merge == "last":
            out[key] = writes[-1]
        elif merge == "deep":
            out[key] = Write(-1, deep_merge([w.data for w in writes]), " and ".join(w.who for w in writes))
        else:
            raise conflict(key, first, rival)
    return out


def deep_merge(datas: Iterable[bytes | None]) -> bytes | None:
    """Objects key by key, arrays one after the other without repeats, anything else the latest."""
    merged: Any = None
    present = False
    for data in datas:
        if data is None:
            merged, present = None, False
        elif not present:
            merged, present = Value.from_checked(data).fresh(), True
        else:
            merged = _deep(merged, Value.from_checked(data).fresh())
    return Value.of(merged).data if present else None


def _deep(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        out = dict(one)
        for key, value in other.items():
            out[key] = _deep(out[key], value) if key in out else value
        return out
    if isinstance(one, list) and isinstance(other, list):
        joined: list[Any] = []
        for value in (*one, *other):
            if not any(json_equal(value, held) for held in joined):
                joined.append(value)
        return joined
    return other
