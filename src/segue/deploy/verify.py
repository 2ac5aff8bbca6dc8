"""The verify step: after the switch, ask where users ask, and see who answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from segue.core.errors import Failed
from segue.proof.ask import ask

if TYPE_CHECKING:
    from segue.deploy.run import Run
    from segue.proof.connection import Answer

HIGHEST_GOOD = 399


async def verify_candidate(run: Run) -> str:
    """Ask for the check and the smoke paths by the users' door.

    Raises:
        Failed: one is not answered, or not by the candidate, or with an error.
    """
    paths = (run.config.check, *run.config.smoke)
    for path in paths:
        _judge(run, path, await _ask(run, path))
    return f"{len(paths)} answered by {run.plan.generation}"


async def _ask(run: Run, path: str) -> Answer:
    config, address = run.config, run.site.address
    url = f"{config.check_scheme}://{config.check_host or address.host_header}{path}"
    try:
        async with asyncio.timeout(config.check_timeout):
            return await ask(url, str(address.reachable))
    except OSError as error:
        raise Failed(
            "verify",
            f"{url} was not answered after the switch.",
            evidence=f"asked at {address}: {error or 'no answer in time'}",
            hint="it was taken back; does the front listen there, and lead to the app?",
        ) from error


def _judge(run: Run, path: str, answer: Answer) -> None:
    by = answer.generation or "nobody who says who they are"
    evidence = f"GET {path}\nHost: {run.config.check_host}\nanswer: {answer.status}, by {by}"
    if run.named and answer.generation != run.plan.generation:
        raise Failed(
            "verify",
            f"After the switch {path} was not answered by {run.plan.generation}.",
            evidence=evidence,
            hint="it was taken back; does the front pass on the app's headers, and lead to the app?",
        )
    if answer.status > HIGHEST_GOOD:
        raise Failed(
            "verify",
            f"After the switch {path} answered {answer.status}.",
            evidence=f"{evidence}\n\n{run.candidate.log_tail()}",
            hint="it was taken back",
        )
