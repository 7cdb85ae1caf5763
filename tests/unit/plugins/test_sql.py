"""sql: rows, transactions, parameters and errors, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeling import Workflow
from nodeling.testing import NodeOutcome
from nodeling_nodes.sql.databases import translated
from nodeling_nodes.sql.values import plain

Shipped = Callable[..., NodeOutcome]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, here: Path) -> str:
    if request.param == "sqlite":
        return "sqlite:///test.db"
    address: str = request.getfixturevalue("postgres")
    return address


@pytest.fixture
def table(shipped: Shipped, database: str) -> str:
    statements = [
        {"sql": "drop table if exists sales"},
        {"sql": "create table sales (id integer primary key, item text not null, amount double precision)"},
        {
            "sql": "insert into sales values (:id, :item, :amount)",
            "many": [{"id": i, "item": f"item {i}", "amount": i * 1.5} for i in range(1, 6)],
        },
    ]
    outcome = shipped("sql", {"database": database, "statements": statements})
    assert outcome.succeeded, outcome.error
    assert outcome.output["changed"] == 5
    return database


def test_rows_come_as_objects_and_parameters_as_values(shipped: Shipped, table: str) -> None:
    text = "select id, item, amount from sales where amount > :least and item <> :not order by id desc"
    given_parameters = {"least": 3, "not": "'; drop table sales; --"}
    found = shipped("sql", {"database": table, "sql": text, "parameters": given_parameters}).output
    assert found["rows"][0] == {"id": 5, "item": "item 5", "amount": 7.5}
    assert (found["row_count"], found["changed"], found["columns"]) == (3, 0, ["id", "item", "amount"])
    listed = shipped(
        "sql", {"database": table, "sql": "select item from sales where id = ?", "parameters": [2]}
    )
    assert listed.output["rows"] == [{"item": "item 2"}]


def test_a_failure_undoes_the_whole_call(shipped: Shipped, table: str) -> None:
    statements = [
        {"sql": "delete from sales"},
        {"sql": "insert into sales values (1, 'x', 1)"},
        {"sql": "insert into sales values (1, 'y', 1)"},
    ]
    outcome = shipped("sql", {"database": table, "statements": statements})
    error = outcome.error or {}
    assert error["code"] == 4001 and "statement 3 of 3 breaks a rule of the database" in error["message"]
    left = shipped("sql", {"database": table, "sql": "select count(*) as n from sales"}).output
    assert left["rows"] == [{"n": 5}]


def test_changes_are_counted_also_where_they_give_rows(shipped: Shipped, table: str) -> None:
    text = "update sales set amount = 0 where id > 3 returning id"
    found = shipped("sql", {"database": table, "sql": text}).output
    assert sorted(row["id"] for row in found["rows"]) == [4, 5] and found["changed"] == 2


def test_reading_only_changes_nothing(shipped: Shipped, table: str) -> None:
    outcome = shipped("sql", {"database": table, "sql": "delete from sales", "read_only": True})
    assert outcome.code == 4003
    assert shipped("sql", {"database": table, "sql": "select 1 as one", "read_only": True}).succeeded
    assert shipped("sql", {"database": table, "sql": "select * from sales"}).output["row_count"] == 5


def test_rows_are_bounded(shipped: Shipped, table: str) -> None:
    outcome = shipped("sql", {"database": table, "sql": "select * from sales", "max_rows": 4})
    assert outcome.code == 4005 and "more than 4 rows, its `max_rows`" in (outcome.error or {})["message"]


@pytest.mark.parametrize(
    ("text", "parameters", "said"),
    [
        ("select * from nowhere", {}, "is refused"),
        ("select id as a, item as a from sales", {}, "two columns called 'a'"),
        ("select :x as x", {"x": [1]}, "parameter 'x' is a list"),
    ],
)
def test_what_is_wrong_with_a_statement_is_said(
    shipped: Shipped, table: str, text: str, parameters: Any, said: str
) -> None:
    outcome = shipped("sql", {"database": table, "sql": text, "parameters": parameters})
    assert outcome.code == 4001 and said in (outcome.error or {})["message"]


def test_a_statement_that_takes_too_long_is_ended(shipped: Shipped, database: str) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) as c from n"
    outcome = shipped("sql", {"database": database, "sql": endless, "timeout_ms": 200})
    assert outcome.code == 5000 and "200 ms, its `timeout_ms`" in (outcome.error or {})["message"]


def test_a_lock_is_waited_for_and_may_be_tried_again(shipped: Shipped, here: Path) -> None:
    holder = sqlite3.connect(here / "test.db", isolation_level=None)
    holder.execute("create table t (a)")
    holder.execute("begin immediate")
    step = {"retry": {"attempts": 3, "delay": 1}}
    inputs = {"database": "sqlite:///test.db", "sql": "insert into t values (1)", "timeout_ms": 50}
    outcome = shipped("sql", inputs, step=step)
    assert outcome.code == 5005 and outcome.attempts == 3
    holder.execute("commit")
    holder.close()
    assert shipped("sql", inputs, step=step).output["changed"] == 1


def test_a_database_that_is_not_there_says_so(shipped: Shipped, here: Path) -> None:
    text = {"sql": "select 1 as one"}
    outcome = shipped("sql", {"database": "sqlite:///no/such/folder.db", **text})
    assert outcome.code == 4004 and str(here) in (outcome.error or {})["message"]
    assert shipped("sql", {"database": "mysql://x", **text}).code == 4001
    assert shipped("sql", text).code == 4001
    closed = shipped("sql", {"database": "postgresql://x@127.0.0.1:1/x", "timeout_ms": 2_000, **text})
    assert closed.code == 5005


def test_an_address_may_be_a_secret_and_is_never_shown(shipped: Shipped, here: Path) -> None:
    address = "sqlite:///kept-secret.db"
    outcome = shipped(
        "sql", {"sql": "select 1 as one"}, config={"secret": "DB_ADDRESS"}, secrets={"DB_ADDRESS": address}
    )
    assert outcome.output["rows"] == [{"one": 1}]
    assert (here / "kept-secret.db").exists()


def test_types_of_postgresql_become_json(shipped: Shipped, postgres: str) -> None:
    text = (
        "select 1.10::numeric as short, 12345678901234567890::numeric as long, null as none, true as yes, "
        "'2031-05-01'::date as day, '{\"a\": [1]}'::jsonb as doc, array[1, 2] as list, "
        "'\\x01'::bytea as bytes, "
        "'50%' as percent, ':x'::text as colon, 'a'::text || :tail as joined"
    )
    found = shipped("sql", {"database": postgres, "sql": text, "parameters": {"tail": "b"}}).output["rows"]
    assert found == [
        {
            "short": 1.1,
            "long": "12345678901234567890",
            "none": None,
            "yes": True,
            "day": "2031-05-01",
            "doc": {"a": [1]},
            "list": [1, 2],
            "bytes": "AQ==",
            "percent": "50%",
            "colon": ":x",
            "joined": "ab",
        }
    ]


@given(text=st.text("abc 'x\"", max_size=20))
def test_a_text_in_a_statement_is_never_taken_for_a_parameter(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + ":name ? %'"
    sql, _ = translated(f"select {quoted}, :name, ?, a % b -- :x ?", {"name": 1})
    assert sql == f"select {quoted.replace('%', '%%')}, %(name)s, %s, a %% b -- :x ?"


@given(value=st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_becomes_a_number_only_where_that_says_the_same(value: Any) -> None:
    found = plain(value)
    assert (type(value)(repr(found)) if not isinstance(found, str) else type(value)(found)) == value


def test_several_databases_are_joined_in_one_workflow(here: Path) -> None:
    def filled(name: str, rows: list[list[Any]]) -> dict[str, Any]:
        return {
            "name": name,
            "node": "sql",
            "inputs": {
                "database": f"sqlite:///{name}.db",
                "statements": [
                    {"sql": "create table t (id, v)"},
                    {"sql": "insert into t values (?, ?)", "many": rows},
                    {"sql": "select * from t order by id"},
                ],
            },
        }

    steps = [
        {
            "name": "both",
            "node": "parallel",
            "nodes": [filled("people", [[1, "Ada"], [2, "Grace"]]), filled("orders", [[1, 10], [2, 20]])],
        },
        {
            "name": "merged",
            "node": "merge",
            "inputs": {
                "strategy": "zip",
                "values": {
                    "person": "${steps.both.output.results[0].rows}",
                    "order": "${steps.both.output.results[1].rows}",
                },
            },
        },
        {
            "name": "joined",
            "node": "transform",
            "in": "${steps.merged.output.result}",
            "operations": [{"map": {"name": "${item.person.v}", "total": "${item.order.v}"}}],
        },
    ]
    result = Workflow.from_document({"name": "t", "steps": steps}).run(timeout=30)
    assert result.status == "succeeded", result.error
    assert result.output == [{"name": "Ada", "total": 10}, {"name": "Grace", "total": 20}]
