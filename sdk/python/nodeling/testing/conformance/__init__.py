"""The conformance kit: does a program speak NSP/1, and does it keep what it claims?

    from nodeling.testing.conformance import run_suite

    report = run_suite(["perl", "node.pl"], channel="stdio", claims=["L1", "echo"])
    assert report.is_green, str(report)

Cases are data (`cases/*.json`), each naming the section of the protocol it checks; the runner reads
and writes raw pipes itself and shares no code with the host or with any SDK. A case whose needs the
program does not claim is listed as skipped; a claimed one that fails is red.
"""

from __future__ import annotations

from nodeling.testing.conformance.cases import Case, load_behaviours, load_cases
from nodeling.testing.conformance.report import CaseResult, Report
from nodeling.testing.conformance.runner import run_suite

__all__ = ["Case", "CaseResult", "Report", "load_behaviours", "load_cases", "run_suite"]
