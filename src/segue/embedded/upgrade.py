"""Replacing a running keeper, of whatever version, by this process: nothing that serves is touched.

The listening socket is had first, from what serves. So the keeper is only asked to leave when there is
nothing left that could fail, and should this process die in between, any `segue up` can take over.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import replace

from segue.core.address import Address, parse_address
from segue.core.errors import Refused, Stranded, error_from_dict
from segue.deploy.protocol import HANDOVER
from segue.disk.home import Home
from segue.disk.lock import is_held
from segue.embedded.asking import converse
from segue.embedded.takeover import take_listener

LEAVE_TIMEOUT = 20.0
POLL = 0.02


def listener_of_keeper(home: Home, address: Address) -> socket.socket:
    """The socket that the keeper of `home` listens on, which has to be on `address`; nothing is touched.

    Raises:
        Refused: there is no keeper, it serves another address, or nobody gives the socket.
    """
    keeper = home.read_keeper()
    if keeper is None or not is_held(home.keeper_lock):
        raise Refused(
            "no_keeper",
            f"There is no keeper of {home.project} to be replaced.",
            evidence=f"looked for it in {home.keeper}",
            hint="`segue up` without --upgrade starts one; it takes over what an earlier one left serving",
        )
    kept = parse_address(keeper["bind"])
    if replace(address, port=address.port or kept.port) != kept:
        raise Refused(
            "bind",
            f"The keeper serves {kept}, and its successor would serve {address}.",
            evidence=f"keeper: segue {keeper['version']}, pid {keeper['pid']}",
            hint=f"give `--bind {kept}`; for another address, stop it and start anew",
        )
    listener = take_listener(home, kept)
    if listener is None:
        raise Refused(
            "no_listener",
            f"Nothing that serves gives the socket of {kept}.",
            evidence="neither a holder of this user's nor, by pidfd_getfd, the kernel gave it",
            hint="if the first release boots still, wait for it; else `segue deploy` brings a new holder in",
        )
    return listener


def end_keeper(home: Home) -> None:
    """Have the keeper of `home` leave what serves to this process, and wait until it has gone.

    What is under way comes to rest first.

    Raises:
        SegueError: it will not leave; it goes on.
    """
    while is_held(home.keeper_lock):
        # one that dies meanwhile may have a successor, which knows nothing of this
        if _agrees(home):
            _until_gone(home)


def _agrees(home: Home) -> bool:
    with contextlib.closing(converse(home, HANDOVER, {"wait": True})) as conversation:
        try:
            document, code = conversation.answer(lambda _: None)
        except Stranded:
            return False
    if code:
        raise error_from_dict(document["error"], code)
    return True


def _until_gone(home: Home) -> None:
    deadline = time.monotonic() + LEAVE_TIMEOUT
    while is_held(home.keeper_lock) and time.monotonic() < deadline:
        time.sleep(POLL)
