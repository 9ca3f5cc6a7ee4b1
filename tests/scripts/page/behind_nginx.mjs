// Two people on the chat page, which came by https through a proxy: by WebSocket, and by what is left without one.

import assert from 'node:assert/strict';
import { Person, addressOf, play } from './person.mjs';

const unproved = { ignoreHTTPSErrors: true };
const ada = await Person.enters('Ada', ['harbour'], unproved);
const linus = await Person.enters('Linus', ['harbour'], unproved);

await play({
  async 'they read each other'() {
    await ada.say('The tide comes in');
    await linus.sees('Ada', 'The tide comes in');
    await linus.say('and goes out');
    await ada.sees('Linus', 'and goes out');
    assert.match(await ada.page.textContent('#transport-text'), /^WebSocket/);
  },

  async 'event streams and polls get through, too'() {
    for (const transport of ['sse', 'poll']) {
      const dan = await Person.arrive('Dan', unproved);
      await dan.page.routeWebSocket(/\/ws/, (socket) => socket.close());
      if (transport === 'poll') await dan.page.route(/\/sse\b/, (route) => route.abort());
      await dan.page.goto(addressOf('Dan', ['harbour']));
      await dan.isLive();
      await dan.say(`By ${transport}`);
      await linus.sees('Dan', `By ${transport}`);
      await linus.say(`I read you by ${transport}`);
      await dan.sees('Linus', `I read you by ${transport}`);
      await dan.leave();
    }
  },
});
