// One tab of a browser whose tabs share a connection: it talks and listens, and judges what it has heard.

import { pause } from './conversation.mjs';

const ROOM = 'harbour';
/** Messages that may be unanswered at once: below what a client keeps, also where another tab asks for them anew. */
const AHEAD_MAX = 40;

export class SharedTalker {
  isOver = false;
  waiting = 0;
  acked = [];
  heard = [];
  troubles = [];

  constructor(connect, name) {
    this.name = name;
    this.client = connect('/ws', { user: 'Cora' });
    this.client.on('room_msg', ({ offset, content }) => this.heard.push({ offset, text: content }));
    this.client.on('gap', (gap) => this.troubles.push(`${name} was told of a gap: ${JSON.stringify(gap)}`));
  }

  async begin() {
    await this.client.join(ROOM);
    this.talking = this.#talk();
  }

  /** Entries that this tab knows: its own and those of others. */
  get known() {
    return this.acked.length + this.heard.length;
  }

  async #talk() {
    for (let n = 1; !this.isOver && this.client.state !== 'closed'; n += 1) {
      const text = `${this.name} ${n}`;
      this.waiting += 1;
      const answered = this.client.send(ROOM, text).then(
        ({ offset }) => this.acked.push({ offset, text }),
        // A tab that closes leaves what it could not finish.
        (error) => error.code !== 'closed' && this.troubles.push(`${text}: ${error.code}`),
      );
      answered.then(() => (this.waiting -= 1));
      do await pause(15);
      while (this.waiting > AHEAD_MAX && !this.isOver);
    }
  }

  /** Stops talking; returns what broke the rules. */
  async end() {
    this.isOver = true;
    await this.talking;
    await pause(1_500);
    return this.judge();
  }

  judge() {
    const broken = [...this.troubles];
    const heard = this.heard.map(({ offset }) => offset);
    heard.forEach((offset, index) => index > 0 && offset <= heard[index - 1] && broken.push(`heard ${offset} behind ${heard[index - 1]}`));
    const own = this.heard.filter(({ text }) => text.startsWith(`${this.name} `));
    broken.push(...own.map(({ text }) => `heard its own ${text}`));
    // Up to what was heard last: behind that something may be on its way still.
    const all = [...heard, ...this.acked.map(({ offset }) => offset)].sort((a, b) => a - b).filter((offset) => offset <= heard.at(-1));
    all.forEach((offset, index) => index > 0 && offset !== all[index - 1] + 1 && broken.push(`knows ${all[index - 1]} and then ${offset}`));
    return broken;
  }
}
