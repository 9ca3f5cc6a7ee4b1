// The operator's page says when messages do not go the whole way, and why.

import { Person, ask, play, url } from './person.mjs';

const operator = await Person.arrive('operator');
const status = (state) => operator.page.locator(`#status[data-status="${state}"]`);

await play({
  async 'it says why the server is not ready, and that it is again'() {
    await operator.page.goto(`${url}admin`);
    await status('up').waitFor();
    await ask('hold Redis still');
    await status('unready').getByText('not ready: unavailable').waitFor();
    await operator.screenshot('admin-unready.png');
    await ask('let Redis go on');
    await status('up').waitFor();
  },
});
