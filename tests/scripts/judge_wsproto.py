"""What python's `wsproto` makes of what a client sends: its frame protocol, as a server has it, without a socket.

Asked on stdin: a length of four bytes, a byte for permessage-deflate (0 off, 1 each message by itself, 2 with
context takeover), the bytes. Answered on stdout: a line of JSON, the events, how it ended, how many events there were
when a final block of DEFLATE ended the inflater, if one did, and the bytes of a character that is not whole yet.
"""

import json
import sys

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

CONTROL = {Opcode.PING: "ping", Opcode.PONG: "pong"}


class Extension(PerMessageDeflate):
    """Notes how many of `events` there were when the inflater ended."""

    def __init__(self, deflate, events):
        super().__init__(client_no_context_takeover=deflate == 1)
        self.finalize(self.name)
        self.events, self.final = events, None

    def note(self, inflater):
        if self.final is None and inflater is not None and inflater.eof:
            self.final = len(self.events)

    def frame_inbound_payload_data(self, *arguments):
        result = super().frame_inbound_payload_data(*arguments)
        self.note(self._decompressor)
        return result

    def frame_inbound_complete(self, *arguments):
        # Without context takeover it is thrown away there.
        inflater = self._decompressor
        result = super().frame_inbound_complete(*arguments)
        self.note(inflater)
        return result


def judge(deflate, data):
    events = []
    extensions = [Extension(deflate, events)] if deflate else []
    protocol = FrameProtocol(client=False, extensions=extensions)
    end = read(protocol, data, events)
    final = extensions[0].final if extensions else None
    decoder = protocol._message_decoder.decoder
    waiting = decoder.getstate()[0].hex() if decoder else ""
    return {"events": events, "end": end, "final": final, "waiting": waiting}


def read(protocol, data, events):
    message = b""
    protocol.receive_bytes(data)
    try:
        for frame in protocol.received_frames():
            if frame.opcode is Opcode.CLOSE:
                code, reason = frame.payload
                return ["closed", int(code), reason.encode().hex()]
            if frame.opcode in CONTROL:
                events.append([CONTROL[frame.opcode], bytes(frame.payload).hex()])
                continue
            text = frame.opcode is Opcode.TEXT
            message += frame.payload.encode() if text else frame.payload
            if frame.frame_finished and frame.message_finished:
                events.append(["text" if text else "binary", message.hex()])
                message = b""
    except ParseFailed as failed:
        return ["failed", int(failed.code)]
    return ["open"]


def main():
    asked, answers = sys.stdin.buffer, sys.stdout
    while head := asked.read(5):
        length, deflate = int.from_bytes(head[:4], "big"), head[4]
        answers.write(json.dumps(judge(deflate, asked.read(length))) + "\n")
        answers.flush()


main()
