"""Test a node or a workflow without a project: `run_node`, `run_workflow`, and in-memory fakes.

    from nodeling.testing import Fake, run_node, run_workflow

    def test_it_greets():
        outcome = run_node("nodes/greet", {"name": "Ada"})
        assert outcome.output == {"greeting": "hello Ada"}

    def test_the_report_survives_a_dead_service():
        service = Fake(error=(4000, "gone"))
        result = run_workflow("report.yaml", nodes={"http-request": service})
        assert result.status == "failed" and len(service.calls) == 1

Nodes run through the engine, as they do in a run: inputs and outputs are checked, a timeout ends
them, what they raise becomes an error with a code. Nothing is written anywhere. A function can also be
called directly, with a `FakeContext` in place of the context.

With pytest the fixtures `nodeling_node` and `nodeling_workflow` are these two functions.
"""

from __future__ import annotations

from nodeling.testing.context import FakeContext
from nodeling.testing.fake import Fake
from nodeling.testing.nodes import NodeOutcome, run_node
from nodeling.testing.workflows import run_workflow

__all__ = ["Fake", "FakeContext", "NodeOutcome", "run_node", "run_workflow"]
