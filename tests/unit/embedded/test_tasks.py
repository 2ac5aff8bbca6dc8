"""What a deploy runs beside the app ends with the executor, whichever way that does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.site import until

from segue.disk.processes import process

DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from segue.embedded.tasks import OwnTasks

async def main():
    folder = Path(sys.argv[1])
    with (folder / "log").open("wb") as output:
        command = ("sleep", "600")
        async with OwnTasks().of_app(*command, cwd=folder, env={}, folder=folder, output=output) as task:
            print(task.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_a_command_of_the_apps_dies_with_a_killed_executor(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-c", DIES, str(tmp_path)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode < 0, done.stderr
    until(lambda: process(int(done.stdout)) is None, what="its end")
