// The operator's page: asks for numbers every second or two, as long as somebody looks, and puts the parts together.

import { $, setText } from '../dom.js';
import { visible } from '../format.js';
import { toast } from '../toast.js';
import { Refused, ask, token, whyUnready } from './api.js';
import * as lists from './lists.js';
import * as plots from './plots.js';
import { number, span } from './units.js';
import { mount as mountWatch, watch } from './watch.js';
import { mount as mountWhy, showCauses, why } from './why.js';

const REFRESH_MS = 2_000;

/** Where there are several nodes, lists are asked for only in each so many rounds. */
const LISTS_EVERY = 5;

/** Up to when samples are there. */
let since = 0;

let rounds = 0;

/** What the form says: without keys a token is of no use, and with them one without the right is to be exchanged. */
const REFUSALS = {
  unauthorized: { title: 'Show a token to operate this server', takesToken: true },
  forbidden: { title: 'Your token is none of an operator', takesToken: true },
  not_an_operator: { title: 'You are not an operator here', takesToken: false },
};

/** Who is not let in has nothing to see, nor to stop. */
function letIn(isIn) {
  $('refused').hidden = isIn;
  for (const id of ['now', 'halves', 'drain']) $(id).hidden = !isIn;
}

function failed(error) {
  const refusal = error instanceof Refused ? REFUSALS[error.code] : undefined;
  if (refusal === undefined) return toast(error instanceof Refused ? error.message : 'The server does not answer.');
  const { title, takesToken } = refusal;
  setText($('refused-title'), title);
  // Before anybody has shown one, how programs show theirs helps nobody.
  setText($('refused-why'), takesToken && !token.get() ? 'The server asks for one.' : error.message);
  $('refused-token').hidden = !takesToken;
  const wasHidden = $('refused').hidden;
  letIn(false);
  $('status').dataset.status = 'unknown';
  setText($('status'), 'not let in');
  if (takesToken && wasHidden) $('token').focus();
}

async function refresh() {
  const overview = await ask('overview', { since: String(since) });
  const { status, version, node, nodes, workers, startedAt, now, connectionsMax, recorder, counters, ended, columns, samples } = overview;
  since = samples.at(-1)?.[0] ?? since;
  plots.add(columns, samples);
  showCauses(ended);
  letIn(true);
  const reason = status === 'up' ? await whyUnready() : null;
  $('status').dataset.status = reason === null ? status : 'unready';
  setText($('status'), reason === null ? status : `not ready: ${reason.replaceAll('_', ' ')}`);
  const facts = [
    ...(node === undefined ? [] : [`node ${node} of ${nodes}`]),
    `version ${version}`,
    `up for ${span(now - startedAt)}`,
    `${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    `${number(counters.connections)} of ${number(connectionsMax)} connections, those of plain HTTP included`,
    ...(recorder ? [] : ['recorder off']),
  ];
  setText($('facts'), facts.join(' · '));
  // Of several nodes it is asked of all of them.
  if (nodes === undefined || rounds % LISTS_EVERY === 0) await lists.refresh({ connections: counters.connections, node });
  rounds += 1;
}

/** One round after the other; none while nobody looks, or while we are refused: nothing changes that but another token. */
async function live() {
  if (!document.hidden && $('refused').hidden) {
    await refresh().catch((error) => {
      $('status').dataset.status = 'unknown';
      setText($('status'), 'no answer');
      if (error instanceof Refused) failed(error);
    });
  }
  setTimeout(live, REFRESH_MS);
}

/** Asks again before something that cannot be taken back; resolves to whether it is to be done. */
function confirmed(title, text, yes) {
  setText($('confirm-title'), title);
  setText($('confirm-text'), text);
  setText($('confirm-yes'), yes);
  $('confirm').returnValue = 'no';
  $('confirm').showModal();
  return new Promise((resolve) => {
    $('confirm').addEventListener('close', () => resolve($('confirm').returnValue === 'yes'), { once: true });
  });
}

async function disconnect(user) {
  const text = 'All connections of this user are closed, with code 1008. Programs may come back by themselves.';
  if (!(await confirmed(`Disconnect ${visible(user)}?`, text, 'Disconnect'))) return;
  const answer = await ask(`users/${encodeURIComponent(user)}/disconnect`, {}, 'POST');
  const { disconnected } = answer;
  toast(`${disconnected} ${disconnected === 1 ? 'connection' : 'connections'} of ${visible(user)} closed. ${lists.silentNodes(answer)}`.trim());
  await lists.refresh();
}

async function drain() {
  const text = 'Everybody is told to come back, and the process ends as upon SIGTERM. Something must start it again.';
  if (!(await confirmed('Stop the server?', text, 'Stop it'))) return;
  const { status } = await ask('drain', {}, 'POST');
  $('status').dataset.status = status;
  setText($('status'), status);
}

plots.mount($('plots'));
mountWhy(failed);
mountWatch();
lists.mount({ why: (key) => why(key).catch(failed), disconnect: (user) => disconnect(user).catch(failed), watch }, failed);
$('drain').addEventListener('click', () => drain().catch(failed));
$('refused').addEventListener('submit', (event) => {
  event.preventDefault();
  token.set($('token').value.trim());
  $('token').value = '';
  refresh().catch(failed);
});
const asked = new URLSearchParams(location.search).get('why');
if (asked) why(asked).catch(failed);
live();
