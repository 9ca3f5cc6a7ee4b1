"""wstest, with its fuzzing server on loopback only: by itself it listens on every interface, whatever its URL says."""

import sys

import autobahntestsuite.choosereactor  # the suite wants this to be the first import
import autobahn.twisted.websocket as websocket

# listenWS(factory, contextFactory=None, backlog=50, interface=''): wstest leaves the last three out.
websocket.listenWS.__defaults__ = (None, 50, "127.0.0.1")

from autobahntestsuite.wstest import run

sys.exit(run())
