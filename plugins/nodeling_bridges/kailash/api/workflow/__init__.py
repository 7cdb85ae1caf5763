"""Workflows that are built in Python."""

from __future__ import annotations

from nodeling_bridges.kailash.api.workflow.builder import WorkflowBuilder
from nodeling_bridges.kailash.api.workflow.graph import Workflow

__all__ = ["Workflow", "WorkflowBuilder"]
