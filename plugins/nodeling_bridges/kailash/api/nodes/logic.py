"""Nodes that choose and that bring together."""

from __future__ import annotations

from nodeling_bridges.kailash.api.nodes.base import BuiltinNode

__all__ = ["MergeNode", "SwitchNode"]


class SwitchNode(BuiltinNode):
    """Passes its inputs on to one branch, by a condition or by a value."""


class MergeNode(BuiltinNode):
    """Brings several inputs together."""
