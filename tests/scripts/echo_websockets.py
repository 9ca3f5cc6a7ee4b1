"""The echo endpoint, seen by python's `websockets`: every size and kind of message comes back as it was sent.

Usage: python echo_websockets.py ws://HOST:PORT/echo
"""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URL = sys.argv[1]
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 65537, 1024 * 1024, 16 * 1024 * 1024]


def open_socket(**options):
    # 16 MiB in one frame must come back, so our own limit is above it.
    return connect(URL, max_size=64 * 1024 * 1024, proxy=None, **options)


async def round_trip(socket, data):
    await socket.send(data)
    echo = await socket.recv()
    assert type(echo) is type(data), f"{type(data)} came back as {type(echo)}"
    assert echo == data, f"{len(data)} came back changed"


async def every_size():
    async with open_socket() as socket:
        for size in SIZES:
            await round_trip(socket, os.urandom(size))
            start = "é𝄞" if size >= 6 else ""
            await round_trip(socket, start + "x" * (size - len(start.encode())))


async def fragments():
    async with open_socket(compression=None) as socket:
        await socket.send(["Hel", "", "lo, ", "wörld"])
        assert await socket.recv() == "Hello, wörld"
        pieces = [bytes([index]) * 1000 for index in range(100)]
        await socket.send(pieces)
        assert await socket.recv() == b"".join(pieces)


async def pings():
    async with open_socket() as socket:
        for payload in [b"", b"x", b"p" * 125]:
            # The future is done by the pong that carries this payload and by no other.
            await (await socket.ping(payload))
        await socket.pong(b"unasked")
        await round_trip(socket, "still here")


async def close_codes():
    for code in [1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]:
        for reason in ["", "bye", "ü" * 61, "r" * 123]:
            socket = await open_socket()
            await socket.close(code, reason)
            try:
                await socket.recv()
            except ConnectionClosed as closed:
                assert closed.rcvd is not None, "the server sends a close frame of its own"
                assert closed.rcvd.code == code, f"close code {code} came back as {closed.rcvd.code}"
                assert closed.rcvd_then_sent is False, "we closed first"
            else:
                raise AssertionError("a closed connection gives no message")


async def many_in_order():
    async with open_socket() as socket:
        count = 5000

        async def send_all():
            for index in range(count):
                await socket.send(f"message {index}")

        sending = asyncio.create_task(send_all())
        for index in range(count):
            assert await socket.recv() == f"message {index}"
        await sending


async def main():
    for step in [every_size, fragments, pings, close_codes, many_in_order]:
        print(step.__name__)
        await step()
    print("done")


asyncio.run(main())
