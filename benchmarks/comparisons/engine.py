"""The engine in its own process: fans, chains, a lattice and sleeps, beside everybody who does the same."""

from __future__ import annotations

from benchmarks.comparisons.stage import Stage, ours, timed
from benchmarks.figures import OURS, Group
from benchmarks.shapes import (
    LENGTH,
    SLEEPERS_AT_ONCE,
    SLEEPS,
    WIDTH,
    add_one,
    chain,
    doze,
    doze_on_a_thread,
    each,
    fan,
    lattice,
    runner,
)

SIDE = 50
WIDE = (100, 1_000, 100_000)
LONG = (100, 10_000)
BARE = "bare asyncio"
LARGE_SECONDS = 12.0  # for the contests of which one round takes seconds


async def groups(stage: Stage) -> list[Group]:
    """Every group of figures of this comparison."""
    return [
        await _fan(stage),
        await _chain(stage),
        await _lattice(stage),
        await _sleeps(stage),
        *await _scale(stage),
    ]


async def _fan(stage: Stage) -> Group:
    stage.say(f"fan-out of {WIDTH}")
    contestants = ours(runner(fan(add_one, WIDTH, WIDTH))) | stage.rivals("fan", WIDTH)
    what = f"{WIDTH} trivial nodes at once, joined; ours check schemas in and out and arm a timeout"
    return Group.of(
        "fan", f"Fan-out of {WIDTH}", what, "us a node", BARE, await stage.contest(contestants), 1e6 / WIDTH
    )


async def _chain(stage: Stage) -> Group:
    stage.say(f"chain of {LENGTH}")
    contestants = ours(runner(chain(LENGTH))) | stage.rivals("chain", LENGTH)
    what = f"{LENGTH} trivial nodes, each fed by the one before"
    times = await stage.contest(contestants)
    return Group.of("chain", f"Chain of {LENGTH}", what, "us a node", BARE, times, 1e6 / LENGTH)


async def _lattice(stage: Stage) -> Group:
    stage.say(f"lattice of {SIDE} x {SIDE}")
    contestants = ours(runner(lattice(SIDE))) | stage.rivals("lattice", SIDE)
    what = f"{SIDE} x {SIDE} nodes, each waits for the one to its left and the one above it"
    times = await stage.contest(contestants)
    return Group.of("lattice", f"Lattice of {SIDE} x {SIDE}", what, "us a node", BARE, times, 1e6 / SIDE**2)


async def _sleeps(stage: Stage) -> Group:
    stage.say("sleeps")
    contestants = {
        f"{OURS}, async": timed(runner(fan(doze, SLEEPS, SLEEPERS_AT_ONCE))),
        f"{OURS}, threads": timed(runner(fan(doze_on_a_thread, SLEEPS, SLEEPERS_AT_ONCE))),
        f"{OURS}, workers": timed(runner(fan("doze-worker", SLEEPS, SLEEPERS_AT_ONCE))),
        **stage.rivals("sleeps", 1),
    }
    what = f"{SLEEPS} sleeps of 100 ms, {SLEEPERS_AT_ONCE} at once: 200 ms is the ideal"
    return Group.of(
        "sleeps", "Ten sleeps", what, "ms", "ideal", _with_ideal(await stage.contest(contestants)), 1e3
    )


def _with_ideal(times: dict[str, list[float]]) -> dict[str, list[float]]:
    ideal = SLEEPS / SLEEPERS_AT_ONCE * 0.1
    return {"ideal": [ideal] * max(map(len, times.values())), **times}


async def _scale(stage: Stage) -> list[Group]:
    """What a node costs when there are many: all sizes of one shape take turns."""
    found = []
    widths, lengths = each(WIDTH), {size: chain(size) for size in LONG}
    shapes = (
        ("wide", "Many children", "fan", WIDE, lambda size: runner(widths, list(range(size)))),
        ("long", "Many steps", "chain", LONG, lambda size: runner(lengths[size])),
    )
    for name, title, work, sizes, make in shapes:
        stage.say(title.lower())
        times: dict[str, list[float]] = {}
        contestants = {f"{OURS}, {size:,}": timed(make(size)) for size in sizes}
        for size in sizes:
            for label, turn in stage.rivals(work, size).items():
                if label in (BARE, "concurrent.futures"):
                    contestants[f"{label}, {size:,}"] = turn
        for label, seconds in (await stage.contest(contestants, LARGE_SECONDS)).items():
            size = int(label.rpartition(", ")[2].replace(",", ""))
            times[label] = [one / size for one in seconds]
        what = f"the cost of one node in a {work} of " + ", ".join(f"{size:,}" for size in sizes)
        found.append(Group.of(name, title, what, "us a node", f"{OURS}, {sizes[0]:,}", times, 1e6))
    return found
