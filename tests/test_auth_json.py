"""JSON from strangers: one reader, and one reading of each text."""

from __future__ import annotations

import codecs
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.auth import AuthError
from refimpl.auth.credentials import read_message
from refimpl.auth.strict_json import BadJSON, DoubledName, read_json
from tests.support.signing import CLAIMS, HEADER, SECRET, encode, verifier

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_json_is_read(value: object) -> None:
    text = json.dumps(value)
    assert read_json(text) == read_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"a": 1, "a": 2}',
        '{"\\u0061": 1, "a": 2}',
        '[{"b": {"a": 1, "a": 2}}]',
    ],
)
def test_2_3_a_name_twice_is_refused(text: str) -> None:
    for given_as in (text, text.encode()):
        with pytest.raises(DoubledName):
            read_json(given_as)


@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF8 + b'{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-16-be"),
        '{"a": 1}'.encode("utf-32"),
        '"é"'.encode("latin-1"),
        b'"\xed\xa0\x80"',  # a surrogate, as UTF-8 would encode it
        b'"\xc0\x80"',
        '\ufeff{"a": 1}',
        '"\ud800"',
        '{"\udfff": 1}',
    ],
)
def test_8_1_only_utf_8_without_a_mark_is_read(data: str | bytes) -> None:
    with pytest.raises(BadJSON):
        read_json(data)


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud800"',
        r'"\uDFFF"',
        r'"\udc00\ud800"',
        r'{"\ud800": 1}',
        r'[{"a": ["\uD83D"]}]',
    ],
)
def test_2_1_half_of_a_pair_is_refused(text: str) -> None:
    for given_as in (text, text.encode()):
        with pytest.raises(BadJSON, match="surrogate pair"):
            read_json(given_as)


def test_2_1_a_whole_pair_is_one_character() -> None:
    assert read_json(r'"\ud83d\ude00"') == read_json('"😀"') == "😀"
    assert read_json(rb'"\\ud800"') == r"\ud800"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '{"a": NaN}'])
def test_6_a_number_has_digits(text: str) -> None:
    with pytest.raises(BadJSON):
        read_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "{'a': 1}",
        "[1,]",
        "01",
        "nul",
        "1 2",
        '"\n"',
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 10_000,
        "\0",
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    for given_as in (text, text.encode()):
        with pytest.raises(BadJSON):
            read_json(given_as)


def test_nothing_of_the_text_is_in_the_error() -> None:
    for text in ('{"secret": 1, "secret": 2}', '"secret', r'"secret\ud800"', "[NaN, secret]"):
        with pytest.raises(BadJSON) as caught:
            read_json(text)
        error = caught.value
        assert "secret" not in f"{error!r}{vars(error)}"
        assert error.__context__ is None
        assert error.__cause__ is None


@given(st.text() | st.binary())
def test_anything_else_raises_one_error(text: str | bytes) -> None:
    try:
        read_json(text)
    except BadJSON:
        pass


def signed(header: bytes, claims: bytes) -> str:
    """Return a token of these parts as they are, with a right signature."""
    text = f"{encode(header)}.{encode(claims)}"
    return f"{text}.{encode(hmac.new(SECRET, text.encode(), hashlib.sha256).digest())}"


GOOD_HEADER, GOOD_CLAIMS = json.dumps(HEADER).encode(), json.dumps(CLAIMS).encode()


def end(part: bytes, more: str) -> bytes:
    """Return a JSON object with one more field, as it stands."""
    return part[:-1] + f", {more}}}".encode()


class TestTokens:
    """RFC 7519 4 and RFC 8725 3.7: header and claims are UTF-8, each name is there once."""

    def test_the_parts_that_all_differ_from_are_accepted(self) -> None:
        assert verifier().verify(signed(GOOD_HEADER, GOOD_CLAIMS)).user.id == "ada"
        assert verifier().verify(signed(GOOD_HEADER, end(GOOD_CLAIMS, r'"name": "\u00e9"')))

    @pytest.mark.parametrize(
        "claims",
        [
            end(GOOD_CLAIMS, '"sub": "eve"'),
            end(GOOD_CLAIMS, '"sub": "ada"'),
            end(GOOD_CLAIMS, '"exp": 9999999999'),
            end(GOOD_CLAIMS, r'"\u0073ub": "eve"'),
            end(GOOD_CLAIMS, '"x": {"a": 1, "a": 2}'),
            end(GOOD_CLAIMS, r'"name": "\ud800"'),
            end(GOOD_CLAIMS, r'"\udfff": 1'),
            end(GOOD_CLAIMS, '"x": NaN'),
            codecs.BOM_UTF8 + GOOD_CLAIMS,
            GOOD_CLAIMS.decode().encode("utf-16"),
            GOOD_CLAIMS.decode().encode("utf-16-le"),
            GOOD_CLAIMS.decode().encode("utf-32"),
        ],
    )
    def test_claims_in_any_other_form_are_refused(self, claims: bytes) -> None:
        self.is_refused(signed(GOOD_HEADER, claims))

    @pytest.mark.parametrize(
        "header",
        [
            end(GOOD_HEADER, '"alg": "HS256"'),
            end(GOOD_HEADER, '"kid": "k1"'),
            end(GOOD_HEADER, r'"x": "\ud800"'),
            end(GOOD_HEADER, '"x": Infinity'),
            codecs.BOM_UTF8 + GOOD_HEADER,
            GOOD_HEADER.decode().encode("utf-16"),
            GOOD_HEADER.decode().encode("utf-32-be"),
        ],
    )
    def test_so_is_a_header(self, header: bytes) -> None:
        self.is_refused(signed(header, GOOD_CLAIMS))

    @staticmethod
    def is_refused(token: str) -> None:
        with pytest.raises(AuthError) as caught:
            verifier().verify(token)
        assert (caught.value.status, caught.value.reason) == (401, "malformed-token")
        assert caught.value.__context__ is None
        assert "eve" not in f"{caught.value}{caught.value.body!r}"


class TestFirstMessage:
    def test_each_name_is_there_once(self) -> None:
        with pytest.raises(AuthError) as caught:
            read_message('{"type": "auth", "token": "a", "token": "b"}')
        assert (caught.value.reason, caught.value.__context__) == ("two", None)

    @pytest.mark.parametrize(
        "text",
        [
            "\ufeff{}",
            '{"type": "auth", "token": NaN}',
            r'{"type": "auth", "token": "\ud800"}',
        ],
    )
    def test_another_form_is_no_first_message(self, text: str) -> None:
        with pytest.raises(AuthError) as caught:
            read_message(text)
        assert (caught.value.reason, caught.value.__context__) == ("missing", None)
