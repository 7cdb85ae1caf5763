"""The transformation language: what it means, and that no text can do more than be refused."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeling_bridges.powercenter.language import dates
from nodeling_bridges.powercenter.language.evaluate import evaluate, from_mapping, holds
from nodeling_bridges.powercenter.language.functions import FUNCTIONS, EvaluationFault
from nodeling_bridges.powercenter.language.parser import parse
from nodeling_bridges.powercenter.language.syntax import SyntaxFault, variables_of

KNOWN: dict[str, Any] = {
    "$s.Status": "SUCCEEDED",
    "$f.Status": "FAILED",
    "$off.Status": "DISABLED",
    "$d.Condition": None,
    "$$n": 5,
    "$$t": "abc",
    "$$nothing": None,
    "SYSDATE": "2026-01-31T10:20:30",
    "$PMRootDir": "/data",
}


def value(text: str) -> Any:
    return evaluate(text, from_mapping(KNOWN))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 / 2", 3.5),
        ("6 / 2", 3),
        ("-3 + 1", -2),
        ("7 % 3", 1),
        ("'a' || 'b' || NULL", "ab"),
        ("NULL || NULL", None),
        ("'it''s'", "it's"),
        ("1 = 1 -- a comment", 1),
        ("1 = 1 // a comment", 1),
        ("2 <> 3 AND 2 != 3 AND 2 ^= 3", 1),
        ("NOT 1 = 2", 1),
        ("$$n >= 5 and $$n < 6", 1),
        ("$PMRootDir || '/in'", "/data/in"),
        ("10 > 9", 1),
        ("'10' > 9", 1),
        ("'b' > 'a'", 1),
        ("IIF($$n > 3, 'many', 'few')", "many"),
        ("IIF($$nothing > 3, 'many', 'few')", "few"),
        ("IIF(1 = 2, 5)", 0),
        ("IIF(1 = 1, 1, 1 / 0)", 1),
        ("DECODE($$n, 1, 'one', 5, 'five', 'else')", "five"),
        ("DECODE($$n, 1, 'one', 'else')", "else"),
        ("DECODE($$nothing, NULL, 'none', 'else')", "none"),
        ("DECODE($$n, 1, 'one')", None),
        ("ISNULL($$nothing)", 1),
        ("SUBSTR('hello', 2, 3)", "ell"),
        ("SUBSTR('hello', -3, 2)", "ll"),
        ("SUBSTR('hello', 9)", None),
        ("INSTR('banana', 'a', 1, 2)", 4),
        ("INSTR('banana', 'x')", 0),
        ("UPPER(LTRIM('  x '))", "X "),
        ("LTRIM('xxhixx', 'x') || RTRIM('yy', 'y')", "hixx"),
        ("LPAD('7', 3, '0') || RPAD('7', 3, '-')", "0077--"),
        ("LENGTH('four')", 4),
        ("ROUND(2.5)", 3),
        ("ROUND(-2.5)", -3),
        ("ROUND(12.345, 2)", 12.35),
        ("TRUNC(12.99)", 12),
        ("ABS(-4) + MOD(7, 4) + CEIL(1.2) + FLOOR(1.8)", 10),
        ("POWER(2, 10)", 1024.0),
        ("IN($$n, 1, 5)", 1),
        ("IN($$nothing, 1, 5)", None),
        ("TO_INTEGER('42') + TO_DECIMAL('0.5')", 42.5),
        ("TO_CHAR(SYSDATE, 'YYYYMMDD HH24MISS')", "20260131 102030"),
        ("TO_DATE('12/31/2025', 'MM/DD/YYYY')", "2025-12-31T00:00:00"),
        ("ADD_TO_DATE(SYSDATE, 'MM', 1)", "2026-02-28T10:20:30"),
        ("ADD_TO_DATE(SYSDATE, 'HH', -11)", "2026-01-30T23:20:30"),
        ("DATE_DIFF(SYSDATE, TO_DATE('01/30/2026', 'MM/DD/YYYY'), 'DD') > 1.4", 1),
        ("DATE_DIFF(TO_DATE('03/31/2026','MM/DD/YYYY'), TO_DATE('01/31/2026','MM/DD/YYYY'), 'MM')", 2.0),
        ("GET_DATE_PART(SYSDATE, 'DD') * 100 + GET_DATE_PART(SYSDATE, 'HH24')", 3110),
        ("TRUNC(SYSDATE, 'MM')", "2026-01-01T00:00:00"),
        ("LAST_DAY(TO_DATE('02/03/2024', 'MM/DD/YYYY'))", "2024-02-29T00:00:00"),
        ("DATE_COMPARE(SYSDATE, SYSDATE)", 0),
        ("TO_DATE('01/02/2026','MM/DD/YYYY') < SYSDATE", 1),
        ("$s.Status", "SUCCEEDED"),
        ("$s.Status = SUCCEEDED", 1),
        ("$S.status = succeeded", 1),
        ("$s.Status = 1", 1),
        ("$f.Status = SUCCEEDED", 0),
        ("$off.Status = SUCCEEDED OR DISABLED", 1),
        ("$f.Status = SUCCEEDED OR DISABLED", 0),
        ("$f.Status <> SUCCEEDED", 1),
        ("$s.Status = SUCCEEDED OR $$n = 1", 1),
        ("$d.Condition = 1", None),
        ("NOT $d.Condition = 1", None),
        ("$d.Condition = 1 OR 1 = 1", 1),
        ("$d.Condition = 1 AND 1 = 2", 0),
        ("$d.Condition = 1 AND 1 = 1", None),
        ("TRUE AND NOT FALSE", 1),
    ],
)
def test_an_expression_has_its_value(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected) or isinstance(found, (int, float))


@pytest.mark.parametrize(
    ("text", "said", "position"),
    [
        ("1 +", "ends here", 3),
        ("(1", "')' is wanted", 2),
        ("1 2", "left over", 2),
        ("'open", "not closed", 0),
        ("SUBSTRING('a', 1)", "no function", 0),
        ("SUBSTR('a')", "takes 2 to 3 arguments", 0),
        ("$s.Status = SUCEEDED", "no value", 12),
        ("eval('x')", "no function", 0),
        ("a.b.c", "does not belong", 3),
        ("1 ; 2", "does not belong", 2),
        ("__import__('os').system('id')", "does not belong", 16),
        ("((((" * 40 + "1" + "))))" * 40, "nests deeper", None),
        ("NOT " * 100 + "1", "nests deeper", None),
        ("1+" * 40_000 + "1", "more than 32,767", None),
    ],
)
def test_what_is_no_expression_is_refused_at_its_place(text: str, said: str, position: int | None) -> None:
    with pytest.raises(SyntaxFault, match=said.replace("(", r"\(").replace(")", r"\)")) as refused:
        parse(text)
    assert position is None or refused.value.position == position


def test_a_misspelt_word_is_answered_with_the_nearest() -> None:
    with pytest.raises(SyntaxFault) as refused:
        parse("SUBSTRR('a', 1)")
    assert refused.value.hint == "did you mean SUBSTR?"


@pytest.mark.parametrize(
    "text",
    ["1 / 0", "7 % 0", "MOD(1, 0)", "'a' + 1", "$unknown.Status = 1", "$$unknown", "POWER(10, 400)",
     "9007199254740991 * 2", "TO_DATE('x', 'MM/DD/YYYY')", "ADD_TO_DATE(SYSDATE, 'XX', 1)",
     "ADD_TO_DATE(SYSDATE, 'YYYY', 99999)", "LPAD('x', 99999999, 'y')", "ABS('x')"],
)  # fmt: skip
def test_an_expression_without_a_value_says_so(text: str) -> None:
    with pytest.raises(EvaluationFault):
        value(text)


def test_an_empty_condition_always_holds_and_null_never() -> None:
    lookup = from_mapping(KNOWN)
    assert holds("", lookup)
    assert holds("  ", lookup)
    assert not holds("$d.Condition = 1", lookup)
    assert not holds("$$nothing", lookup)
    assert holds("$s.Status", lookup)


def test_the_variables_of_an_expression_are_told_in_order() -> None:
    tree = parse("IIF($a.Status = SUCCEEDED, $$x, -$PMy) || SYSDATE")
    assert [(one.task, one.name) for one in variables_of(tree)] == [
        ("a", "Status"), (None, "$$x"), (None, "$PMy"), (None, "SYSDATE"),
    ]  # fmt: skip


# -- three truth values, against the tables of the textbook

TRUTHS = st.sampled_from([True, False, None])
WORDS = {True: "1 = 1", False: "1 = 2", None: "NULL = 1"}


@st.composite
def formulas(draw: st.DrawFn, depth: int = 3) -> tuple[str, bool | None]:
    if depth == 0 or draw(st.booleans()):
        truth = draw(TRUTHS)
        return f"({WORDS[truth]})", truth
    if draw(st.booleans()):
        text, truth = draw(formulas(depth - 1))
        return f"(NOT {text})", None if truth is None else not truth
    (left, one), (right, other) = draw(formulas(depth - 1)), draw(formulas(depth - 1))
    if draw(st.booleans()):
        both = False if one is False or other is False else None if one is None or other is None else True
        return f"({left} AND {right})", both
    either = True if one is True or other is True else None if one is None or other is None else False
    return f"({left} OR {right})", either


@given(formulas())
def test_logic_has_three_values(formula: tuple[str, bool | None]) -> None:
    text, truth = formula
    assert value(text) == (None if truth is None else int(truth))


@given(st.text(alphabet="$ab.S()'=<>|+-*/%,1 0NULLORANDIF", max_size=60))
def test_any_text_has_a_value_or_is_refused_by_name(text: str) -> None:
    try:
        value(text)
    except (SyntaxFault, EvaluationFault):
        return


@given(
    st.recursive(
        st.integers(-99, 99), lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner), max_leaves=12
    )
)
def test_arithmetic_is_that_of_numbers(tree: Any) -> None:
    def written(here: Any) -> str:
        return str(here) if isinstance(here, int) else f"({written(here[1])} {here[0]} {written(here[2])})"

    def computed(here: Any) -> int:
        if isinstance(here, int):
            return here
        left, right = computed(here[1]), computed(here[2])
        return {"+": left + right, "-": left - right, "*": left * right}[here[0]]

    wanted = computed(tree)
    if abs(wanted) < 2**50:
        try:
            assert value(written(tree)) == wanted
        except EvaluationFault as error:
            assert "too large" in str(error)


MOMENTS = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)


@given(MOMENTS)
def test_a_date_written_and_read_is_the_same(moment: datetime.datetime) -> None:
    text = dates.written(dates.iso(moment), "YYYY-MM-DD HH24:MI:SS")
    assert dates.read(text, "YYYY-MM-DD HH24:MI:SS") == moment


@given(MOMENTS, st.integers(-500, 500), st.sampled_from(["YYYY", "MM", "DD", "HH", "MI", "SS"]))
def test_adding_and_taking_away_time_agree(moment: datetime.datetime, amount: int, part: str) -> None:
    later = dates.added(dates.iso(moment), part, amount)
    if part in ("DD", "HH", "MI", "SS"):
        assert dates.added(later, part, -amount) == dates.iso(moment)
        assert dates.difference(later, dates.iso(moment), part) == pytest.approx(amount)
    else:
        assert dates.difference(later, dates.iso(moment), part) == pytest.approx(amount, abs=0.11)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.data())
def test_a_function_gives_json_or_refuses(name: str, data: st.DataObject) -> None:
    function = FUNCTIONS[name]
    some = st.one_of(
        st.none(), st.integers(-9, 9), st.text(max_size=5), st.just("2026-01-31T00:00:00"), st.floats(-9, 9)
    )
    most = function.most if function.most is not None else function.least + 2
    arguments = data.draw(st.lists(some, min_size=function.least, max_size=most))
    if not function.nulls and None in arguments:
        return
    try:
        found = function.call(*arguments)
    except EvaluationFault:
        return
    assert found is None or isinstance(found, (str, int, float))
