"""Exports in the form that the tool writes, made of what a test is about."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE POWERMART SYSTEM "powrmart.dtd">
<POWERMART CREATION_DATE ="01/05/2026 10:00:00" REPOSITORY_VERSION ="187.96">
<REPOSITORY NAME ="REP" VERSION ="187" CODEPAGE ="UTF-8" DATABASETYPE ="Oracle">
<FOLDER NAME ="DEMO" GROUP ="" OWNER ="Administrator" SHARED ="NOTSHARED" UUID ="x">
"""
TAIL = "</FOLDER>\n</REPOSITORY>\n</POWERMART>\n"


def attribute(name: str, value: str) -> str:
    return f"<ATTRIBUTE NAME ={quoteattr(name)} VALUE ={quoteattr(value)}/>"


def pair(name: str, value: str, order: int = 1) -> str:
    return f'<VALUEPAIR EXECORDER ="{order}" NAME ={quoteattr(name)} REVERSEASSIGNMENT ="NO" VALUE ={quoteattr(value)}/>'


def task(name: str, kind: str, *inside: str) -> str:
    return f'<TASK DESCRIPTION ="" NAME ="{name}" REUSABLE ="NO" TYPE ="{kind}" VERSIONNUMBER ="1">{"".join(inside)}</TASK>'


def command(name: str, *texts: str, fail: str = "YES") -> str:
    pairs = [pair(f"c{i}", text, i) for i, text in enumerate(texts, 1)]
    return task(name, "Command", attribute("Fail task if any command fails", fail), *pairs)


def decision(name: str, text: str) -> str:
    return task(name, "Decision", attribute("Decision Name", text))


def session(name: str, mapping: str, *inside: str) -> str:
    return f'<SESSION DESCRIPTION ="" ISVALID ="YES" MAPPINGNAME ="{mapping}" NAME ="{name}" REUSABLE ="NO">{"".join(inside)}</SESSION>'


def instance(name: str, kind: str, of: str | None = None, **flags: str) -> str:
    said = {"ISENABLED": "YES", "REUSABLE": "NO", "TREAT_INPUTLINK_AS_AND": "YES", **flags}
    more = " ".join(f'{key} ="{value}"' for key, value in said.items())
    return (
        f'<TASKINSTANCE DESCRIPTION ="" NAME ="{name}" TASKNAME ="{of or name}" TASKTYPE ="{kind}" {more}/>'
    )


def link(source: str, target: str, condition: str = "") -> str:
    return f'<WORKFLOWLINK CONDITION ={quoteattr(condition)} FROMTASK ="{source}" TOTASK ="{target}"/>'


def variable(name: str, datatype: str, default: str = "", **flags: str) -> str:
    said = {"ISNULL": "NO", "ISPERSISTENT": "NO", "USERDEFINED": "YES", **flags}
    more = " ".join(f'{key} ="{value}"' for key, value in said.items())
    return f'<WORKFLOWVARIABLE DATATYPE ="{datatype}" DEFAULTVALUE ={quoteattr(default)} DESCRIPTION ="" NAME ="{name}" {more}/>'


START = [
    task("Start", "Start"),
    '<TASKINSTANCE DESCRIPTION ="" ISENABLED ="YES" NAME ="Start" REUSABLE ="NO" TASKNAME ="Start" TASKTYPE ="Start"/>',
]


def workflow(*parts: str, name: str = "wf_demo", start: bool = True, **flags: str) -> str:
    said = {"DESCRIPTION": "", "ISENABLED": "YES", "ISVALID": "YES", "SUSPEND_ON_ERROR": "NO", **flags}
    more = " ".join(f'{key} ="{escape(value)}"' for key, value in said.items())
    return "\n".join([f'<WORKFLOW NAME ="{name}" {more}>', *(START if start else []), *parts, "</WORKFLOW>"])


def worklet(name: str, *parts: str) -> str:
    return "\n".join(
        [
            f'<WORKLET DESCRIPTION ="" ISVALID ="YES" NAME ="{name}" REUSABLE ="YES">',
            *START,
            *parts,
            "</WORKLET>",
        ]
    )


def export(*flows: str) -> str:
    return HEAD + "\n".join(flows) + "\n" + TAIL


def chain(names: Iterable[str], condition: str = "") -> list[str]:
    """Links from the start through tasks, one after the other."""
    walk = ["Start", *names]
    return [link(a, b, condition if a != "Start" else "") for a, b in zip(walk, walk[1:], strict=False)]
