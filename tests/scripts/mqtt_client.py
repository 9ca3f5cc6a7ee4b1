"""Paho in the chat, in MQTT 3.1.1 or 5: every QoS both ways, a session that is gone on with, retained messages, a will, and a token
as password.

Usage: python mqtt_client.py HOST PORT 4|5 [TOKEN]; with a token, that of ada, nothing but who is let in is looked at.
"""

import queue
import sys

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HOST, PORT, VERSION = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
TOKEN = sys.argv[4] if len(sys.argv) > 4 else None
PATIENCE = 30


class Client:
    """A client that notes what happens."""

    def __init__(self, name, clean=True, will=None, user=None, password=None):
        options = {} if VERSION == 5 else {"clean_session": clean}
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=VERSION, transport="websockets", **options
        )
        self.paho.ws_set_options(path="/mqtt")
        self.paho.username_pw_set(user or name.split("-")[0], password)
        self.connected, self.messages, self.acks = queue.Queue(), queue.Queue(), queue.Queue()
        self.paho.on_connect = lambda _c, _u, flags, reason, _p: self.connected.put((reason, flags.session_present))
        self.paho.on_message = lambda _c, _u, message: self.messages.put(message)
        self.paho.on_subscribe = lambda _c, _u, _m, codes, _p: self.acks.put([code.value for code in codes])
        if will:
            self.paho.will_set("lobby", will, qos=1)
        properties = None
        if VERSION == 5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else 3600
            options = {"clean_start": clean, "properties": properties}
        else:
            options = {}
        self.paho.connect(HOST, PORT, keepalive=30, **options)
        self.paho.loop_start()
        self.reason, self.session_present = self.connected.get(timeout=PATIENCE)

    def subscribe(self, topic, qos):
        self.paho.subscribe(topic, qos)
        return self.acks.get(timeout=PATIENCE)

    def publish(self, topic, payload, qos):
        info = self.paho.publish(topic, payload, qos)
        info.wait_for_publish(timeout=PATIENCE)
        assert info.is_published(), payload

    def hear(self):
        message = self.messages.get(timeout=PATIENCE)
        return message.topic, message.payload, message.qos, bool(message.retain)

    def end(self):
        self.paho.disconnect()
        self.paho.loop_stop()


def tokens():
    ada = Client("c-1", user="ada", password=TOKEN)
    assert not ada.reason.is_failure, ada.reason
    ada.publish("lobby", "by token", 1)
    ada.end()
    for user, password in [("ada", "nonsense"), ("ada", None), ("eve", TOKEN)]:
        refused = Client("c-2", user=user, password=password)
        assert refused.reason.is_failure, (user, refused.reason)
        refused.end()


def chat():
    one, two = Client("one-1"), Client("two-1")
    for qos in (0, 1, 2):
        room = f"room/{qos}"
        assert two.subscribe(room, qos) == [qos]
        for number in range(20):
            one.publish(room, f"{number}", qos)
        for number in range(20):
            assert two.hear() == (room, b"%d" % number, qos, False)
    late = Client("late-1")
    assert late.subscribe("room/#", 1) == [1]
    assert sorted(late.hear() for _ in range(3)) == [(f"room/{qos}", b"19", 1, True) for qos in (0, 1, 2)]

    first = Client("back-1", clean=False)
    assert not first.session_present
    assert first.subscribe("log", 2) == [2]
    one.publish("log", "1", 2)
    assert first.hear() == ("log", b"1", 2, False)
    first.end()
    for number in range(2, 7):
        one.publish("log", f"{number}", 1)
    second = Client("back-1", clean=False)
    assert second.session_present
    for number in range(2, 7):
        assert second.hear() == ("log", b"%d" % number, 2, False)

    watcher = Client("watcher-1")
    assert watcher.subscribe("lobby", 1) == [1]
    mortal = Client("mortal-1", will="argh")
    mortal.paho.socket().close()
    assert watcher.hear() == ("lobby", b"argh", 1, False)
    mortal.paho.loop_stop()
    for client in (one, two, late, second, watcher):
        client.end()


tokens() if TOKEN else chat()
print("done")
