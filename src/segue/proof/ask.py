"""One request on a connection of its own: for checks, where a probe would be too much."""

from __future__ import annotations

import contextlib

from segue.proof.connection import Answer, Pool, RequestError
from segue.proof.spec import Shot
from segue.proof.target import parse_target


async def ask(url: str, connect: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """What `url`, reached at `connect`, answers to a GET with `headers`; it may take for ever.

    Certificates are not verified: it is this machine that is asked.

    Raises:
        OSError: no full answer came.
    """
    target = parse_target(url, connect)
    head, pieces = Shot(headers=headers).request(0, target, keep_alive=False)
    with contextlib.closing(await Pool(target, insecure=True).open()) as connection:
        try:
            return await connection.exchange(head, pieces, 0.0)
        except RequestError as error:
            raise OSError(error.detail) from error
