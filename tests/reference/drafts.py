"""Drawing the parts of a random scenario: scopes, steps, links, conditions, scripts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reference.model import (
    Attempt,
    Condition,
    Const,
    Execution,
    Json,
    Kind,
    Link,
    Merge,
    Raises,
    Retry,
    StatusIs,
    Step,
    Trigger,
    VarEquals,
)

KEYS = ("k1", "k2", "k3")
VALUES: tuple[Json, ...] = (
    1,
    2,
    "x",
    {"a": 1},
    {"a": 2, "b": {"c": 1}},
    {"b": {"d": [1]}},
    [1, 2],
    [2, 3],
    None,
)
STATUSES = ("succeeded", "failed", "skipped", "cancelled")
CONTAINERS: tuple[Kind, ...] = ("sequence", "parallel", "try")
CODES = (4000, 5000, 5001, 5005, 4001, 4010, 4100)


@dataclass(slots=True)
class Place:
    """Where a step is drawn, and what it may refer to."""

    depth: int
    outer: tuple[str, ...]
    ancestors: tuple[str, ...] = ()
    phase: Trigger = "body"
    fragile: bool = False
    """Whether this step ought to fail now and then more often than others."""

    def referable(self) -> tuple[str, ...]:
        return self.outer + self.ancestors


@dataclass(slots=True)
class Drawer:
    """Draws steps until its budget is spent."""

    rng: random.Random
    left: int
    failing: float = 0.2
    writing: float = 0.22
    odd: float = 1.0
    repair: int = 20
    focus: Kind | None = None
    """How often the rarer keys appear, against their usual frequency; `repair` weighs failure links,
    and `focus` is the kind of the first step drawn."""
    count: int = 0
    outputs: int = 0
    silent: set[str] = field(default_factory=set)
    """Steps whose output may be null instead of raising when it is missing."""

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def name(self) -> str:
        self.count += 1
        return f"s-{self.count}" if self.chance(0.15) else f"s{self.count}"

    # -- scopes ---------------------------------------------------------------------------------

    def scope(self, size: int, depth: int, outer: tuple[str, ...]) -> tuple[Step, ...]:
        """One scope with its phases; at most `size` steps, those of inner scopes included."""
        self.left = min(self.left, size)
        handlers = self.rng.randint(0, 2) if size >= 4 and self.chance(0.55) else 0
        cleanups = self.rng.randint(0, 2) if size >= 5 and self.chance(0.5) else 0
        size -= handlers + cleanups
        ordered = self.chance(0.3)
        keep, self.left = self.left, size
        body = self.phase("body", size, depth, outer, ordered)
        body_names = tuple(step.name for step in body)
        self.left = keep - size
        on_error = self.phase("on_error", handlers, depth, outer, ordered, body_names)
        earlier = body_names + tuple(step.name for step in on_error)
        always = self.phase("always", cleanups, depth, outer, ordered, earlier)
        if not ordered and all(step.needs is None for step in (*body, *on_error, *always)):
            body = [replace(body[0], needs=()), *body[1:]]
        steps = [*body, *on_error, *always]
        if not ordered and self.chance(0.3):
            self.rng.shuffle(steps)
        return tuple(steps)

    def phase(
        self,
        phase: Trigger,
        size: int,
        depth: int,
        outer: tuple[str, ...],
        ordered: bool,
        earlier: tuple[str, ...] = (),
    ) -> list[Step]:
        """The steps of one phase; a container among them takes its children from `size`."""
        steps: list[Step] = []
        above: dict[str, set[str]] = {}
        if (
            phase == "body"
            and not ordered
            and not self.focus
            and size >= (3 if depth == 0 else 2)
            and self.chance(0.6)
        ):
            self.motif(steps, above, size)
        spent = len(steps)
        while spent < size:
            if ordered:
                links, known = None, {step.name for step in steps}
            else:
                links, known = self.links(steps, above)
            place = Place(depth, outer, tuple(sorted(known | set(earlier))), phase, self.chance(self.failing))
            before = self.count
            step = self.step(place, links, size - spent)
            spent += self.count - before
            above[step.name] = known
            steps.append(step)
        return steps

    def motif(self, steps: list[Step], above: dict[str, set[str]], room: int) -> None:
        """Two or three steps to begin a scope with, such as chance alone brings together too seldom."""
        kinds = ["meeting"] * 5 + ["repair"] * 3 if room >= 3 else []
        kind = self.rng.choice([*kinds, "writers", "writers"])
        if kind == "repair":
            steps += [self.writer(fail=True), self.writer(fail=False)]
            broken = steps[0].name
            condition = Raises() if self.chance(0.15) else None
            on = ("failure",) if self.chance(0.7) else ("failure", "success")
            steps.append(replace(self.writer(fail=False), needs=(Link(broken, on, condition),)))
            above.update({steps[0].name: set(), steps[1].name: set(), steps[2].name: {broken}})
            return
        writers = [self.writer(fail=False) for _ in range(2)]
        steps += writers
        above.update((writer.name, set()) for writer in writers)
        if kind == "meeting":
            links = tuple(Link(writer.name) for writer in writers)
            merge: Merge | None = self.rng.choice([None, None, "last", "last", "deep", "deep"])
            steps.append(replace(self.writer(fail=False), needs=links, merge=merge))
            above[steps[-1].name] = {writer.name for writer in writers}

    def writer(self, fail: bool) -> Step:
        """A leaf without links that writes the first key."""
        attempt = self.attempt(fail)
        assigned = {**attempt.set, KEYS[0]: self.rng.choice(VALUES)}
        kept = tuple(key for key in attempt.delete if key != KEYS[0])
        return Step(self.name(), attempts=(replace(attempt, set=assigned, delete=kept),))

    def links(
        self, steps: list[Step], above: dict[str, set[str]]
    ) -> tuple[tuple[Link, ...] | None, set[str]]:
        """Links to some of the steps drawn before, and the ancestors that they bring."""
        if not steps or self.chance(0.32):
            return (None if self.chance(0.5) else ()), set()
        tips = [step for step in steps if not any(step.name in names for names in above.values())]
        pool = tips if self.chance(0.6) else steps
        sources = self.rng.sample(pool, min(len(pool), self.rng.choice([1, 2, 2, 2, 3])))
        known: set[str] = set()
        links = []
        for source in sources:
            known |= {source.name} | above[source.name]
            links.append(self.link(source, sorted(above[source.name])))
        return tuple(links), known

    def link(self, source: Step, above: list[str]) -> Link:
        words: tuple[str, ...] = ("success", "failure", "done", "skipped", "any")
        skippable = 18 if source.if_ is None and source.active else 150
        on = tuple(self.rng.choices(words, weights=[50, self.repair, 45, skippable, 7]))
        if self.chance(0.12):
            on = tuple(self.rng.sample(words[:4], 2))
        if not self.chance(0.4 * self.odd):
            return Link(source.name, on)
        about = StatusIs(self.rng.choice([source.name, *above]), self.rng.choice(STATUSES))
        options: list[Condition] = [Const(True), Const(True), Const(False), about, Raises()]
        return Link(source.name, on, self.rng.choice(options))

    # -- steps ----------------------------------------------------------------------------------

    def step(self, place: Place, links: tuple[Link, ...] | None, room: int) -> Step:
        """A leaf or, where there is room, a container."""
        name = self.name()
        likely = 0.5 if place.phase == "body" else 0.08
        focus, self.focus = self.focus, None
        kind: Kind = "leaf"
        if room >= 3 and place.depth < 2 and (focus is not None or self.chance(likely)):
            kind = self.rng.choice(CONTAINERS) if focus is None else focus
        keys: dict[str, Any] = self.common(place, links)
        if kind == "leaf":
            keys.update(self.leaf(place))
        else:
            keys.update(self.container(kind, place, room))
        step = Step(name, kind, needs=links, **keys)
        if not step.active or step.on_error_continue:
            self.silent.add(name)
        return step

    def common(self, place: Place, links: tuple[Link, ...] | None) -> dict[str, Any]:
        """What leaves and containers have in common."""
        keys: dict[str, Any] = {"trigger": place.phase}
        if links and len(links) > 1 and self.chance(0.45):
            keys["join"] = self.rng.choice(["any", self.rng.randint(1, len(links))])
        elif links and self.chance(0.3):
            keys["join"] = self.rng.choice(["any", 1])
        if self.chance(0.13 * self.odd):
            keys["if_"] = self.condition(place)
        keys["active"] = not self.chance(0.05 * self.odd)
        keys["on_error_continue"] = self.chance(0.08 * self.odd)
        if place.phase == "body" and self.chance(0.16):
            keys["stop"] = True
        if place.phase == "on_error":
            keys["recover"] = self.chance(0.6)
        if (links is None or len(links) > 1) and self.chance(0.55):
            keys["merge"] = self.rng.choice(["last", "deep"])
        return keys

    def condition(self, place: Place) -> Condition:
        options: list[Condition] = [Const(True), Const(False), Raises()]
        known = place.referable()
        if known:
            options += [VarEquals(self.rng.choice(KEYS), self.rng.choice((1, 2, "x")))] * 2
            name = self.rng.choice(known)
            options += [StatusIs(name, self.rng.choice(STATUSES))] * 4
            if name not in self.silent:
                options.append(Raises(name))
        return self.rng.choice(options)

    def ms(self) -> int:
        return self.rng.randint(400, 20_000)

    def leaf(self, place: Place) -> dict[str, Any]:
        """A script, and what is done about its failures."""
        failing = max(0.45, self.failing) if place.fragile else self.failing
        keys: dict[str, Any] = {}
        fails = 1 if self.chance(failing) else 0
        if self.chance(0.28 * self.odd):
            keys["retry"] = self.retry()
            fails = self.rng.randint(1, 3)
        attempts = [self.attempt(fail=True) for _ in range(fails)]
        if not fails or ("retry" in keys and self.chance(0.6)):
            attempts.append(self.attempt(fail=False))
        keys["attempts"] = tuple(attempts)
        longest = max(item.ms for item in attempts)
        if self.chance(0.06 * self.odd):
            keys["timeout_ms"] = self.rng.randint(300, longest + 2_000)
        if self.chance(0.08 * self.odd):
            keys["deadline_ms"] = self.rng.randint(300, 2 * longest)
        if self.chance(0.08):
            keys["set_var"] = self.rng.choice(["v1", "v1", False])
        return keys

    def retry(self) -> Retry:
        on: tuple[int | str, ...] | None = None
        if self.chance(0.55):
            pool: list[int | str] = [*CODES, "timeout", "crash", "transient", "transient"]
            on = tuple(dict.fromkeys(self.rng.sample(pool, self.rng.randint(1, 3))))
        delay = self.rng.randint(200, 5_000) if self.chance(0.8) else None
        greatest = self.rng.randint(3_000, 9_000) if self.chance(0.4) else None
        return Retry(self.rng.randint(2, 4), delay, greatest, on)

    def attempt(self, fail: bool) -> Attempt:
        assigned = {key: self.rng.choice(VALUES) for key in KEYS if self.chance(self.writing)}
        deleted = tuple(key for key in KEYS if key not in assigned and self.chance(0.25 * self.writing))
        if not fail:
            self.outputs += 1
            return Attempt(self.ms(), output=self.outputs, set=assigned, delete=deleted)
        code = self.rng.choice(CODES[:3]) if self.chance(0.75) else self.rng.choice(CODES)
        retryable = self.rng.choice([None, None, None, None, True, False])
        return Attempt(self.ms(), code, retryable, set=assigned, delete=deleted)

    # -- containers -----------------------------------------------------------------------------

    def container(self, kind: Kind, place: Place, room: int) -> dict[str, Any]:
        """The children and settings of a container; it takes at most `room - 1` children."""
        size = min(room - 1, self.rng.randint(2, 6))
        if kind == "parallel":
            return self.parallel(place, size)
        if kind == "try":
            return self.try_lists(place, size)
        inner = self.scope(size, place.depth + 1, place.referable())
        keys: dict[str, Any] = {"body": inner}
        if self.chance(0.3):
            keys["on_failure"] = "stop"
        if self.chance(0.9):
            keys["merge"] = self.rng.choice(["last", "deep"])
        if self.chance(0.1 * self.odd) and not any(_cleans_up(step) for step in inner):
            keys[self.rng.choice(["timeout_ms", "deadline_ms"])] = self.rng.randint(500, 30_000)
        return keys

    def parallel(self, place: Place, size: int) -> dict[str, Any]:
        inside = Place(place.depth + 1, place.referable())
        children = []
        for _ in range(size):
            name = self.name()
            keys = {**self.common(inside, ()), **self.leaf(inside)}
            keys.update(stop=False, on_error_continue=False, merge=None)
            children.append(Step(name, **keys))
        policy: Literal["fail-fast", "continue-partial"] = self.rng.choice(
            ["fail-fast", "continue-partial", "continue-partial"]
        )
        least = self.rng.randint(1, size) if self.chance(0.6) else 0
        execution = Execution(policy, self.rng.choice([1, 2, 3, 5]), least)
        merge: Merge | None = self.rng.choice([None, "last", "deep"])
        return {"body": tuple(children), "execution": execution, "merge": merge}

    def try_lists(self, place: Place, size: int) -> dict[str, Any]:
        """Three short lists of leaves in order."""
        lists: dict[str, tuple[Step, ...]] = {"catch": (), "finally_": ()}
        lists["body"] = self.simple_list(place, max(1, size - 2))
        if size >= 2 and self.chance(0.85):
            lists["catch"] = self.simple_list(place, 1)
        if not lists["catch"] or (size >= 3 and self.chance(0.7)):
            lists["finally_"] = self.simple_list(place, 1)
        return dict(lists)

    def simple_list(self, place: Place, size: int) -> tuple[Step, ...]:
        steps: list[Step] = []
        for _ in range(size):
            known = tuple(step.name for step in steps)
            inside = Place(place.depth + 1, place.referable(), known, fragile=self.chance(0.6))
            name = self.name()
            keys = {**self.common(inside, None), **self.leaf(inside)}
            steps.append(Step(name, **{**keys, "stop": False}))
            if not steps[-1].active or steps[-1].on_error_continue:
                self.silent.add(name)
        return tuple(steps)


def _cleans_up(step: Step) -> bool:
    """Whether something in here runs on after a cancel."""
    return (
        step.trigger == "always" or bool(step.finally_) or any(_cleans_up(child) for child in step.children())
    )
