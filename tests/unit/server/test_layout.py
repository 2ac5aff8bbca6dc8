"""Where everything lies on a server, and which names never come into a path or a unit's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from segue.core.errors import Refused, UsageError
from segue.server.layout import Layout

GENERATION = "20261121T013455-8c1f2e9.1"
REQUEST = "0123456789abcdef0123456789abcdef"
HOSTILE = [
    "",
    "..",
    "../x",
    "a/b",
    "a b",
    "a\n",
    "a;b",
    "$(id)",
    "-o",
    "A",
    "1a",
    "a.b",
    "a" * 33,
    "ä",
    "a%i",
]


def test_names_are_as_documented() -> None:
    shop = Layout("shop")
    assert shop.release("20261121T013455-8c1f2e9") == Path("/srv/shop/releases/20261121T013455-8c1f2e9")
    assert shop.env_file == Path("/etc/shop.env")
    assert shop.generation(GENERATION) == Path(f"/var/lib/segue/shop/generations/{GENERATION}")
    assert shop.live_socket == Path("/run/segue/shop/front/live.sock")
    assert shop.socket_path(GENERATION) == Path(f"/run/segue/shop/{GENERATION}/http.sock")
    assert shop.service(GENERATION) == f"segue-shop@{GENERATION}.service"
    assert shop.socket(GENERATION) == f"segue-shop@{GENERATION}.socket"
    assert shop.deploy_unit(REQUEST) == f"segue-shop-deploy@{REQUEST}.service"
    assert shop.keeper_unit == "segue-shop.service"


def test_a_picture_of_a_server_lies_in_one_folder(tmp_path: Path) -> None:
    shop = Layout("shop", tmp_path)
    paths = [
        shop.opt,
        shop.sudoers,
        shop.home,
        shop.env_file,
        shop.state,
        shop.run,
        shop.units,
        shop.tmpfiles,
    ]
    assert all(path.is_relative_to(tmp_path) for path in [*paths, shop.site, shop.site_link])


@pytest.mark.parametrize("app", HOSTILE)
def test_a_hostile_app_name_is_refused_with_the_reason(app: str) -> None:
    with pytest.raises(UsageError) as caught:
        Layout(app)
    assert "begins with a letter" in caught.value.evidence


def test_processes_have_units_of_their_own() -> None:
    unit = Layout("shop").process_unit(GENERATION, "worker")
    assert unit == f"segue-shop-process@{GENERATION}:worker.service"
    assert Layout("shop").process_of(unit) == (GENERATION, "worker")


@pytest.mark.parametrize("app", ["shop-deploy", "shop-process"])
def test_no_app_is_called_as_the_units_of_another(app: str) -> None:
    with pytest.raises(UsageError) as caught:
        Layout(app)
    assert "another app" in caught.value.evidence
    assert Layout("deploy").keeper_unit == "segue-deploy.service"


@pytest.mark.parametrize("name", [*HOSTILE, f"{GENERATION}\n", f"../{GENERATION}"])
def test_a_hostile_id_becomes_part_of_no_path(name: str) -> None:
    shop = Layout("shop")
    for use in (shop.release, shop.generation, shop.socket_path, shop.service, shop.socket, shop.request):
        with pytest.raises(ValueError, match="can't be part of a path"):
            use(name)


def test_a_socket_whose_path_is_too_long_is_refused() -> None:
    generation = f"20261121T013455-{'a' * 40}.1"
    assert Layout("a" * 20).socket_path(generation)
    with pytest.raises(Refused) as caught:
        Layout("a" * 31).socket_path(generation)
    assert "107 are allowed" in caught.value.evidence
