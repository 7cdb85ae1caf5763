"""Nodes that hold code: text, which runs in a process of its own, or a function, which runs in this one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nodeling.errors import ConfigError
from nodeling_bridges.kailash.api.nodes.base import BuiltinNode, NodeParameter
from nodeling_bridges.kailash.catalogue import NodeType, custom_type

__all__ = ["PythonCodeNode"]


class PythonCodeNode(BuiltinNode):
    """Lines of Python in a process of their own, whose `result` is the output; or a function in a thread."""

    def __init__(
        self,
        name: str | None = None,
        code: str | None = None,
        *,
        function: Callable[..., Any] | None = None,
        **config: Any,
    ) -> None:
        if (code is None) == (function is None):
            message = f"PythonCodeNode {name!r} needs either `code` or `function`"
            raise ConfigError(message, code="kailash.parameter")
        self.function = function
        given = config if code is None else {**config, "code": code}
        super().__init__(name=name or getattr(function, "__name__", None), **given)

    @classmethod
    def from_function(cls, func: Callable[..., Any], name: str | None = None) -> PythonCodeNode:
        """A node of a function: its parameters are the inputs, what it returns is `result`."""
        return cls(name, function=func)

    @classmethod
    def from_file(cls, file_path: str | Path, name: str | None = None, **config: Any) -> PythonCodeNode:
        """A node of the lines of a file."""
        path = Path(file_path)
        return cls(name or path.stem, path.read_text(encoding="utf-8"), **config)

    @property
    def is_custom(self) -> bool:
        """Whether it is a function of the host's own."""
        return self.function is not None

    def get_parameters(self) -> Mapping[str, NodeParameter]:
        """The type's parameters, or the function's."""
        if self.function is None:
            return super().get_parameters()
        empty = inspect.Parameter.empty
        return {
            one.name: NodeParameter(
                one.name, required=one.default is empty, default=None if one.default is empty else one.default
            )
            for one in inspect.signature(self.function).parameters.values()
        }

    def kind(self) -> NodeType:
        """The type's entry in the catalogue, or what the function takes."""
        if self.function is None:
            return super().kind()
        return custom_type(type(self).__name__, tuple(self.get_parameters()))

    def run(self, **inputs: Any) -> Mapping[str, Any]:
        """Call the function, or run the lines as a workflow of one."""
        return super().run(**inputs) if self.function is None else {"result": self.function(**inputs)}
