"""Test a node or a workflow without a project: `run_node`, `run_workflow`, and in-memory fakes."""
