"""From the `command` of a manifest to the arguments of one call.

Invariant: an item is a literal or, as a whole, one expression that gives one argument. An expression
inside a text is refused, because a text may be a shell's script and an input would become part of it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from nodeling._dataclass import dataclass
from nodeling.errors import NodelingError
from nodeling_runtime.values import Value

if TYPE_CHECKING:
    from nodeling_runtime.expressions.template import Template

ROOT = "inputs"
_OPENING = "${"
_ESCAPED = "$${"


class CommandFault(Exception):
    """A command gives no argument list: its manifest is wrong (4002), or these inputs are (4001)."""

    def __init__(self, code: int, message: str, pointer: str) -> None:
        super().__init__(message)
        self.code = code
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Command:
    """A compiled command: literals, and expressions over `inputs`."""

    items: tuple[str | Template, ...]
    sources: tuple[str, ...]

    def argv(self, inputs: Value) -> list[str]:
        """The arguments for one call, one for each item.

        Raises:
            CommandFault: an expression fails, or gives null, a list or an object.
        """
        return [
            item if isinstance(item, str) else self._argument(index, item, inputs)
            for index, item in enumerate(self.items)
        ]

    def _argument(self, index: int, item: Template, inputs: Value) -> str:
        from nodeling_runtime.expressions.record import Names, to_plain

        pointer = f"/runtime/command/{index}"
        source = self.sources[index]
        try:
            found = to_plain(item.evaluate(Names({ROOT: inputs.shared()})))
        except NodelingError as error:
            raise CommandFault(4001, f"the argument {source} fails: {error}", pointer) from error
        if isinstance(found, str):
            return found
        if isinstance(found, (bool, int, float)):
            return json.dumps(found)
        kind = {type(None): "null", list: "a list", dict: "an object"}.get(type(found), type(found).__name__)
        hint = "give a default with ??" if found is None else "join it to one text, or pass it on stdin"
        raise CommandFault(
            4001, f"the argument {source} is {kind}, not one text; {hint} (at {pointer})", pointer
        )


@lru_cache(maxsize=1024)
def compile_command(items: tuple[str, ...]) -> Command:
    """Compile the `command` of a manifest, once for all calls.

    Raises:
        CommandFault: it is empty, or an expression does not parse or stands inside a text.
    """
    if not items:
        message = 'its manifest names no program; add `command`, as in ["perl", "node.pl"]'
        raise CommandFault(4002, message, "/runtime/command")
    return Command(tuple(_compile(index, item) for index, item in enumerate(items)), items)


def _compile(index: int, item: str) -> str | Template:
    if _OPENING not in item:
        return item  # also `js/build.js`, which in a document's inputs would be JavaScript
    if _OPENING not in item.replace(_ESCAPED, ""):
        return item.replace(_ESCAPED, _OPENING)
    from nodeling_runtime.expressions.template import compile_template

    pointer = f"/runtime/command/{index}"

    def fault(what: str) -> CommandFault:
        return CommandFault(4002, f"the argument {item!r} {what}", pointer)

    try:
        template = compile_template(item, root_pointer=pointer)
    except NodelingError as error:
        raise fault(f"does not parse: {error}") from error
    if not all(string.is_whole for string in template.strings.values()):
        raise fault(
            f"has an expression inside a text (at {pointer}); "
            f"make it the whole item, or write {_ESCAPED} for a literal {_OPENING}"
        )
    for _, reference in template.references:
        if reference.root != ROOT:
            raise fault(f"reads {reference.root!r} (at {pointer}); a command sees {ROOT!r} alone")
    return template
