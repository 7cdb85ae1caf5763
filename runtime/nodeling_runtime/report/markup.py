"""HTML and SVG built from values, so that a text can never become markup.

Whatever is not `Markup` is escaped when it becomes a child or an attribute. Nothing else in this package
writes an angle bracket, which is why a step may be called `<script>` and a log line may hold a whole page.
"""

from __future__ import annotations

import html
import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_VOID = frozenset({"meta", "br", "rect", "path", "line", "circle", "polygon"})

Attribute = str | int | float | bool | None


class Markup(str):
    """Text that is markup already; only this module makes any from strings."""

    __slots__ = ()


Child = Markup | str | int | float | None


def text(value: object) -> Markup:
    """A value as text: escaped, with control characters and lone surrogates made visible."""
    return Markup(html.escape(_UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", str(value))))


def el(tag: str, *children: Child, **attributes: Attribute) -> Markup:
    """An element. `class_` is `class`, other underscores are hyphens, and None leaves an attribute out."""
    pieces = [f"<{tag}"]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        word = name.rstrip("_").replace("_", "-")
        pieces.append(f" {word}" if value is True else f' {word}="{text(_number(value))}"')
    if tag in _VOID:
        return Markup("".join([*pieces, "/>" if tag not in ("meta", "br") else ">"]))
    pieces.append(">")
    pieces.extend(
        child if isinstance(child, Markup) else text(child) for child in children if child is not None
    )
    pieces.append(f"</{tag}>")
    return Markup("".join(pieces))


def join(*children: Child) -> Markup:
    """Siblings, one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else text(child) for child in children if child is not None
        )
    )


def style_sheet(css: str) -> Markup:
    """Our own style sheet; it must hold no markup.

    Raises:
        ValueError: It could end its element.
    """
    if "<" in css:
        raise ValueError("a style sheet holds no markup")
    return Markup(f"<style>{css}</style>")


def page(head: Markup, body: Markup) -> str:
    """A whole document."""
    return f'<!DOCTYPE html>\n<html lang="en">{el("head", head)}{el("body", body)}</html>\n'


def _number(value: Attribute) -> Attribute:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
