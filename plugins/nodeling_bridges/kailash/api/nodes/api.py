"""Nodes that ask servers."""

from __future__ import annotations

from nodeling_bridges.kailash.api.nodes.base import BuiltinNode

__all__ = ["HTTPRequestNode", "NotificationNode", "RESTClientNode", "RestClientNode"]


class RestClientNode(BuiltinNode):
    """One request; `timeout` counts milliseconds, as its documents say."""


class RESTClientNode(BuiltinNode):
    """One request; `timeout` counts seconds."""


class HTTPRequestNode(BuiltinNode):
    """One request; `timeout` counts seconds."""


class NotificationNode(BuiltinNode):
    """A message by e-mail, a webhook, or a channel that a plugin brings."""
