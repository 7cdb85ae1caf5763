"""The outline laid out as nested boxes: children inside their container, handlers below the body.

Groups are laid out from the innermost out, without recursion. A group with very many members shows some of
them, those that ended badly among them, and says how many it leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import field

from nodeling._dataclass import dataclass
from nodeling_runtime.graph.outline import INDEPENDENT, Edge, Group, Outline
from nodeling_runtime.report.layers import ROW_GAP, Point, lay_out
from nodeling_runtime.workflow.model import Trigger
from nodeling_runtime.workflow.plan import PHASES

MOST_SHOWN = 60  # members of one group
MOST_BAD = 20  # members shown beyond those, because they ended badly
BOX_HEIGHT = 44.0
MORE_HEIGHT = 30.0
LETTER = 7.4
NARROWEST, WIDEST = 110.0, 230.0
HEAD = 46.0  # a container's own lines
TITLE = 24.0  # a group's title
PAD = 14.0

Size = tuple[float, float]


@dataclass(slots=True)
class Box:
    """A rectangle, its corner counted from the picture's."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Band:
    """One phase of one group: its place inside the group, and what it holds."""

    trigger: Trigger
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    members: list[int] = field(default_factory=list)
    places: list[Point] = field(default_factory=list)
    routes: list[tuple[Edge, list[Point]]] = field(default_factory=list)


@dataclass(slots=True)
class GroupLayout:
    """One group, before it is put in its place."""

    width: float = 0.0
    height: float = 0.0
    bands: list[Band] = field(default_factory=list)
    hidden: int = 0


@dataclass(slots=True)
class Layout:
    """Where everything stands."""

    width: float = 0.0
    height: float = 0.0
    nodes: dict[int, Box] = field(default_factory=dict)
    groups: dict[int, Box] = field(default_factory=dict)
    handlers: list[tuple[Trigger, Box]] = field(default_factory=list)
    links: list[tuple[Edge, list[Point]]] = field(default_factory=list)
    hidden: dict[int, tuple[Box, int]] = field(default_factory=dict)


def lay_out_drawing(drawing: Outline, bad: Collection[int] = ()) -> Layout:
    """Place every step that is shown; `bad` are steps that must be."""
    return _Placing(drawing, bad).place()


def box_width(name: str, node: str) -> float:
    """How wide a step's box is for its texts."""
    return min(max(len(name) * LETTER + 42, (len(node) + 10) * LETTER * 0.82 + 24, NARROWEST), WIDEST)


