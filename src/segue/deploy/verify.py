"""The verify step: after the switch, ask where users ask, and see who answers."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from segue.core.errors import Failed
from segue.deploy.of_release import run_in_release
from segue.proof.ask import ask
from segue.proof.target import parse_target

if TYPE_CHECKING:
    from segue.deploy.run import Run
    from segue.proof.connection import Answer

OK, HIGHEST_SUCCESS, HIGHEST_GOOD = 200, 299, 399


async def verify_candidate(run: Run) -> str:
    """Ask for the check and the smoke paths by the users' door.

    Raises:
        Failed: one is not answered, or not by the candidate, or with an error.
    """
    paths = (run.config.check, *run.config.smoke)
    for path in paths:
        _judge(run, path, await _ask(run, path))
    seen = await _what_it_sees(run)
    file = await _static(run)
    for command in run.config.smoke_commands:
        await _smoke(run, command)
    commands = f", {len(run.config.smoke_commands)} commands ended well" if run.config.smoke_commands else ""
    return f"{len(paths)} answered by {run.plan.generation}{seen}{file}{commands}"


async def _static(run: Run) -> str:
    """Ask for one static file, where nginx is to serve them; in words, empty where it is not.

    Raises:
        Failed: nobody has it.
    """
    facts = run.site.releases.read(run.plan.release)
    if facts.get("static_sample") is None or facts.get("static_url") is None:
        return ""
    path = f"{facts['static_url']}{facts['static_sample']}"
    answer = await _ask(run, path)
    if answer.status != OK:
        if run.source is None:
            # its files may be from before nginx served any; that is no reason to stay with what is worse
            run.note(f"{path} of {run.plan.release} was not served: {answer.status}")
            return ""
        raise Failed(
            "verify",
            f"After the switch the static file {path} was not served.",
            evidence=f"GET {path}\nHost: {run.config.check_host}\nanswer: {answer.status}",
            hint="it was taken back; nginx's user has to be able to read the release",
        )
    if answer.generation:
        run.note(f"{path} was served by the app, not by nginx, whose user may not be able to read it")
    return ", a static file served"


async def _what_it_sees(run: Run) -> str:
    """Ask what reaches the app of how it was asked; in words, empty where there is nobody to say.

    Raises:
        Failed: it is not what was asked.
    """
    query = run.candidate.start().get("seen")
    if not run.named or query is None:
        return ""
    path = f"{run.config.check.partition('?')[0]}?{query}"
    answer = await _ask(run, path)
    asked = f"{run.config.check_scheme}://{parse_target(_url(run, path)).host}"
    who = run.site.address.host
    saw, _, addresses = answer.seen.partition(" from ")
    if saw == asked and who in re.split(", *", addresses):
        return f", which sees {asked} and who asks"
    raise Failed(
        "verify",
        "After the switch the app did not see how it was asked.",
        evidence=f"asked: {asked} from {who}\nseen: {answer.seen or 'nothing'}\nanswer: {answer.status}",
        hint="it was taken back; nginx has to pass on Host, X-Forwarded-For and X-Forwarded-Proto, and the "
        "server to believe them: FORWARDED_ALLOW_IPS, or forwarded_allow_ips in gunicorn.conf.py",
    )


async def _smoke(run: Run, command: tuple[str, ...]) -> None:
    """Run `command` in the candidate's release, as the app's user.

    Raises:
        Failed: it ended with another status than 0, or never.
    """
    ended = await run_in_release(
        run,
        command,
        generation=run.plan.generation,
        told={"SEGUE_URL": _url(run, "")},
        limit=run.config.ready_timeout,
    )
    if not ended.well:
        raise Failed(
            "verify",
            f"After the switch `{command[0]}` {ended.status}.",
            evidence=ended.evidence(),
            hint="it was taken back",
        )


async def ask_at_door(run: Run, path: str) -> Answer:
    """What users get for `path`.

    Raises:
        OSError: nobody answers, or not in time.
    """
    async with asyncio.timeout(run.config.check_timeout):
        return await ask(_url(run, path), str(run.site.address.reachable))


async def _ask(run: Run, path: str) -> Answer:
    address, url = run.site.address, _url(run, path)
    try:
        return await ask_at_door(run, path)
    except OSError as error:
        raise Failed(
            "verify",
            f"{url} was not answered after the switch.",
            evidence=f"asked at {address}: {error or 'no answer in time'}",
            hint="it was taken back; does the front listen there, and lead to the app?",
        ) from error


def _url(run: Run, path: str) -> str:
    return f"{run.config.check_scheme}://{run.config.check_host or run.site.address.host_header}{path}"


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
    url = _url(run, path)
    is_redirect = HIGHEST_SUCCESS < answer.status <= HIGHEST_GOOD and answer.location
    if is_redirect and url.startswith("https:") and urljoin(url, answer.location) == url:
        raise Failed(
            "verify",
            f"After the switch {path} led back to itself, for ever.",
            evidence=f"{evidence}\nlocation: {answer.location}",
            hint="does the app go by X-Forwarded-Proto? Flask: ProxyFix; Django: SECURE_PROXY_SSL_HEADER",
        )
    if answer.status > HIGHEST_GOOD:
        raise Failed(
            "verify",
            f"After the switch {path} answered {answer.status}.",
            evidence=f"{evidence}\n\n{run.candidate.log_tail()}",
            hint="it was taken back",
        )
