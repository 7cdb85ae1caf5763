"""Nodes that ask language models."""

from __future__ import annotations

from nodeling_bridges.kailash.api.nodes.base import BuiltinNode

__all__ = ["LLMAgentNode"]


class LLMAgentNode(BuiltinNode):
    """One question to a model behind an endpoint that speaks OpenAI's chat completions."""
