// Two clients that talk without pause while somebody disturbs them, and the rules that what they heard must keep. It runs in Node and
// in a browser alike: it uses nothing but the client that it is given.

const ROOM = 'harbour';
/** Messages that may be unacknowledged at once: below what a client keeps. */
const AHEAD_MAX = 40;

/** Between two messages of one of them. */
const PAUSE_MS = 10;

/** A conversation of two: in a room, in private and by broadcast. */
export class Conversation {
  /** `connect` and `options` as the client has them. */
  constructor(connect, url, options = {}, names = ['Ada', 'Ben']) {
    this.isOver = false;
    this.talkers = names.map((name) => new Talker(connect, url, name, options));
  }

  async begin() {
    await Promise.all(this.talkers.map((talker) => talker.join()));
    const [ada, ben] = this.talkers;
    this.talking = [this.#talk(ada, ben), this.#talk(ben, ada)];
  }

  async #talk(talker, other) {
    for (let n = 1; !this.isOver; n += 1) {
      talker.say(n, other.name);
      await pause(PAUSE_MS);
      while (talker.waiting.size > AHEAD_MAX) await pause(PAUSE_MS);
    }
  }

  /** What each of them has sent, had acknowledged, and heard so far. */
  get counts() {
    return this.talkers.map(({ name, acked, heard, waiting, client }) => ({
      name, acked: acked.length, heard: heard.length, waiting: waiting.size, transport: client.transport, state: client.state,
    }));
  }

  /**
   * Stops talking, and waits until everything is acknowledged and heard: also what strangers said in between, which an ack may
   * overtake, since answers to POST have a way of their own.
   */
  async rest(patienceMs = 60_000) {
    this.isOver = true;
    await Promise.all(this.talking);
    const deadline = Date.now() + patienceMs;
    const isAnswered = () => this.talkers.every(({ waiting }) => waiting.size === 0);
    const isComplete = () => isAnswered() && this.#unheard().length === 0 && this.#holes().length === 0;
    while (!isComplete() && Date.now() < deadline) await pause(20);
  }

  /** Stops talking, and returns what broke the rules: nothing, or sentences. */
  async end() {
    await this.rest();
    const broken = [...this.#unheard(), ...this.#holes(), ...this.talkers.flatMap((talker) => this.#judge(talker))];
    for (const { client } of this.talkers) client.close();
    return broken;
  }

  #others(talker) {
    return this.talkers.filter((other) => other !== talker);
  }

  #unheard() {
    return this.talkers.flatMap((talker) => {
      const heard = new Set(talker.heard.map(key));
      const meant = this.#others(talker).flatMap((other) => other.acked.filter(({ log }) => !log.startsWith('@') || log === `@${talker.name}`));
      const lost = meant.filter((entry) => !heard.has(key(entry)));
      return lost.map((entry) => `${talker.name} did not hear ${key(entry)}`);
    });
  }

  /** Where something between two entries is not known to somebody: the first such place of each log. */
  #holes() {
    return this.talkers.flatMap(({ name, acked, heard }) =>
      [ROOM, '*'].flatMap((log) => {
        const offsets = [...acked, ...heard].filter((entry) => entry.log === log).map(({ offset }) => offset).sort((a, b) => a - b);
        const hole = offsets.findIndex((offset, index) => index > 0 && offset !== offsets[index - 1] + 1);
        return hole > 0 ? [`${name} knows ${log} ${offsets[hole - 1]} and then ${offsets[hole]}`] : [];
      }),
    );
  }

  #judge({ name, acked, heard, waiting, troubles }) {
    const broken = [...troubles];
    if (waiting.size > 0) broken.push(`${waiting.size} messages of ${name} were not acknowledged`);
    const last = new Map();
    for (const entry of heard) {
      if (entry.offset <= (last.get(entry.log) ?? 0)) broken.push(`${name} heard ${key(entry)} behind ${last.get(entry.log)}`);
      last.set(entry.log, entry.offset);
      if (entry.from === name) broken.push(`${name} heard its own ${key(entry)}`);
    }
    const numbers = acked.map(({ log, offset, n }) => ({ log, offset, n }));
    for (const log of new Set(numbers.map((entry) => entry.log))) {
      const inOrder = numbers.filter((entry) => entry.log === log).sort((a, b) => a.n - b.n);
      if (inOrder.some(({ offset }, index) => index > 0 && offset <= inOrder[index - 1].offset)) broken.push(`${name}'s messages changed their order in ${log}`);
    }
    return broken;
  }
}

class Talker {
  constructor(connect, url, name, options) {
    this.name = name;
    this.acked = [];
    this.heard = [];
    this.waiting = new Set();
    this.troubles = [];
    this.transports = new Set();
    this.client = connect(url, { user: name, ...options });
    const hear = (log) => (entry) => this.heard.push({ log, offset: entry.offset, from: entry.from, text: entry.content });
    this.client.on('room_msg', hear(ROOM));
    this.client.on('private_msg', hear(`@${name}`));
    this.client.on('broadcast', hear('*'));
    this.client.on('gap', (gap) => this.troubles.push(`${name} was told of a gap: ${JSON.stringify(gap)}`));
    this.client.on('error', (error) => this.troubles.push(`${name} was told of an error: ${JSON.stringify(error)}`));
    this.client.on('state', ({ state, transport }) => state === 'live' && this.transports.add(transport));
  }

  /** Comes, and knows where it is in both logs: from then on it may be away and miss nothing. */
  async join() {
    await this.client.room(ROOM).join();
    // A client asks for the end of the broadcasts once it is welcome; who is cut off before the answer hears those from then on.
    while (this.client.position('*') === undefined) await pause(PAUSE_MS);
  }

  /** Every fifth message is private, every seventh for everybody. */
  async say(n, other) {
    const text = `${this.name} ${n}`;
    this.waiting.add(n);
    try {
      const ack = await this.#send(n, other, text);
      this.acked.push({ n, log: ack.roomId, offset: ack.offset, text });
    } catch (error) {
      this.troubles.push(`${text} was refused: ${error.code} ${error.message}`);
    }
    this.waiting.delete(n);
  }

  #send(n, other, text) {
    if (n % 5 === 0) return this.client.private(other, text);
    return n % 7 === 0 ? this.client.broadcast(text) : this.client.send(ROOM, text);
  }
}

const key = ({ log, offset, text }) => `${log} ${offset} "${text}"`;

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
