"""Ends LocalStack when whoever started it is gone, however it went.

HOST_LIFELINE=1: standard input is a pipe that the starter holds open and
never writes to. When it ends, LocalStack is told to stop; after
HOST_LIFELINE_PATIENCE seconds (20) it is killed.
"""

import logging
import os
import signal
import sys
import threading
import time

LOG = logging.getLogger(__name__)


def install() -> None:
    if os.environ.get("HOST_LIFELINE", "").lower() in ("1", "true"):
        threading.Thread(target=_watch, name="host-lifeline", daemon=True).start()


def _watch() -> None:
    fd = sys.__stdin__.fileno()
    try:
        while os.read(fd, 4096):
            pass
    except OSError:
        pass
    LOG.info("the lifeline ended: stopping")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(float(os.environ.get("HOST_LIFELINE_PATIENCE") or 20))
    os.kill(os.getpid(), signal.SIGKILL)
