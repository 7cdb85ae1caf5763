"""Which faults of a value are worth telling."""

from __future__ import annotations

from collections.abc import Iterator

from nodeling_runtime.schemas import SchemaFault


def primary(faults: list[SchemaFault]) -> Iterator[SchemaFault]:
    """The faults without those that another one explains: what is misspelt is not missing too."""
    meant = {
        (fault.pointer.rpartition("/")[0], fault.hint)
        for fault in faults
        if fault.keyword == "additionalProperties"
    }
    for fault in faults:
        key = fault.message.rpartition(" ")[2]
        if fault.keyword != "required" or (fault.pointer, f"did you mean {key}?") not in meant:
            yield fault
