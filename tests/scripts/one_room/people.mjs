// One person for each way into the chat, all with the same methods:
//
//   enter()     comes into the room
//   say(text)   says something in it; resolves once it is kept
//   known()     what it knows of the room, in the order in which it came: { text, offset? }; who is shown no offsets has none
//   comeBack()  tries again at once, where a client has a back-off
//   leave()
//
// Each has a proxy of its own in front of the server, which can cut it off from the others' sight.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import mqtt from 'mqtt';
import { io } from 'socket.io-client';
import WebSocket from 'ws';

import { connect } from '../../../clients/js/client.js';
import { protobuf } from '../../../clients/js/client/protobuf.js';
import { RudeProxy } from '../client/rude_proxy.mjs';

export const ROOM = 'harbour';

/** Begins a person whose way goes through a proxy of its own. */
export async function behindProxy(Kind, name, port, ...rest) {
  const proxy = new RudeProxy(port);
  const origin = await proxy.listen();
  return Object.assign(new Kind(name, origin, ...rest), { name, proxy });
}

/** The JavaScript client in Node, over one transport and in one language. */
export class OfOurClient {
  troubles = [];
  #known = [];
  #client;

  constructor(name, origin, transport, Socket = WebSocket) {
    this.#client = connect(`${origin}/ws`, { user: name, transports: [transport], WebSocket: Socket });
    this.#client.on('room_msg', ({ offset, content }) => this.#known.push({ offset, text: content }));
    this.#client.on('gap', (gap) => this.troubles.push(`a gap: ${JSON.stringify(gap)}`));
    this.#client.on('error', (error) => this.troubles.push(`an error: ${JSON.stringify(error)}`));
  }

  enter() {
    return this.#client.room(ROOM).join();
  }

  async say(text) {
    // The chat does not tell who speaks what they have said: where it stands is in the answer.
    const { offset } = await this.#client.send(ROOM, text);
    this.#known.push({ offset, text, own: true });
  }

  /** What was heard came in order; an answer may come sooner or later than what stands beside it. */
  known() {
    const heard = this.#known.filter(({ own }) => !own);
    if (heard.some(({ offset }, index) => index > 0 && offset <= heard[index - 1].offset)) this.troubles.push('heard out of order');
    return this.#known.map(({ offset, text }) => ({ offset, text })).sort((a, b) => a.offset - b.offset);
  }

  comeBack() {
    this.#client.reconnect();
  }

  async leave() {
    this.#client.close();
  }
}

export class InProtobuf extends OfOurClient {
  constructor(name, origin) {
    super(name, origin, 'websocket', protobuf(WebSocket));
  }
}

/** socket.io-client, which begins by polling. Each message has a key, so that it is kept once however often it is sent. */
export class OfSocketIo {
  troubles = [];
  #name;
  #known = [];
  #keys = 0;
  #connections = 0;
  #socket;

  constructor(name, origin) {
    this.#name = name;
    const options = { auth: { userId: name }, reconnectionDelay: 50, reconnectionDelayMax: 200, ackTimeout: 5_000, retries: 20 };
    this.#socket = io(origin, options);
    this.#socket.on('msg', ({ offset, content }) => this.#known.push({ offset, text: content }));
    this.#socket.on('gap', (gap) => this.troubles.push(`a gap: ${JSON.stringify(gap)}`));
    this.#socket.on('error', (error) => this.troubles.push(`an error: ${JSON.stringify(error)}`));
    this.#socket.on('connect', () => {
      if (this.#connections > 0 && !this.#socket.recovered) this.troubles.push('it was not recovered');
      this.#connections += 1;
    });
  }

  async enter() {
    this.#done(await this.#socket.emitWithAck('join', ROOM));
  }

  /** Whoever speaks hears it, too. */
  async say(text) {
    this.#done(await this.#socket.emitWithAck('msg', ROOM, text, (this.#keys += 1)));
  }

  #done({ error }) {
    if (error) throw new Error(`${this.#name}: ${JSON.stringify(error)}`);
  }

  known() {
    return [...this.#known];
  }

  comeBack() {}

  async leave() {
    this.#socket.close();
  }
}

