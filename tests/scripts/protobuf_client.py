"""The chat as Protobuf, seen by Google's own library: every request and event of the schema, bytes as a content, bad messages, and
a room with somebody who speaks JSON.

Usage: python protobuf_client.py ws://HOST:PORT/ws
"""

import asyncio
import json
import sys
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URL = sys.argv[1]
PROTOCOL = "tidewire.v1.protobuf"
COMPILED = Path(__file__).with_name("tidewire.v1.binpb").read_bytes()
BYTES = bytes(range(256))


def message_types():
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(COMPILED).file:
        pool.Add(file)
    found = (pool.FindMessageTypeByName(f"tidewire.v1.{name}") for name in ("Request", "Event"))
    return [message_factory.GetMessageClass(each) for each in found]


Request, Event = message_types()


class Client:
    """One that speaks Protobuf."""

    def __init__(self, socket):
        self.socket = socket

    async def say(self, **fields):
        await self.socket.send(Request(**fields).SerializeToString())

    async def hear(self, kind):
        """The next event, which is of this kind; what only tells of others who come and go is left out."""
        while True:
            data = await asyncio.wait_for(self.socket.recv(), 20)
            assert isinstance(data, bytes), data
            event = Event.FromString(data)
            found = event.WhichOneof("event")
            if found == "system" and kind != "system":
                continue
            assert found == kind, f"{kind} was expected, and this came: {event}"
            return event


async def open_client(query=""):
    socket = await connect(URL + query, subprotocols=[PROTOCOL, "tidewire.v1.json"], proxy=None)
    assert socket.subprotocol == PROTOCOL, socket.subprotocol
    return Client(socket)


async def all_that_can_be_said():
    ada, bob = await open_client("?userId=ada"), await open_client("?userId=bob")
    welcome = (await ada.hear("welcome")).welcome
    assert welcome.user == "ada" and welcome.heartbeat > 0 and welcome.session, welcome
    await bob.hear("welcome")
    await ada.say(id=1, join_room={"room_id": "r"})
    joined = await ada.hear("joined")
    assert (joined.id, joined.joined.members, joined.joined.room_id) == (1, ["ada"], "r"), joined
    await bob.say(id=2**40, join_room={"room_id": "r", "since": ""})
    joined = await bob.hear("joined")
    assert (joined.id, list(joined.joined.members)) == (2**40, ["ada", "bob"]), joined
    system = (await ada.hear("system")).system
    assert (system.event, system.user) == ("join", "bob"), system

    await ada.say(id=3, room_msg={"to": "r", "json": '{ "text" : "hé" }', "seq": 2**50})
    ack = await ada.hear("ack")
    assert (ack.id, ack.ack.seq, ack.ack.offset, ack.ack.dup) == (3, 2**50, 1, False), ack
    entry = (await bob.hear("room_msg")).room_msg
    assert (entry.json, entry.offset, entry.room_id, getattr(entry, "from")) == (
        '{ "text" : "hé" }', 1, "r", "ada"), entry
    assert entry.epoch == ack.ack.epoch
    await ada.say(room_msg={"to": "r", "json": '"again"', "seq": 2**50})
    assert (await ada.hear("ack")).ack.dup, "a retry has its first place"
    await ada.say(room_msg={"to": "r", "binary": BYTES, "seq_text": "two"})
    assert (await ada.hear("ack")).ack.seq_text == "two"
    assert (await bob.hear("room_msg")).room_msg.binary == BYTES

    await bob.say(id=4, private_msg={"to": "ada", "json": "1", "seq": 1})
    assert (await bob.hear("ack")).ack.room_id == "@ada"
    assert (await ada.hear("private_msg")).private_msg.json == "1"
    await bob.say(broadcast={"json": "null"})
    assert (await ada.hear("broadcast")).broadcast.json == "null"
    await bob.say(typing={"room_id": "r"})
    assert (await ada.hear("typing")).typing.user == "bob"
    await ada.say(id=5, history={"room_id": "r", "limit": 10})
    page = (await ada.hear("history")).history
    assert [each.WhichOneof("content") for each in page.messages] == ["json", "binary"], page
    assert page.position.endswith("-2") and not page.more, page
    await ada.say(id=6, presence={"room_id": "r"})
    assert list((await ada.hear("presence")).presence.members) == ["ada", "bob"]
    await ada.say(id=7, heartbeat={})
    assert (await ada.hear("heartbeat")).id == 7
    await ada.say(id=8, hello={"user": "eve"})
    assert (await ada.hear("welcome")).welcome.user == "eve"
    await bob.say(id=9, leave_room={"room_id": "r"})
    assert (await bob.hear("left")).left.room_id == "r"
    await ada.socket.close()
    await bob.socket.close()


async def a_room_with_who_speaks_json():
    binary = await open_client("?userId=bin&room=mixed")
    await binary.hear("welcome")
    await binary.hear("joined")
    async with connect(URL + "?userId=txt&room=mixed", proxy=None) as text:
        while json.loads(await text.recv())["type"] != "joined":
            pass
        await binary.say(room_msg={"to": "mixed", "binary": b"\x01\x02", "seq": 1})
        await binary.hear("ack")
        heard = json.loads(await text.recv())
        assert heard["content"] == {"$binary": "AQI="}, heard
        await text.send('{"type":"room_msg","roomId":"mixed","content":{"$binary":"/w=="}}')
        await text.send('{"type":"room_msg","roomId":"mixed","content":{"$binary":"/w==","more":1}}')
        assert (await binary.hear("room_msg")).room_msg.binary == b"\xff"
        assert (await binary.hear("room_msg")).room_msg.json == '{"$binary":"/w==","more":1}'
    await binary.socket.close()


async def errors_are_told_and_cost_only_their_connection():
    client = await open_client("?room=r")
    await client.hear("welcome")
    await client.hear("joined")
    await client.socket.send(b"\xff\xff\xff")
    assert (await client.hear("error")).error.code == "bad_protobuf"
    await client.say(id=1)
    error = await client.hear("error")
    assert (error.id, error.error.code) == (1, "missing_field"), error
    await client.say(room_msg={"to": "r", "json": "{", "seq": 5})
    error = (await client.hear("error")).error
    assert (error.code, error.seq) == ("bad_json", 5), error
    await client.say(room_msg={"to": "nowhere", "json": "1", "seq_text": "x"})
    error = (await client.hear("error")).error
    assert (error.code, error.seq_text) == ("not_in_room", "x"), error
    await client.say(room_msg={"json": '"home"', "seq": 6})
    assert (await client.hear("ack")).ack.room_id == "r", "without a room it is that of the address"
    for _ in range(10):
        await client.socket.send(b"\x07")
    await closed_with(client, 1008)
    client = await open_client()
    await client.hear("welcome")
    await client.socket.send('{"type":"heartbeat"}')
    await closed_with(client, 1003)


async def closed_with(client, code):
    try:
        while True:
            await asyncio.wait_for(client.socket.recv(), 20)
    except ConnectionClosed as closed:
        assert closed.rcvd.code == code, closed


async def main():
    await all_that_can_be_said()
    await a_room_with_who_speaks_json()
    await errors_are_told_and_cost_only_their_connection()


asyncio.run(main())
