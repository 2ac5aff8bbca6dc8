"""What the environment would be today is told apart from what a service has that nobody changed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import pytest
from tests.support.bad import demand_good_error

from segue.core.address import Address
from segue.core.errors import Refused
from segue.reload.door import Door
from segue.reload.look import Service, changed_names, demand_no_credentials
from segue.reload.master import Command, read_master
from segue.reload.unit import Unit
from segue.server import systemd

GUNICORN = ("/v/bin/python", "/v/bin/gunicorn", "a:b")


@pytest.fixture(autouse=True)
def nothing_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd that has no words for every service; there is none here to ask."""
    monkeypatch.setattr(systemd, "names_for_all", set)


def unit(environment: str = "", argv: str = "/v/bin/gunicorn a:b") -> Unit:
    told = {"Environment": environment, "ExecStart": f"{{ path=/x ; argv[]={argv} ; x }}"}
    return Unit("shop.service", told, ())


def service(of: Unit, environ: Mapping[str, str]) -> Service:
    return Service(
        unit=of,
        master=dataclasses.replace(read_master(os.getpid(), ()), argv=GUNICORN),
        command=Command(("python",), "", ()),
        workers=frozenset(),
        listeners=frozenset(),
        door=Door("localhost", Address("localhost", 80)),
        environ=environ,
    )


def changed(of: Unit, environ: Mapping[str, str]) -> tuple[str, ...]:
    return changed_names(service(of, environ))


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("A=b", "b"),
        (r'"A=ab\$cd"', "ab$cd"),
        (r'"A=a \"b\" \\ \`c\`"', r'a "b" \ `c`'),
        (r'"A=a\nb\tc\033"', "a\nb\tc\x1b"),
        ("A=it's", "it's"),
        ("A=", ""),
    ],
)
def test_words_are_read_as_systemd_quotes_them(shown: str, value: str) -> None:
    of = unit(f'B=1 {shown} "C=2 3"')
    assert of.environment() == {"A": value, "B": "1", "C": "2 3"}
    assert changed(of, of.environment()) == ()


def test_what_was_changed_and_what_is_gone_is_told() -> None:
    assert changed(unit("A=1 B=2"), {"A": "1", "B": "3", "C": "4"}) == ("B", "C")


@pytest.mark.parametrize("name", ["PIDFILE", "TRIGGER_UNIT", "INVOCATION_ID", "PWD", "SHLVL", "_"])
def test_words_of_systemd_and_of_a_shell_are_nobodys_change(name: str) -> None:
    assert changed(unit(), {name: "x"}) == ()


def test_what_a_wrapper_added_is_no_change_but_what_the_unit_says_is() -> None:
    of = unit("A=1", argv="/srv/start.sh")
    assert changed(of, {"A": "1", "VIRTUAL_ENV": "/v"}) == ()
    assert changed(of, {"A": "2", "VIRTUAL_ENV": "/v"}) == ("A",)


def test_credentials_are_refused_for_nobody_else_is_given_them() -> None:
    demand_no_credentials(service(unit(), {"A": "1"}))
    with pytest.raises(Refused) as caught:
        demand_no_credentials(service(unit(), {"CREDENTIALS_DIRECTORY": "/run/credentials/shop.service"}))
    demand_good_error(caught.value.as_dict())
    assert "LoadCredential=" in caught.value.evidence


def test_what_the_unit_sets_and_a_folder_in_run_are_lent_to_the_shadow() -> None:
    environ = {
        "HOME": "/srv",
        "USER": "shop",
        "RUNTIME_DIRECTORY": "/run/shop",
        "INVOCATION_ID": "1",
        "A": "1",
    }
    assert service(unit("HOME=/srv"), environ).lent() == {
        "HOME": "/srv",
        "RUNTIME_DIRECTORY": "/run/shop",
        "A": "1",
    }
