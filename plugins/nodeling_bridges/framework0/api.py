"""Framework0's Python API: what scriptlets are written against."""

from __future__ import annotations

from nodeling_bridges.framework0.context import Context
from nodeling_bridges.framework0.scriptlets import BaseScriptlet, get_logger, register_scriptlet

__all__ = ["BaseScriptlet", "Context", "get_logger", "register_scriptlet"]
