"""The gate: what runs inside the app's interpreter, holds every worker back, and lets it leave gently.

The whole folder is copied into that of each generation, as ``gate/segue_gate``, so that an upgrade of segue
can't change a generation that runs. It needs Python 3.10 or newer, and imports nothing but the standard
library, the app's own server, what makes the app's migrations, and what collects its static files. Its
protocol is files in the generation's folder, because files stay when the keeper dies:

``start.json``   what to start, written before the start
``booted.json``  the master has read its config: how many workers there will be, what was overruled
``refused.json`` why it would not start
``check.PID``    what the last check in worker PID was answered
``ready.PID``    worker PID has imported the app, its check passed, and it waits
``go``           a state, not a message: who finds it may accept, today or after a respawn
``no``           leave: this generation will never serve
``counters.PID`` what worker PID has served, shared memory
``surplus.PID``  worker PID leaves, and is not to be replaced
``crashed.PID``  worker PID died without saying goodbye, and how many requests it held
"""
