"""What the command line gives a run: its input, its request, its parameters. Nothing is guessed silently.

`-i key=value` takes a value as JSON when it is JSON, and as a text when it is not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from nodeling.errors import ConfigError

if TYPE_CHECKING:
    ParamType = click.ParamType[Any, Any]
else:
    ParamType = click.ParamType  # generic in newer releases of click only


class Duration(ParamType):
    """A length of time with its unit: `30s`, `10m`, `500ms`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Milliseconds."""
        from nodeling_runtime.workflow.duration import DurationError, milliseconds

        if isinstance(value, float):
            return value
        try:
            return milliseconds(str(value), unit_required=True)
        except DurationError as error:
            self.fail(f"{error.message}; write it with its unit, such as 30s, 10m or 500ms", param, ctx)


class Folder(ParamType):
    """A folder that is there."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Its path.

        Raises:
            ConfigError: There is none.
        """
        path = Path(value)
        if not path.exists():
            option = "" if param is None else f"{param.opts[0]}: "
            raise ConfigError(f"{option}there is no folder {str(path)!r}", code="file.not_found")
        if not path.is_dir():
            self.fail(f"{str(path)!r} is no folder", param, ctx)
        return path


class Pair(ParamType):
    """`key=value`."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """The key and the value."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is no key=value", param, ctx)
        return key, loose_value(text, key)


class StepPair(Pair):
    """`step.key=value`."""

    name = "step.key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """The dotted key and the value."""
        key, found = super().convert(value, param, ctx)
        step, dot, rest = key.partition(".")
        if not dot or not step or not rest:
            self.fail(f"{key!r} names no step and input; write step.key=value", param, ctx)
        return key, found


def loose_value(text: str, key: str) -> Any:
    """A value as JSON when the text is JSON, else the text itself.

    Raises:
        ConfigError: It is JSON, but outside what may enter (two equal keys, a number too big).
    """

    def refuse(_word: str) -> NoReturn:
        raise ValueError

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text
    return json_value(text, f"-i {key}")


def json_value(text: str | bytes, name: str) -> Any:
    """A JSON text from the command line.

    Raises:
        ConfigError: It is no JSON, and where.
    """
    from nodeling_runtime.documents.reader import parse_document

    return parse_document(text, name=name, format="json").data


def given_value(text: str, option: str) -> Any:
    """What `--input` and its like mean: JSON, `@file`, or `-` for stdin.

    Raises:
        ConfigError: The file is not there, or the value is no JSON.
    """
    if text == "-":
        return json_value(sys.stdin.buffer.read(), "stdin")
    if text.startswith("@"):
        from nodeling_runtime.documents.reader import read_document

        return read_document(Path(text[1:])).data
    return json_value(text, option)


def merged_input(
    text: str | None, pairs: Sequence[tuple[str, Any]], request: Mapping[str, Any] | None = None
) -> Any:
    """The run's input: `--input`, or the request's body, with every `-i` laid over it; None without any.

    Raises:
        ConfigError: `-i` has nothing to be laid over.
    """
    base = given_value(text, "--input") if text is not None else (request or {}).get("body")
    if not pairs:
        return base
    if base is None:
        base = {}
    if not isinstance(base, dict):
        raise ConfigError("-i names keys, but the input is no object", code="run.input")
    return {**base, **dict(pairs)}


def read_request(path: str | None) -> dict[str, Any] | None:
    """The request file: an object of method, headers, query, params, path and body.

    Raises:
        ConfigError: It is not there, or is no such object.
    """
    if path is None:
        return None
    from nodeling_runtime.documents.reader import read_document

    data = read_document(Path(path)).data
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is no object of request parts", code="run.request")
    return data


def parameters_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, dict[str, Any]]:
    """`{step: {key: value}}` of every `-p step.key=value`."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in pairs:
        step, _, name = key.partition(".")
        found.setdefault(step, {})[name] = value
    return found
