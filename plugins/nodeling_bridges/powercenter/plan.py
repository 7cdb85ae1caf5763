"""How a workflow decides, as a table that people compare with what they know of it."""

from __future__ import annotations

from collections.abc import Iterator

from nodeling_bridges.powercenter.model import Flow, Instance, Repository
from nodeling_bridges.powercenter.values import shown_condition


def decision_table(flow: Flow, repository: Repository) -> str:
    """Every task, the links that lead to it, and what its failure means."""
    return "\n".join(_lines(flow, repository, ""))


def _lines(flow: Flow, repository: Repository, indent: str) -> Iterator[str]:
    yield f"{indent}{flow.name}"
    for instance in flow.instances.values():
        if instance.task.type == "start":
            continue
        yield f"{indent}  {instance.name} ({instance.task.type}{_flags(instance)})"
        links = flow.into(instance.name)
        joint = "all" if instance.join_all else "any"
        if len(links) > 1:
            yield f"{indent}    runs when {joint} of these hold:"
        for link in links:
            yield f"{indent}    Link [{link.source} --> {link.target}]: {shown_condition(link)}"
        if instance.task.type == "worklet" and instance.task.name in repository.worklets:
            yield from _lines(repository.worklets[instance.task.name], repository, indent + "    ")


def _flags(instance: Instance) -> str:
    words = []
    if not instance.enabled:
        words.append("disabled")
    if instance.fails_parent:
        words.append("its failure fails the parent")
    if instance.fails_parent_unrun:
        words.append("not having run fails the parent")
    return "".join(f", {word}" for word in words)
