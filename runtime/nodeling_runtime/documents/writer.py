"""Writing documents, so that reading them again gives the same data.

YAML text is quoted wherever the core schema or the older 1.1 schema would read something else,
so a file that leaves here means the same to every reader.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any, Literal

from nodeling.values import plain

__all__ = ["to_text"]

# Where the core schema sees a number and the 1.1 schema of the library does not.
_CORE_NUMBER = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
)
_LINE_WIDTH = 110


def to_text(data: Any, format: Literal["json", "yaml"]) -> str:
    """The data as a document, keys in their order.

    Raises:
        InvalidValue: something in the data is no JSON value.
    """
    checked = plain(data)
    if format == "json":
        return json.dumps(checked, ensure_ascii=False, indent=2) + "\n"
    import yaml

    text: str = yaml.dump(
        checked,
        Dumper=_dumper(),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=_LINE_WIDTH,
    )
    return text


@functools.cache
def _dumper() -> Any:
    import yaml

    base = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper

    class CoreDumper(base):  # type: ignore[valid-type,misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    CoreDumper.add_implicit_resolver("tag:yaml.org,2002:float", _CORE_NUMBER, list("-+.0123456789"))
    return CoreDumper
