"""The graph as an inline SVG, each step coloured by how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nodeling_runtime.graph.outline import Edge, Group, Node, Outline
from nodeling_runtime.graph.walk import lines_of, title_of
from nodeling_runtime.report.layers import Point
from nodeling_runtime.report.layout import HEAD, LETTER, TITLE, Box, Layout, lay_out_drawing
from nodeling_runtime.report.markup import Markup, el
from nodeling_runtime.report.story import Story, worst
from nodeling_runtime.report.wording import MARKS, clip, count, duration

BAD = ("failed", "cancelled", "running")
HANDLERS = {"on_error": "on error", "always": "always"}
LONGEST_LABEL = 20
FITS = 1_560  # up to this width the picture is shrunk to the page; a wider one scrolls


def draw_picture(drawing: Outline, runs: Mapping[str, Sequence[Story]]) -> Markup:
    """The picture of a run: `runs` are the stories of each step by its path in the document."""
    return _Picture(drawing, runs).draw()


class _Picture:
    """One picture under way."""

    def __init__(self, drawing: Outline, runs: Mapping[str, Sequence[Story]]) -> None:
        self.drawing = drawing
        self.runs = runs
        self.status = {node.id: worst(runs.get(node.path, ())) for node in drawing.nodes}
        bad = [i for i, status in self.status.items() if status in BAD]
        self.layout: Layout = lay_out_drawing(drawing, bad)
        self.critical = {
            pair for each in drawing.groups for pair in zip(each.critical, each.critical[1:], strict=False)
        }

    def draw(self) -> Markup:
        width, height = self.layout.width, self.layout.height
        links: dict[int, list[Markup]] = {}
        for edge, points in self.layout.links:
            links.setdefault(self.drawing.nodes[edge.source].group, []).append(self._link(edge, points))
        parts = [self._arrowheads()]
        parts.extend(self._frame(HANDLERS[trigger], box, "handlers") for trigger, box in self.layout.handlers)
        for group in self.drawing.groups:
            if group.id in self.layout.groups:
                parts.extend(self._group(group, links.get(group.id, [])))
        parts.extend(self._labels())  # over everything, or a box would hide them
        return el(
            "svg",
            *parts,
            xmlns="http://www.w3.org/2000/svg",
            class_="graph fit" if width <= FITS else "graph",
            width=round(width),
            height=round(height),
            viewBox=f"0 0 {width:.0f} {height:.0f}",
            role="img",
            aria_label=f"The graph of {self.drawing.name}",
        )

    def _arrowheads(self) -> Markup:
        heads = []
        for name in ("plain", "detour", "critical"):
            tip = el("path", d="M0 0 L8 4 L0 8 z", class_=f"tip {name}")
            heads.append(
                el(
                    "marker",
                    tip,
                    id=f"tip-{name}",
                    markerWidth=8,
                    markerHeight=8,
                    refX=7.5,
                    refY=4,
                    orient="auto",
                    markerUnits="userSpaceOnUse",
                )
            )
        return el("defs", *heads)

    def _group(self, group: Group, links: list[Markup]) -> Iterator[Markup]:
        if group.owner is not None:
            inside = self.layout.groups[group.id]
            frame = Box(inside.x - 10, inside.y - TITLE, inside.width + 20, inside.height + TITLE + 10)
            yield self._frame(title_of(group), frame, "slot")
        yield from links
        for i in group.members:
            if i in self.layout.nodes:
                yield self._node(self.drawing.nodes[i], self.layout.nodes[i])
        if group.id in self.layout.hidden:
            box, hidden = self.layout.hidden[group.id]
            yield self._more(group, box, hidden)

    def _frame(self, title: str, box: Box, kind: str) -> Markup:
        said = clip(title, max(int((box.width - 12) / (LETTER * 0.88)), 6))
        return el(
            "g",
            el("title", title),
            _rect(box, kind, 8),
            el("text", said, x=box.x + 9, y=box.y + 16, class_="slot-name"),
        )

    def _more(self, group: Group, box: Box, hidden: int) -> Markup:
        held = [self.status[i] for i in group.members if i not in self.layout.nodes]
        tally = ", ".join(f"{held.count(word):,} {word}" for word in MARKS if word in held)
        said = f"and {count(hidden, 'more step')}{f': {tally}' if tally else ''}"
        label = el("text", said, x=box.x + 14, y=box.y + box.height / 2 + 4, class_="more-text")
        return el("g", _rect(box, "more", 6), label)

    def _node(self, node: Node, box: Box) -> Markup:
        stories = self.runs.get(node.path, ())
        status = self.status[node.id]
        classes = f"node st-{status or 'none'}{' container' if self.drawing.groups_of(node.id) else ''}"
        if node.trigger != "body":
            classes += " handler"
        letters = int((box.width - 40) / LETTER)
        top = box.y + 18
        mark = (
            el("text", MARKS[status], x=box.x + box.width - 12, y=top, text_anchor="end", class_="mark")
            if status in MARKS
            else None
        )
        return el(
            "g",
            el("title", "\n".join([*lines_of(node, 400), _told(status, stories)])),
            _rect(box, "box", 7),
            el(
                "rect",
                x=box.x,
                y=box.y + 6,
                width=4,
                height=max(min(box.height, HEAD) - 12, 4),
                rx=2,
                class_="stripe",
            ),
            el("text", clip(node.name, letters), x=box.x + 13, y=top, class_="name"),
            el(
                "text",
                clip(_second_line(node, stories), int((box.width - 22) / (LETTER * 0.82))),
                x=box.x + 13,
                y=top + 16,
                class_="sub",
            ),
            mark,
            class_=classes,
        )

    def _link(self, edge: Edge, points: list[Point]) -> Markup:
        kind = (
            "detour"
            if edge.is_detour
            else "critical"
            if (edge.source, edge.target) in self.critical
            else "plain"
        )
        return el("path", d=_curve(points), class_=f"link {kind}", marker_end=f"url(#tip-{kind})")

    def _labels(self) -> Iterator[Markup]:
        for edge, points in self.layout.links:
            if edge.label:
                (x, y), (nx, ny) = points[1], points[2]
                yield _label(edge.label, (x + nx) / 2, (y + ny) / 2 - 5, "middle")
        for i, box in self.layout.nodes.items():
            join = self.drawing.nodes[i].join
            if join != "all":
                yield _label(f"join {join}", box.x - 5, box.y + box.height / 2 - 7, "end")


def _label(said: str, x: float, y: float, anchor: str) -> Markup:
    shown = clip(said, LONGEST_LABEL)
    return el("g", el("title", said), el("text", shown, x=x, y=y, text_anchor=anchor, class_="link-label"))


def _second_line(node: Node, stories: Sequence[Story]) -> str:
    ran = [story for story in stories if story.started is not None]
    if not ran:
        return node.node
    if len(ran) > 1:
        return f"{node.node} · ×{len(ran):,}"
    tries = f" · {ran[0].attempts} tries" if ran[0].attempts > 1 else ""
    return f"{duration(ran[0].duration_ms)} · {node.node}{tries}"


def _told(status: str | None, stories: Sequence[Story]) -> str:
    if not stories:
        return "not run"
    if len(stories) == 1:
        reason = f" ({stories[0].reason})" if stories[0].reason else ""
        return f"{status}{reason}, {duration(stories[0].duration_ms)}"
    held = [story.status for story in stories]
    return ", ".join(f"{held.count(word):,} {word}" for word in dict.fromkeys(held))


def _rect(box: Box, kind: str, round_: int) -> Markup:
    return el("rect", x=box.x, y=box.y, width=box.width, height=box.height, rx=round_, class_=kind)


def _curve(points: Sequence[Point]) -> str:
    """Straight along the columns, curved between them."""
    (x, y), *rest = points
    said = [f"M{x:.1f} {y:.1f}"]
    for nx, ny in rest:
        if abs(ny - y) < 0.5:
            said.append(f"L{nx:.1f} {ny:.1f}")
        else:
            bend = max((nx - x) / 2, 12)
            said.append(f"C{x + bend:.1f} {y:.1f} {nx - bend:.1f} {ny:.1f} {nx:.1f} {ny:.1f}")
        x, y = nx, ny
    return " ".join(said)
