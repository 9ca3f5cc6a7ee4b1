"""wstest, with its fuzzing server on loopback only and no longer than its parent: by itself it listens on every interface,
whatever its URL says, and for ever."""

import os
import sys

import autobahntestsuite.choosereactor  # the suite wants this to be the first import
import autobahn.twisted.websocket as websocket
from autobahntestsuite.wstest import run
from twisted.internet.task import LoopingCall

# listenWS(factory, contextFactory=None, backlog=50, interface=''): wstest leaves the last three out.
websocket.listenWS.__defaults__ = (None, 50, "127.0.0.1")

PARENT = os.getppid()


def end_with_parent():
    if os.getppid() != PARENT:
        os._exit(1)


LoopingCall(end_with_parent).start(1)
sys.exit(run())
