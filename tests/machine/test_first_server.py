"""docs/first-server.md, done as it says on a host that has nothing of segue's yet."""

from __future__ import annotations

import pytest
from tests.support.machine.host import DEPLOY, Host
from tests.support.pages import CONSOLE, ROOT, Command, blocks, commands, demand_output

PAGE = ROOT / "docs/first-server.md"
FOLDER = "tea"
PROJECT = f"/home/{DEPLOY}/{FOLDER}"
REBOOT = "systemctl reboot"
COMMAND_TIMEOUT = 240.0


@pytest.fixture
def bare(host: Host) -> Host:
    """A host without what others begin with: no segue, no user for deploys; with the wheel that was sent."""
    host.run("rm", "-r", "/opt/segue")
    host.run("userdel", "--remove", DEPLOY)
    host.run("sh", "-c", "cp /opt/wheels/segue-*.whl /root")
    return host


def run(host: Host, command: Command) -> None:
    """One command: its exit code and its output are what the page says."""
    if command.words == REBOOT:
        host.reboot()
        return
    user, cwd = ("root" if command.as_root else DEPLOY), (PROJECT if host.exists(PROJECT) else "/root")
    words = ("sh", "-c", f"exec 2>&1; {command.words}")
    done = host.run(*words, user=user, cwd=cwd, check=False, timeout=COMMAND_TIMEOUT)
    assert done.code == command.code, f"{command.words}:\n{done.out}"
    demand_output(command, done.out, FOLDER, DEPLOY)


@pytest.mark.timeout(900)
def test_the_first_server_goes_as_the_page_says(bare: Host) -> None:
    """From a fresh machine through a reboot."""
    for block in blocks(PAGE):
        if block.name:
            bare.write(f"{PROJECT}/{block.name}", block.text, owner=DEPLOY)
        for command in commands(block.text) if block.language == CONSOLE else ():
            run(bare, command)
