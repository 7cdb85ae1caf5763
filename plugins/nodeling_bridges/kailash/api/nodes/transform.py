"""Nodes that change data and that judge it."""

from __future__ import annotations

from nodeling_bridges.kailash.api.nodes.base import BuiltinNode

__all__ = ["DataTransformer", "FilterNode", "ValidationNode"]


class DataTransformer(BuiltinNode):
    """Applies transformations given as text, in a process of their own: to each item of a list, or to all."""


class FilterNode(BuiltinNode):
    """Keeps the items of which a comparison is true."""


class ValidationNode(BuiltinNode):
    """Judges records by a schema, rules, uniqueness and references."""
