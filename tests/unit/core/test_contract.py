"""What a contract demands of values, and that it never repeats one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.contract import KINDS, Contract, Demand, digest, kind_of

LONG = "0123456789abcdef"
GOOD = {
    "url": ("postgresql+psycopg://u:p@db/shop", "sqlite:///shop.db", "sqlite://", "redis://localhost:6379/0"),
    "secret": (LONG, "a b" * 6, "\n" * 16),
    "int": ("0", "8000", "-1", "+7"),
    "bool": ("1", "0", "true", "False", "YES", "no", "on", "Off"),
    "text": ("", "x", "a\nb"),
}
BAD = {
    "url": ("", "shop.db", "//db/shop", "http//x", "http://a b", " http://a", "1a://x", "http://a\n"),
    "secret": ("", LONG[1:]),
    "int": ("", "1.0", "8000 ", "0x10", "\u0663", "1_000", "1\n"),
    "bool": ("", "2", "y", "enabled", "true\n", "ye\u017f"),
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in GOOD for value in GOOD[kind]])
def test_values_that_will_do(kind: str, value: str) -> None:
    assert Demand("KEY", kind).broken_by(value) == Demand("KEY", f"{kind}?").broken_by(value) == ""


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in BAD for value in BAD[kind]])
def test_values_that_will_not_do(kind: str, value: str) -> None:
    assert Demand("KEY", kind).broken_by(value)
    # an optional key that is set to nothing is not set
    assert bool(Demand("KEY", f"{kind}?").broken_by(value)) is (value != "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_may_be_missing_where_it_says_so(kind: str) -> None:
    assert Demand("KEY", kind).broken_by(None) == "is missing"
    assert Demand("KEY", f"{kind}?").broken_by(None) == ""


def test_a_secret_is_not_the_examples() -> None:
    contract = Contract.of({"KEY": "secret", "NAME": "text"}, {"KEY": LONG, "NAME": LONG})
    broken = contract.broken_by({"KEY": LONG, "NAME": LONG})
    assert {one.key: said for one, said in broken.items()} == {"KEY": "still has the value of .env.example"}
    assert not contract.broken_by({"KEY": LONG + "x", "NAME": ""})
    assert LONG not in str(contract)


@pytest.mark.parametrize("value", ["", LONG, "\udcff"])
def test_an_example_is_known_by_a_short_digest(value: str) -> None:
    """Also one that is no valid text: it came from a file."""
    assert len(digest(value)) == 16
    assert digest(value) != digest(value + "x")


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("DATABASE_URL", "sqlite:///shop.db", "url"),
        ("PORT", "8000", "int"),
        ("WORKERS", "1", "int"),
        ("DEBUG", "false", "bool"),
        ("NAME", "tea shop", "text"),
        ("NAME", "", "text"),
        ("NUMBER", "\u0663", "text"),
        ("ANSWER", "ye\u017f", "text"),
        ("SECRET_KEY", "8000", "secret"),
        ("db_password", "", "secret"),
        ("API_TOKEN", "x", "secret"),
        ("STRIPE_KEY", "x", "secret"),
        ("KEY_COUNT", "3", "int"),
    ],
)
def test_an_examples_kind_is_told_by_its_name_and_its_value(key: str, value: str, kind: str) -> None:
    assert kind_of(key, value) == kind


def test_the_example_demands_what_the_config_does_not_speak_of() -> None:
    contract = Contract.of({"PORT": "int?", "URL": "url"}, {"PORT": "1", "NAME": "x"})
    assert {one.key: (one.kind, one.configured) for one in contract.demands} == {
        "PORT": ("int?", True),
        "NAME": ("text", False),
        "URL": ("url", True),
    }
    assert {one.key for one in contract.broken_by({})} == {"NAME", "URL"}


@given(st.sampled_from(KINDS), st.text())
def test_nothing_of_a_value_is_in_what_is_said_of_it(kind: str, value: str) -> None:
    complaints = {Demand("KEY", kind).broken_by(other) for other in BAD.get(kind, ())}
    said = Demand("KEY", kind, digest(value)).broken_by(value)
    assert said in {"", "still has the value of .env.example", *complaints}


def test_a_contract_is_written_and_read_back() -> None:
    contract = Contract.of({"A": "url?", "B": "secret"}, {"B": "x", "C": ""})
    assert Contract.from_list(json.loads(json.dumps(contract.as_list()))) == contract


@pytest.mark.parametrize(
    "change", [{"key": "A-B"}, {"key": ""}, {"kind": "uuid"}, {"kind": "url??"}, {"kind": ""}]
)
def test_what_is_no_demand_is_refused(change: dict[str, str]) -> None:
    good = Demand("A", "url")
    assert Contract.from_list(Contract((good,)).as_list()).demands == (good,)
    with pytest.raises(ValueError, match=r"^that is no demand on a key$"):
        Contract.from_list([{**vars(good), **change}])