class _Placing:
    """One layout under way."""

    def __init__(self, drawing: Outline, bad: Collection[int]) -> None:
        self.drawing = drawing
        self.bad = frozenset(bad)
        self.edges: dict[int, list[Edge]] = {}
        for edge in drawing.edges:
            self.edges.setdefault(drawing.nodes[edge.source].group, []).append(edge)
        self.made: dict[int, GroupLayout] = {}

    def place(self) -> Layout:
        wanted = self._wanted()
        for group in reversed(wanted):
            self.made[group.id] = self._group(group)
        whole = self.made[0]
        layout = Layout(whole.width + 2 * PAD, whole.height + 2 * PAD)
        layout.groups[0] = Box(PAD, PAD, whole.width, whole.height)
        for group in wanted:
            self._put(layout, group)
        return layout

    def _wanted(self) -> list[Group]:
        """The groups all of whose containers are shown."""
        shown = set(self._shown(self.drawing.top))
        wanted = [self.drawing.top]
        for group in self.drawing.groups[1:]:
            if group.owner in shown:
                wanted.append(group)
                shown.update(self._shown(group))
        return wanted

    def _shown(self, group: Group) -> list[int]:
        if len(group.members) <= MOST_SHOWN:
            return list(group.members)
        order = [i for phase in PHASES for wave in group.waves[phase] for i in wave]
        kept = set(order[:MOST_SHOWN])
        kept.update([i for i in order if i in self.bad][:MOST_BAD])
        return [i for i in group.members if i in kept]

    # -- sizes, from the inside out

    def _group(self, group: Group) -> GroupLayout:
        shown = self._shown(group)
        made = GroupLayout(hidden=len(group.members) - len(shown))
        at = 0.0
        for trigger in PHASES:
            members = [i for i in shown if self.drawing.nodes[i].trigger == trigger]
            if not members:
                continue
            band = (
                self._grid(members) if group.kind == INDEPENDENT else self._columns(group, trigger, members)
            )
            head = 0.0 if trigger == "body" else TITLE + PAD
            band.y = at + head
            band.x = 0.0 if trigger == "body" else PAD
            at += head + band.height + (0.0 if trigger == "body" else PAD) + ROW_GAP
            made.width = max(made.width, band.width + 2 * band.x)
            made.bands.append(band)
        if made.hidden:
            at += MORE_HEIGHT + ROW_GAP
        made.height = max(at - ROW_GAP, 0.0)
        made.width = max(made.width, NARROWEST * 2 if made.hidden else NARROWEST)
        return made

    def _columns(self, group: Group, trigger: Trigger, members: list[int]) -> Band:
        place = {i: position for position, i in enumerate(members)}
        waves = ([place[i] for i in wave if i in place] for wave in group.waves[trigger])
        columns = [wave for wave in waves if wave]
        inside = [e for e in self.edges.get(group.id, ()) if e.source in place and e.target in place]
        links = [(place[e.source], place[e.target]) for e in inside]
        found = lay_out([self._size(i) for i in members], columns, links)
        routes = list(zip(inside, found.routes, strict=True))
        return Band(trigger, 0.0, 0.0, found.width, found.height, members, found.boxes, routes)

    def _grid(self, members: list[int]) -> Band:
        """Independent children: rows and columns, about as wide as high."""
        sizes = [self._size(i) for i in members]
        columns = min(6, max(1, math.ceil(math.sqrt(len(members) / 2)))) if len(members) > 4 else 1
        wide = [max(size[0] for size in sizes[column::columns]) for column in range(columns)]
        places: list[Point] = []
        y = 0.0
        for start in range(0, len(members), columns):
            row = sizes[start : start + columns]
            places.extend((sum(wide[:column]) + column * ROW_GAP, y) for column in range(len(row)))
            y += max(size[1] for size in row) + ROW_GAP
        width = sum(wide) + (columns - 1) * ROW_GAP
        return Band("body", 0.0, 0.0, width, y - ROW_GAP, members, places)

    def _size(self, node: int) -> Size:
        step = self.drawing.nodes[node]
        width = box_width(step.name, step.node)
        inner = self.drawing.groups_of(node)
        if not inner:
            return width, BOX_HEIGHT
        sizes = [self.made[group.id] for group in inner]
        width = max(width, *(size.width + 4 * PAD for size in sizes))
        return width, HEAD + sum(size.height + TITLE + 2 * PAD for size in sizes)

    # -- places, from the outside in

    def _put(self, layout: Layout, group: Group) -> None:
        made, corner = self.made[group.id], layout.groups[group.id]
        for band in made.bands:
            x, y = corner.x + band.x, corner.y + band.y
            if band.trigger != "body":
                frame = Box(
                    x - PAD, y - TITLE - PAD / 2, band.width + 2 * PAD, band.height + TITLE + 1.5 * PAD
                )
                layout.handlers.append((band.trigger, frame))
            for node, (dx, dy) in zip(band.members, band.places, strict=True):
                width, height = self._size(node)
                layout.nodes[node] = Box(x + dx, y + dy, width, height)
                self._put_inside(layout, node)
            for edge, points in band.routes:
                layout.links.append((edge, [(x + px, y + py) for px, py in points]))
        if made.hidden:
            bottom = corner.y + made.height - MORE_HEIGHT
            layout.hidden[group.id] = (Box(corner.x, bottom, corner.width, MORE_HEIGHT), made.hidden)

    def _put_inside(self, layout: Layout, node: int) -> None:
        box = layout.nodes[node]
        y = box.y + HEAD
        for group in self.drawing.groups_of(node):
            made = self.made[group.id]
            left = box.x + (box.width - made.width) / 2
            layout.groups[group.id] = Box(left, y + TITLE, made.width, made.height)
            y += made.height + TITLE + 2 * PAD
