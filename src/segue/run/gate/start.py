"""Runs one of the gate's parts, by name: ``python start.py PART ARGUMENTS``.

As with ``python -m``, the app is looked for where this is run; the gate's own folder comes last of all.
"""

import importlib
import os
import sys

PARTS = {
    "gunicorn": "gunicorn_main",
    "uvicorn": "uvicorn_main",
    "import": "import_check",
    "migrate": "migrations",
    "static": "static_files",
}


def main() -> None:
    """Run the part."""
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == here:
        del sys.path[0]
    sys.path.insert(0, os.getcwd())
    sys.path.append(os.path.dirname(here))
    part = importlib.import_module(f"{os.path.basename(here)}.{PARTS[sys.argv[1]]}")
    part.serve(sys.argv[2:])


if __name__ == "__main__":
    main()
