"""The page of rules, the rules as data, and the table inside the data say one thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reference.rules import JOINS, REFERENCE, RETRY, satisfies

PAGE = (REFERENCE / "workflow-rules.md").read_text(encoding="utf-8")
WORDS: list[str] = re.findall(r"`([^`]+)`", PAGE)


def codes() -> Iterator[int]:
    yield from RETRY["never"]["codes"]
    yield from (end for pair in RETRY["never"]["code_ranges"] for end in pair)
    yield from RETRY["host_codes"]["retryable"]
    yield from RETRY["host_codes"]["not_retryable"]
    yield from (code for word in RETRY["on_words"].values() for code in word["codes"])
    yield from (clock["code"] for clock in RETRY["clocks"].values())


def vocabulary() -> Iterator[str]:
    for group in JOINS["statuses"].values():
        yield from group
    for group in ("skip_reasons", "cancel_reasons", "on"):
        yield from JOINS[group]
    for group in ("on_words", "clocks"):
        yield from RETRY[group]
    yield from (str(code) for code in codes())
    yield from (key.removesuffix("_ms") for key in RETRY["defaults"] if key not in ("factor", "jitter"))


def test_every_word_of_the_data_stands_on_the_page() -> None:
    assert sorted(word for word in set(vocabulary()) if word not in WORDS) == []
    for phrase in (
        "on_error",
        "always",
        "recover: true",
        "stop: true",
        "merge: last",
        "merge: deep",
        "at_least",
    ):
        assert phrase in PAGE


def test_the_defaults_of_retry_stand_on_the_page() -> None:
    defaults = RETRY["defaults"]
    assert f"| `attempts` | {defaults['attempts']} |" in PAGE
    assert f"| `delay` | {defaults['delay_ms']} ms |" in PAGE
    assert f"| `max_delay` | {defaults['max_delay_ms']} ms |" in PAGE


def test_the_table_of_links_on_the_page_is_the_one_in_the_data() -> None:
    words = list(JOINS["on"])
    rows = ["| Source | " + " | ".join(f"`{word}`" for word in words) + " |", "|---" * (len(words) + 1) + "|"]
    for row in JOINS["table"]:
        source = f"`{row['status']}`" + (f" (`{row['reason']}`)" if row["reason"] else "")
        rows.append(
            f"| {source} | " + " | ".join("yes" if w in row["satisfies"] else "no" for w in words) + " |"
        )
    printed = PAGE.split("<!-- table: on -->\n")[1].split("\n<!-- end -->")[0]
    assert printed.splitlines() == rows


def test_the_table_in_the_data_follows_from_the_words() -> None:
    for row in JOINS["table"]:
        found = {word for word in JOINS["on"] if satisfies(word, row["status"], row["reason"])}
        assert found == set(row["satisfies"])


def test_the_reasons_on_the_page_are_the_ones_in_the_data() -> None:
    printed = set(re.findall(r"^\| `(skipped|cancelled)` \| `(\w+)` \|", PAGE, flags=re.MULTILINE))
    expected = {("skipped", reason) for reason in JOINS["skip_reasons"]}
    assert printed == expected | {("cancelled", reason) for reason in JOINS["cancel_reasons"]}


def test_no_code_is_both_retryable_and_not() -> None:
    retryable: set[Any] = set(RETRY["host_codes"]["retryable"])
    refused = {*RETRY["host_codes"]["not_retryable"], *RETRY["never"]["codes"]}
    named = {code for word in RETRY["on_words"].values() for code in word["codes"]}
    assert retryable & refused == set()
    assert named & refused == set()
