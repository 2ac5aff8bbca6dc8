"""The launcher of a systemd unit: becomes the app's server, as the app's user, with the unit's socket.

Run as ``python -I -S unit.py FOLDER``. It waits until root has written down in FOLDER who the master is, for
the gate goes by that; and it does not start a held candidate again: whoever deploys it has to see its end.
"""

import json
import os
import sys
import time

WORD_TIMEOUT = 10.0
POLL = 0.01
# the unit does not restart on this status
NOT_AGAIN = 77


def _read(folder: str, name: str) -> dict[str, object]:
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        document: dict[str, object] = json.load(file)
    return document


def _master(folder: str) -> object:
    try:
        return _read(folder, "master.json")["pid"]
    except (FileNotFoundError, PermissionError, ValueError):
        return None  # root is about to write it


def _until_known(folder: str) -> None:
    deadline = time.monotonic() + WORD_TIMEOUT
    while (master := _master(folder)) != os.getpid():
        if master is not None and not os.path.exists(os.path.join(folder, "go")):
            sys.exit(NOT_AGAIN)
        if time.monotonic() > deadline:
            sys.exit("segue: nobody wrote down who this is")
        time.sleep(POLL)


def main() -> None:
    """Become what FOLDER's start.json says."""
    folder = sys.argv[1]
    _until_known(folder)
    start = _read(folder, "start.json")
    environ = {**os.environ, **start["environ"]}  # type: ignore[dict-item] # the keeper wrote it
    for name in ("NOTIFY_SOCKET", "PWD", "OLDPWD"):
        environ.pop(name, None)
    # nobody but the front before it reaches its socket, so what the front says of a client is true
    environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    # Gunicorn would put it above the gate; the gate reads it, and overrules in it what segue owns
    if "GUNICORN_CMD_ARGS" in environ:
        environ["SEGUE_GUNICORN_CMD_ARGS"] = environ.pop("GUNICORN_CMD_ARGS")
    os.chdir(str(start["root"]))
    argv: list[str] = start["argv"]  # type: ignore[assignment]
    os.execvpe(argv[0], argv, environ)  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main()
