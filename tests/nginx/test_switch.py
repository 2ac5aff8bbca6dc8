"""The switch: one rename of the link, under load, and nobody notices but by who answers."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import urllib.request
from collections.abc import Iterator

import pytest
from tests.support.nginx import ONE, TWO, Front, front, needs_nginx
from tests.support.site import demand_no_loss, traffic, until

from segue.front.log import NGINX, Answers, Position
from segue.proof.spec import Shot

pytestmark = needs_nginx
SHOTS = (Shot(path="/"), Shot(method="POST", path="/orders", body=(b"{n}",)))
START = Position(0, 0)


@pytest.fixture
def site() -> Iterator[Front]:
    with front() as made:
        made.generation(ONE)
        made.generation(TWO)
        made.link.route(ONE)
        made.nginx.put("segue-shop", made.site())
        yield made


def answers(site: Front, generation: str, since: Position = START) -> int:
    return site.log.tally(since).get(generation, Answers()).answers


def who_answers(site: Front) -> str:
    request = urllib.request.Request(site.url, headers={"Host": "shop.example"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return str(response.headers["X-Segue-Generation"])


@contextlib.contextmanager
def user(site: Front) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.doors.http, timeout=20)) as client:
        yield client


def who_answers_to(client: http.client.HTTPConnection) -> str:
    client.request("GET", "/", headers={"Host": "shop.example"})
    with client.getresponse() as answer:
        answer.read()
        return str(answer.headers["X-Segue-Generation"])


def switch(site: Front, to: str) -> None:
    site.link.route(to)
    # not one answer of the old one after the switch, and some of the new one's under load
    assert who_answers(site) == to
    since = site.log.position()
    until(lambda: answers(site, to, since) > 20, what="answers of the new one")


@pytest.mark.parametrize("switches", [30, pytest.param(500, marks=pytest.mark.soak)])
def test_nobody_is_lost_by_switches(site: Front, switches: int) -> None:
    with traffic(site.url, rate=100, shots=SHOTS) as result:
        for to in itertools.islice(itertools.cycle((TWO, ONE)), switches):
            switch(site, to)
    demand_no_loss(result)
    assert result.report["statuses"] == {"200": result.report["sent"]}

    # the second witnesses: nginx's logs, and the orders that the apps stored
    sent: int = result.report["sent"]

    def logged() -> bool:
        return sum(each.answers for each in site.log.tally(START).values()) == sent + switches

    until(logged, what="the last lines of the log")
    tally = site.log.tally(START)
    assert set(tally) == {ONE, TWO}
    assert not any(each.errors for each in tally.values())
    assert site.complaints() == ""
    assert len(site.orders) == len(set(site.orders)) == site.log.path.read_text().count('"method":"POST"') > 0


def test_slow_uploads_over_a_switch(site: Front) -> None:
    """Uploads that are under way at the switch, which nginx holds back until they are whole."""
    slow_order = Shot(method="POST", path="/orders", body=(b"{n}", b" "), pause=0.5)
    with traffic(site.url, rate=50, shots=(slow_order,)) as slow:
        for to in (TWO, ONE, TWO, ONE):
            switch(site, to)
    demand_no_loss(slow)
    assert site.complaints() == ""


def test_a_reload_closes_idle_connections_which_a_switch_leaves_alone(site: Front) -> None:
    """Why no deploy reloads nginx: who is about to send on such a connection finds it closed."""
    with user(site) as client:
        assert who_answers_to(client) == ONE
        kept = client.sock
        assert kept is not None
        site.link.route(TWO)
        assert (who_answers_to(client), client.sock) == (TWO, kept)
        site.nginx.reload()
        assert kept.recv(1) == b""


def test_stopping_the_old_one_without_a_switch_is_seen(site: Front) -> None:
    with traffic(site.url, rate=100, shots=SHOTS) as result:
        until(lambda: answers(site, ONE) > 20, what="answers")
        site.servers[ONE].terminate()
        site.servers[ONE].wait(20)
        until(lambda: site.log.tally(START).get(NGINX, Answers()).errors > 5, what="errors in nginx's log")
    assert result.lost > 5
    assert set(result.report["failures"]) == {"status_502"}
    until(lambda: site.log.tally(START)[NGINX].errors == result.lost, what="the last lines of the log")
    assert "connect() to unix:" in site.complaints()


def test_a_link_to_nothing_is_seen(site: Front) -> None:
    with traffic(site.url, rate=100) as result:
        site.link.remove()
        until(lambda: site.log.tally(START).get(NGINX, Answers()).errors > 5, what="errors in nginx's log")
        site.link.route(ONE)
        until(lambda: answers(site, ONE) > 5, what="answers")
    until(lambda: result.lost == site.log.tally(START)[NGINX].errors, what="the last lines of the log")


def test_an_upstream_that_keeps_connections_would_stay_with_the_old_one(site: Front) -> None:
    """Why the site has no upstream block."""
    address = f"http://unix:{site.link.path}"
    upstream = f"upstream kept {{ server {address.removeprefix('http://')}; keepalive 8; }}\n"
    kept = site.site().replace(address, "http://kept").replace("$segue_shop_conn;", '"";')
    site.nginx.put("segue-shop", upstream + kept)
    # one connection of a user's has one worker of nginx, and so that worker's connection to the old one
    with user(site) as client:
        assert who_answers_to(client) == ONE
        site.link.route(TWO)
        assert who_answers_to(client) == ONE
