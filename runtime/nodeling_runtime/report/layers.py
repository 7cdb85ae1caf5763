"""A layered graph laid out from left to right: columns by wave, few crossings, short links.

Long links get a place of their own in every column they pass, and so run around boxes, not through.
Heights are the least-squares answer to "stand beside your neighbours, and apart from one another".
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeling._dataclass import dataclass

COLUMN_GAP = 60.0
ROW_GAP = 18.0
PASSING = 10.0  # the height a link needs in a column it passes
SWEEPS = 8
MOST_PASSINGS = 6_000  # more long links than this are drawn straight

Point = tuple[float, float]


@dataclass(slots=True)
class Layered:
    """Where each box stands, and the way of each link."""

    boxes: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


def lay_out(
    sizes: Sequence[tuple[float, float]], columns: Sequence[Sequence[int]], links: Sequence[tuple[int, int]]
) -> Layered:
    """Place boxes that are already assigned to columns; links go from a column to a later one."""
    graph = _Graph(sizes, columns, links)
    graph.untangle()
    heights = graph.heights()
    lefts, width = _lefts(sizes, columns)
    top = min((heights[i] - graph.high[i] / 2 for i in range(graph.size)), default=0.0)
    middle = [height - top for height in heights]
    wide = [max((sizes[i][0] for i in column), default=0.0) for column in columns]
    boxes: list[Point] = [(0.0, 0.0)] * len(sizes)
    for number, column in enumerate(columns):
        for i in column:
            boxes[i] = (lefts[number] + (wide[number] - sizes[i][0]) / 2, middle[i] - sizes[i][1] / 2)
    routes = []
    for chain in graph.chains:
        first, last = chain[0], chain[-1]
        start = graph.column[first]
        points = [
            (boxes[first][0] + sizes[first][0], middle[first]),
            (lefts[start] + wide[start], middle[first]),
        ]
        for i in chain[1:-1]:
            at = lefts[graph.column[i]]
            points += [(at, middle[i]), (at + wide[graph.column[i]], middle[i])]
        points += [(lefts[graph.column[last]], middle[last]), (boxes[last][0], middle[last])]
        routes.append(points)
    height = max((middle[i] + graph.high[i] / 2 for i in range(graph.size)), default=0.0)
    return Layered(boxes, routes, width, height)


def _lefts(
    sizes: Sequence[tuple[float, float]], columns: Sequence[Sequence[int]]
) -> tuple[list[float], float]:
    lefts, at = [], 0.0
    for column in columns:
        lefts.append(at)
        at += max((sizes[i][0] for i in column), default=0.0) + COLUMN_GAP
    return lefts, max(at - COLUMN_GAP, 0.0)


class _Graph:
    """Boxes and passings in columns, with the neighbours of each."""

    def __init__(
        self,
        sizes: Sequence[tuple[float, float]],
        columns: Sequence[Sequence[int]],
        links: Sequence[tuple[int, int]],
    ) -> None:
        self.high = [height for _, height in sizes]
        self.column = [0] * len(sizes)
        self.columns = [list(column) for column in columns]
        for number, column in enumerate(columns):
            for i in column:
                self.column[i] = number
        self.boxes = len(sizes)
        passings = sum(self.column[target] - self.column[source] - 1 for source, target in links)
        self.chains = [self._chain(source, target, passings <= MOST_PASSINGS) for source, target in links]
        self.size = len(self.high)
        self.before: list[list[int]] = [[] for _ in range(self.size)]
        self.after: list[list[int]] = [[] for _ in range(self.size)]
        for chain in self.chains:
            for source, target in zip(chain, chain[1:], strict=False):
                self.after[source].append(target)
                self.before[target].append(source)

    def _chain(self, source: int, target: int, passing: bool) -> list[int]:
        chain = [source]
        if passing:
            for number in range(self.column[source] + 1, self.column[target]):
                chain.append(len(self.high))
                self.columns[number].append(len(self.high))
                self.column.append(number)
                self.high.append(PASSING)
        return [*chain, target]

    def untangle(self) -> None:
        """Order each column by where its neighbours stand, to and fro."""
        place = [0.0] * self.size
        for column in self.columns:
            for position, i in enumerate(column):
                place[i] = float(position)
        for sweep in range(SWEEPS):
            columns = self.columns if sweep % 2 == 0 else self.columns[::-1]
            beside = self.before if sweep % 2 == 0 else self.after
            for column in columns:
                wish = {
                    i: sum(place[n] for n in beside[i]) / len(beside[i]) if beside[i] else place[i]
                    for i in column
                }
                column.sort(key=wish.__getitem__)
                for position, i in enumerate(column):
                    place[i] = float(position)

    def heights(self) -> list[float]:
        """The middle of everything, from above down."""
        middle = [0.0] * self.size
        for column in self.columns:
            self._stand(column, middle, [0.0] * len(column))
        for sweep in range(SWEEPS):
            for column in self.columns if sweep % 2 == 0 else self.columns[::-1]:
                wishes = []
                for i in column:
                    near = (*self.before[i], *self.after[i])
                    wishes.append(sum(middle[n] for n in near) / len(near) if near else middle[i])
                self._stand(column, middle, wishes)
        return middle

    def _stand(self, column: Sequence[int], middle: list[float], wishes: Sequence[float]) -> None:
        gaps = [0.0]
        for above, below in zip(column, column[1:], strict=False):
            gaps.append(gaps[-1] + (self.high[above] + self.high[below]) / 2 + ROW_GAP)
        found = isotonic([wish - gap for wish, gap in zip(wishes, gaps, strict=True)])
        for i, value, gap in zip(column, found, gaps, strict=True):
            middle[i] = value + gap


def isotonic(values: Sequence[float]) -> list[float]:
    """The non-decreasing sequence nearest to these values."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        total, number = value, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / number:
            before, many = blocks.pop()
            total, number = total + before, number + many
        blocks.append((total, number))
    return [total / number for total, number in blocks for _ in range(number)]
