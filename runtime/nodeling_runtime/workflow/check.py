from __future__ import annotations
def check_workflow(workflow, functions): return []
