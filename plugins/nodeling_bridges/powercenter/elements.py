"""XML as elements that know their lines. Hostile text ends here: no entity, no declaration, no depth bomb."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DEEPEST = 64
MOST_ELEMENTS = 1_000_000


class XmlFault(ValueError):
    """The text is no XML, or holds what may not come in."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = (line, column)


@dataclass(slots=True)
class Element:
    """One element: its name and attributes in capitals, where it stands, and what it holds."""

    tag: str
    attributes: dict[str, str]
    position: tuple[int, int]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def get(self, *names: str, default: str = "") -> str:
        """The value of the first of these attributes that is there, without blanks around it."""
        for name in names:
            if name in self.attributes:
                return self.attributes[name].strip()
        return default

    def all(self, *tags: str) -> Iterator[Element]:
        """The children with one of these names."""
        return (child for child in self.children if child.tag in tags)

    def every(self, *tags: str) -> Iterator[Element]:
        """The elements with one of these names, at any depth, in the order of the text."""
        todo = list(reversed(self.children))
        while todo:
            here = todo.pop()
            if here.tag in tags:
                yield here
            todo.extend(reversed(here.children))

    def properties(self) -> dict[str, str]:
        """What the `ATTRIBUTE` children say: their NAME and VALUE."""
        return {child.get("NAME"): child.attributes.get("VALUE", "") for child in self.all("ATTRIBUTE")}

    def places(self) -> dict[str, tuple[int, int]]:
        """Where each of these stands."""
        return {child.get("NAME"): child.position for child in self.all("ATTRIBUTE")}


def read(text: str) -> Element:
    """The root element of a text.

    Raises:
        XmlFault: It is no XML, declares entities or an internal subset, or is too deep or too large.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser, ParseError

    builder = _Builder()
    parser = DefusedXMLParser(target=builder, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    builder.expat = parser.parser
    parser.parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.feed(text.encode("utf-8"))
        parser.close()
    except DefusedXmlException as error:
        line, column = builder.here()
        name = type(error).__name__
        raise XmlFault(
            f"the file declares an entity, which may not come in ({name})", line, column
        ) from error
    except ParseError as error:
        line, column = error.position
        raise XmlFault(f"this is no XML: {str(error).partition(':')[0]}", line, column + 1) from error
    if builder.root is None:
        raise XmlFault("the file holds no element", 1, 1)
    return builder.root


class _Builder:
    """What expat calls."""

    def __init__(self) -> None:
        self.expat: Any = None
        self._open: list[Element] = []
        self.root: Element | None = None
        self._count = 0

    def here(self) -> tuple[int, int]:
        return self.expat.CurrentLineNumber, self.expat.CurrentColumnNumber + 1

    def doctype(self, name: str, system: str | None, public: str | None, has_internal_subset: int) -> None:
        if has_internal_subset:
            raise XmlFault("the file brings declarations of its own, which may not come in", *self.here())

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= DEEPEST:
            raise XmlFault(f"elements nest deeper than {DEEPEST} levels", *self.here())
        if self._count > MOST_ELEMENTS:
            raise XmlFault(f"the file has more than {MOST_ELEMENTS:,} elements", *self.here())
        capital = {key.upper(): value for key, value in attributes.items()}
        element = Element(tag.upper(), capital, self.here())
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def data(self, data: str) -> None:
        if self._open:
            self._open[-1].text += data

    def end(self, tag: str) -> None:
        self._open.pop()

    def close(self) -> None:
        """What the parser wants of a target."""
