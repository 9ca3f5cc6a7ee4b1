# A chat server that is no good: it refuses messages that say "no", ends the connection at "bye" without an answer, and calls
# people by names that no server should give. Prints its port, and every message's content that it keeps.

import asyncio
import json

import websockets

EVIL = "\x1b]0;owned\x07\u009b31m"
kept = {}


async def chat(socket):
    send = lambda **message: socket.send(json.dumps(message, ensure_ascii=False))
    await send(type="welcome", user="ada", session="s")
    async for text in socket:
        request = json.loads(text)
        kind, room, seq = request["type"], request.get("roomId"), request.get("seq")
        if kind == "join_room":
            position = f"00000001-{len(kept)}"
            members = ["ada", EVIL]
            await send(type="joined", roomId=room, position=position, members=members)
            entry = dict(offset=1, epoch="00000001", time=0)
            await send(type="private_msg", content=f"{EVIL}\nbob: hi", **{"from": EVIL}, **entry)
        elif kind == "room_msg" and request["content"] == "no":
            await send(type="error", code="storage_full", message=f"No space. {EVIL}", seq=seq)
        elif kind == "room_msg" and request["content"] == "bye" and seq not in kept:
            kept[seq] = len(kept) + 1
            print(request["content"])
            return
        elif kind == "room_msg":
            if seq not in kept:
                kept[seq] = len(kept) + 1
                print(request["content"])
            await send(type="ack", roomId=room, seq=seq, offset=kept[seq], epoch="00000001", time=0)


async def main():
    async with websockets.serve(chat, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1])
        await asyncio.Future()


asyncio.run(main())
