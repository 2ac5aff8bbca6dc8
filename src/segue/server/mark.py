"""``python -m segue.server.mark APP before|after GENERATION``: root's part in each start of a generation.

Before it, what was said of an earlier master is forgotten; after it, root writes down who the master is: what
signals go to must not be for the app to say.
"""

from __future__ import annotations

import os
import sys

from segue.disk.atomic import write_json
from segue.disk.processes import process
from segue.run.generation import Generation
from segue.server.home import home_of
from segue.server.layout import Layout


def main() -> None:
    """Do what the arguments say."""
    app, when, name = sys.argv[1:]
    home = home_of(Layout(app))
    generation = Generation(name, home.generation(name), home.unit(name))
    if generation.master() is not None and not generation.told_to_go():
        return  # a held candidate that ended: how it ended is what people have to see
    if when == "before":
        generation.forget()
        generation.forget_earlier_masters()
    elif (master := process(int(os.environ["MAINPID"]))) is not None:
        write_json(generation.folder / "master.json", {"pid": master.pid, "started": master.started})
        (generation.folder / "master.json").chmod(0o644)


if __name__ == "__main__":
    main()
