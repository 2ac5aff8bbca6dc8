"""Has a program of the build's do its work, as who builds, and tells what it says meanwhile."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from segue.core.errors import Failed, error_from_dict

if TYPE_CHECKING:
    from segue.deploy.run import Run


async def have_built(run: Run, program: str, spec: dict[str, Any]) -> dict[str, Any]:
    """What `program` says that it has done for `spec`.

    Args:
        run: the deploy.
        program: a module of segue's that takes a spec on stdin, and answers as `segue.build` does.
        spec: what it is to do.

    Raises:
        SegueError: it could not.
    """
    # not what lies where it runs: on a server, in the deploy user's home
    argv = (sys.executable, "-P", "-m", program)
    async with run.site.tasks.building(*argv, env=run.site.environ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the build's pipes were asked for")
        process.stdin.write(json.dumps({"executor": os.getpid(), **spec}).encode() + b"\n")
        process.stdin.close()
        async for line in process.stdout:
            message = json.loads(line)
            if "built" in message:
                return dict(message["built"])
            if "error" in message:
                raise error_from_dict(message["error"], message["exit_code"])
            if "note" in message:
                run.note(message["note"])
            else:
                run.say("say", text=message["say"])
    raise Failed("build", "The build ended without a word.", hint="was it killed, or out of memory?")
