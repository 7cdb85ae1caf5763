"""The rules that are data, read from the same files that the pages print.

Nothing is decided here that the files do not say: this module only looks things up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reference.model import Retry

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
JOINS: dict[str, Any] = json.loads((REFERENCE / "joins.json").read_text(encoding="utf-8"))
RETRY: dict[str, Any] = json.loads((REFERENCE / "retry.json").read_text(encoding="utf-8"))
TERMINAL = frozenset(JOINS["statuses"]["terminal"])
HANDLING_WORD: str = JOINS["handled"]["handling_word"]
TIMEOUT_CODE: int = RETRY["clocks"]["timeout"]["code"]
CONFLICT: str = JOINS["merge"]["error"]["code"]

Code = int | str


def satisfies(word: str, status: str, reason: str | None) -> bool:
    """Whether a source with this status and reason satisfies one `on` word."""
    rule = JOINS["on"][word]
    return status in rule["statuses"] if status != "skipped" else reason in rule["skip_reasons"]


def implicit_link_satisfied(status: str, reason: str | None, on_error_continue: bool) -> bool:
    """Whether the predecessor in an ordered phase lets the next step run."""
    for case in JOINS["implicit_link"]["satisfied_by"]:
        if case["status"] != status or ("reason" in case and case["reason"] != reason):
            continue
        if "on_error" not in case or on_error_continue:
            return True
    return False


def code_is_retried(code: Code, retryable: bool | None, retry: Retry) -> bool:
    """Whether a failure of this code may be tried again, apart from how many tries are left."""
    if not isinstance(code, int) or retryable is False:
        return False
    never, host = RETRY["never"], RETRY["host_codes"]
    refused = code in never["codes"] or any(low <= code <= high for low, high in never["code_ranges"])
    if refused or (code in host["not_retryable"] and retryable is None):
        return False
    return retry.on is None or any(_named(item, code, retryable) for item in retry.on)


def _named(item: int | str, code: int, retryable: bool | None) -> bool:
    if isinstance(item, int):
        return item == code
    word = RETRY["on_words"][item]
    return code in word["codes"] or (retryable is True and word.get("retryable") is True)


def back_off_ms(retry: Retry, attempts_made: int) -> int:
    """The pause after this many attempts, with the jitter at its greatest."""
    defaults = RETRY["defaults"]
    delay = defaults["delay_ms"] if retry.delay_ms is None else retry.delay_ms
    greatest = defaults["max_delay_ms"] if retry.max_delay_ms is None else retry.max_delay_ms
    return int(min(greatest, delay * defaults["factor"] ** (attempts_made - 1)))
