// A WebSocket for the client's tests.

/** A socket that keeps what it is given; the test plays the server. */
export class FakeSocket {
  static opened = [];

  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols;
    this.sent = [];
    FakeSocket.opened.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith = code;
  }

  says(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  drops(code = 1006) {
    this.onclose({ code });
  }

  welcomes() {
    const session = this.url.searchParams.get('session');
    this.says({ type: 'welcome', session, user: 'Ada', msg: 'hi', heartbeat: 30, time: 0 });
  }

  lets(roomId, position) {
    const asked = this.sent.findLast((message) => message.type === 'join_room' && message.roomId === roomId);
    this.says({ type: 'joined', roomId, position, recovered: false, members: ['Ada'], id: asked?.id });
  }

  get since() {
    return this.url.searchParams.get('since');
  }
}
