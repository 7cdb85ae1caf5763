from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling_runtime.redact import MASK, NOTHING, Redactor

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


def texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return []


def test_without_secrets_the_value_itself_comes_back() -> None:
    value = {"a": ["x"]}
    assert NOTHING.value(value) is value
    assert not NOTHING
    assert Redactor(["", " "]).value(value) is value


def test_a_secret_is_masked_in_texts_and_keys_at_any_depth() -> None:
    redactor = Redactor(["abc"])
    assert redactor.value({"xabcx": [{"k": "abc"}, 1, None]}) == {"x***x": [{"k": MASK}, 1, None]}


def test_of_two_secrets_the_longer_one_goes_first() -> None:
    assert Redactor(["abc", "abcdef"]).text("abcdef abc") == "*** ***"


def test_the_lines_of_a_secret_are_masked_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----"
    assert Redactor([key]).text("stderr: MIIEvQIBADANBgkq") == "stderr: ***"


def test_a_secret_is_a_text_and_no_pattern() -> None:
    assert Redactor(["a.c"]).text("abc a.c") == "abc ***"


@settings(deadline=None, max_examples=200)
@given(JSON, st.lists(st.text(alphabet="abc", min_size=2, max_size=4), min_size=1, max_size=3))
def test_no_text_holds_a_secret_afterwards(value: object, secrets: list[str]) -> None:
    for text in texts(Redactor(secrets).value(value)):
        assert not any(secret in text for secret in secrets)
