"""nginx's config: nothing is written that it would not take, and what it says it took is what runs."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.nginx import ONE, WORKERS, Front, front, needs_nginx
from tests.support.site import until

from segue.config.schema import Target
from segue.core.errors import Failed, Refused, Stranded, UsageError
from segue.disk.processes import ProcessId
from segue.front.nginx import Nginx
from segue.front.site import Doors, render_site

pytestmark = needs_nginx
SITE = "segue-shop"
FOREIGN = "server {{ listen {port}; server_name {names}; return 204; }}\n"


@pytest.fixture
def site() -> Iterator[Front]:
    with front() as made:
        made.generation(ONE)
        made.link.route(ONE)
        yield made


def status(site: Front, host: str = "shop.example", port: int | None = None) -> int:
    url = f"http://127.0.0.1:{port or site.doors.http}/"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=20) as response:
        return int(response.status)


def is_refused(site: Front) -> bool:
    """Whether nobody listens any more."""
    try:
        status(site)
    except OSError as error:
        return isinstance(getattr(error, "reason", None), ConnectionRefusedError)
    return False


def serving_workers(site: Front) -> set[ProcessId]:
    """Its workers, when all have come up."""
    found: set[ProcessId] = until(
        lambda: len(workers := site.nginx.master().serving()) == WORKERS and workers, what="all workers"
    )
    return found


def contents(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def foreign(site: Front, text: str, name: str = "other") -> Path:
    file = site.nginx.available(name)
    file.write_text(text)
    site.nginx.enabled(name).symlink_to(f"../sites-available/{name}")
    return file


def refusal(site: Front, text: str) -> Refused:
    """What `put` refuses `text` with; nothing has been written, and nginx has not been touched."""
    before, logs = contents(site.root / "nginx"), sorted(os.listdir(site.logs))
    workers = serving_workers(site)
    for act in (site.nginx.validate, site.nginx.put):
        with pytest.raises(Refused) as refused:
            act(SITE, text)
    assert contents(site.root / "nginx") == before
    assert site.nginx.master().serving() == workers
    assert sorted(os.listdir(site.logs)) == logs
    return refused.value


def test_a_site_is_put_changed_and_taken_away(site: Front) -> None:
    old = site.nginx.master().workers()
    assert site.nginx.read(SITE) is None
    site.nginx.put(SITE, site.site())
    assert status(site) == 200
    assert site.nginx.read(SITE) == site.site()
    assert not site.nginx.master().serving() & old

    changed = site.site(aliases=["www.shop.example"])
    site.nginx.put(SITE, changed)
    assert site.nginx.read(SITE) == changed

    site.nginx.put(SITE, None)
    assert site.nginx.read(SITE) is None
    assert contents(site.root / "nginx").keys() == {str(site.nginx.conf)}
    # workers that leave take their title before they close their sockets
    until(lambda: is_refused(site), what="a closed door")


def test_a_site_that_was_put_survives_a_restart_of_nginx(site: Front) -> None:
    site.nginx.put(SITE, site.site())
    process = site.process
    assert process is not None
    process.terminate()
    process.wait(20)
    until(lambda: not (site.root / "nginx.pid").exists(), what="the end of nginx")
    site.start()
    assert status(site) == 200


def test_a_broken_foreign_config_is_refused(site: Front) -> None:
    foreign(site, "server { listen 80; not_a_directive; }\n")
    error = refusal(site, site.site())
    assert error.kind == "nginx_broken"
    assert 'unknown directive "not_a_directive"' in error.evidence
    with pytest.raises(Refused, match="broken as it is"):
        site.nginx.reload()


@pytest.mark.parametrize("names", ["shop.example", "a.example WWW.shop.example", ".shop.example"])
def test_a_name_that_another_site_serves_is_refused(site: Front, names: str) -> None:
    file = foreign(site, "\n" + FOREIGN.format(port=site.doors.http, names=names))
    error = refusal(site, site.site(aliases=["www.shop.example"]))
    assert error.kind == "name_taken"
    assert f"{site.nginx.enabled(file.name)}:2: server_name" in error.evidence


def test_a_name_of_another_app_of_ours_is_refused(site: Front) -> None:
    site.nginx.put("segue-other", site.site("other"))
    assert refusal(site, site.site()).kind == "name_taken"


def test_a_name_in_a_file_far_away_is_refused(site: Front) -> None:
    far = site.root / "far.conf"
    far.write_text(FOREIGN.format(port=site.doors.http, names="shop.example"))
    (site.root / "nginx/conf.d/near.conf").write_text(f"include {far};\n")
    assert f"{far}:1: server_name shop.example" in refusal(site, site.site()).evidence


def test_others_may_have_other_names_or_ports(site: Front) -> None:
    foreign(site, FOREIGN.format(port=site.doors.http, names="a.example *.shop.example ~^shop"))
    foreign(site, FOREIGN.format(port=site.doors.https, names="shop.example"), "port")
    site.nginx.put(SITE, site.site())
    assert (status(site), status(site, "a.example"), status(site, port=site.doors.https)) == (200, 204, 204)


def test_a_certificate_that_is_not_there_is_refused(site: Front) -> None:
    error = refusal(site, site.site(certificate="/none/chain.pem", certificate_key="/none/key.pem"))
    assert error.kind == "nginx_site"
    assert 'cannot load certificate "/none/chain.pem"' in error.evidence


def test_a_site_that_breaks_nginx_is_refused_by_its_real_name(site: Front) -> None:
    error = refusal(site, site.site() + "}\n")
    assert error.kind == "nginx_site"
    assert f'unexpected "}}" in {site.nginx.enabled(SITE)}:' in error.evidence


def test_a_layout_without_sites_enabled_is_refused(site: Front) -> None:
    text = site.nginx.conf.read_text()
    site.nginx.conf.write_text(text.replace(f"include {site.root}/nginx/sites-enabled/*;", ""))
    error = refusal(site, site.site())
    assert error.kind == "nginx_layout"
    assert "sites-enabled" in error.hint


@pytest.mark.parametrize("name", ["x; }", "a b", "$(id)", "x\nlisten 1", "{"])
def test_a_hostile_name_never_becomes_a_site(site: Front, name: str) -> None:
    target = Target.model_construct(domain=name, aliases=(), body_limit="1m")
    with pytest.raises(UsageError):
        render_site("shop", target, site.link.path, doors=site.doors)


def test_nginx_that_does_not_run_is_refused(site: Front) -> None:
    pid_file = site.root / "nginx.pid"
    pid = pid_file.read_text()
    for text in ("", "no number", "0", "999999999", f"{os.getpid()}"):
        pid_file.write_text(text)
        with pytest.raises(Refused, match="does not run"):
            site.nginx.put(SITE, site.site())
    pid_file.unlink()
    with pytest.raises(Refused, match="does not run"):
        site.nginx.master()
    pid_file.write_text(pid)
    assert site.nginx.read(SITE) is None


def test_nginx_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not installed"):
        Nginx(tmp_path, "no-such-nginx").validate(SITE, "")


def test_a_port_that_somebody_else_owns_fails_the_reload(site: Front) -> None:
    site.nginx.put(SITE, site.site())
    workers = serving_workers(site)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        site.doors = Doors(taken.getsockname()[1], ipv6=False)
        site.nginx.validate(SITE, site.site())  # nginx -t is content
        with pytest.raises(Failed) as failed:
            site.nginx.put("segue-two", site.site("two", domain="two.example"))
    assert failed.value.kind == "nginx_reload"
    assert "still could not bind()" in failed.value.evidence
    assert "Address already in use" in failed.value.evidence
    assert site.nginx.read("segue-two") is None
    assert site.nginx.master().serving() == workers


def test_what_was_before_is_there_again_after_a_failed_reload(site: Front) -> None:
    before, port = site.site(), site.doors.http
    site.nginx.put(SITE, before)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        site.doors = Doors(taken.getsockname()[1], ipv6=False)
        with pytest.raises(Failed):
            site.nginx.put(SITE, site.site())
    assert site.nginx.read(SITE) == before
    site.nginx.reload()
    assert status(site, port=port) == 200


def test_a_reload_without_a_log_is_judged_by_the_workers_alone(site: Front) -> None:
    text = site.nginx.conf.read_text()
    site.nginx.conf.write_text(text.replace(f"{site.root}/logs/error.log", "stderr"))
    site.nginx.reload()
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        site.doors = Doors(taken.getsockname()[1], ipv6=False)
        site.nginx.install(SITE, site.site())
        with pytest.raises(Failed, match="goes on with the one from before"):
            site.nginx.reload(timeout=1)


def test_nginx_that_ends_is_told(site: Front) -> None:
    master = site.nginx.master()
    assert site.process is not None
    site.process.kill()
    site.process.wait(20)
    with pytest.raises(Stranded):
        master.reload(timeout=20)
