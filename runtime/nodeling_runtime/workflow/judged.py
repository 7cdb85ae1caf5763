"""Which faults of a value are worth telling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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


def says_missing(fault: SchemaFault, keys: Iterable[str]) -> bool:
    """Whether one of these keys is what a fault misses at the top of a value."""
    missing = fault.keyword == "required" and not fault.pointer
    return missing and any(fault.message.endswith(f" '{key}'") for key in keys)