/** MQTT.js, by MQTT 5 at QoS 2: each once. */
export class OfMqttJs {
  troubles = [];
  #known = [];
  #client;

  constructor(name, origin) {
    this.#client = mqtt.connect(`${origin.replace('http', 'ws')}/mqtt`, {
      clientId: `${name}-js`,
      username: name,
      protocolVersion: 5,
      clean: false,
      properties: { sessionExpiryInterval: 600 },
      reconnectPeriod: 100,
    });
    this.#client.on('message', (topic, payload) => this.#known.push({ text: payload.toString() }));
    // What the server refuses has a number; that it cannot be reached is no trouble.
    this.#client.on('error', (error) => typeof error.code === 'number' && this.troubles.push(String(error)));
  }

  async enter() {
    const [granted] = await this.#client.subscribeAsync(ROOM, { qos: 2 });
    if (granted.qos !== 2) throw new Error(`QoS ${granted.qos} was granted`);
  }

  say(text) {
    return this.#client.publishAsync(ROOM, text, { qos: 2 });
  }

  known() {
    return [...this.#known];
  }

  comeBack() {}

  leave() {
    return this.#client.endAsync(true);
  }
}

/** paho-mqtt, in a process of Python's that is talked to by lines of JSON; MQTT 3.1.1 at QoS 2. */
export class OfPaho {
  troubles = [];
  #known = [];
  #waiting = new Map();
  #process;

  constructor(name, origin, python) {
    const script = new URL('../one_room_paho.py', import.meta.url).pathname;
    const { port } = new URL(origin);
    this.#process = spawn(python, ['-u', script, port, name, ROOM], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const { heard, done, trouble } = JSON.parse(line);
      if (heard !== undefined) this.#known.push({ text: heard });
      if (done !== undefined) this.#waiting.get(done)?.();
      if (trouble !== undefined) this.troubles.push(trouble);
    });
    this.#process.on('exit', (code) => code && this.troubles.push(`the Python process ended: ${code}`));
  }

  #ask(what, text) {
    return new Promise((resolve) => {
      this.#waiting.set(text, resolve);
      this.#process.stdin.write(`${JSON.stringify({ [what]: text })}\n`);
    });
  }

  enter() {
    return this.#ask('enter', 'entered');
  }

  say(text) {
    return this.#ask('say', text);
  }

  known() {
    return [...this.#known];
  }

  comeBack() {}

  async leave() {
    this.#process.kill();
  }
}

/** The chat page in Chromium, which shows messages in their order and no offsets. */
export class OnThePage {
  troubles = [];
  #known = [];
  #page;

  constructor(name, origin, browser) {
    this.origin = origin;
    this.browser = browser;
  }

  async enter() {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 } });
    context.setDefaultTimeout(60_000);
    this.#page = await context.newPage();
    this.#page.on('pageerror', (error) => this.troubles.push(error.stack ?? String(error)));
    await this.#page.goto(`${this.origin}/?${new URLSearchParams({ name: this.name, room: ROOM })}`);
    await this.#page.waitForSelector('#state[data-state="live"]');
  }

  async say(text) {
    await this.#page.fill('#composer', text);
    await this.#page.press('#composer', 'Enter');
    await this.#page.locator('#log .message[data-delivery="kept"] .text').getByText(text, { exact: true }).waitFor();
  }

  /** Reads the page again. */
  async look() {
    const texts = await this.#page.locator('#log .message .text').allTextContents();
    this.#known = texts.map((text) => ({ text }));
  }

  known() {
    return this.#known;
  }

  /** As a browser does when the network is there again. */
  comeBack() {
    return this.#page.evaluate(() => dispatchEvent(new Event('online')));
  }

  leave() {
    return this.#page.context().close();
  }
}
