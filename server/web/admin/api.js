// What the page asks the server. A token, if one is needed, is typed into the form or comes in the address behind `#token=`, which
// browsers do not send; it lasts as long as the tab, and is not the one that the chat page has there.

const KEY = 'tidewire.operator';

/** The server's answer was an error: `status`, a stable word, and a sentence. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const token = {
  get: () => shown,
  set: (value) => {
    shown = value;
    try {
      sessionStorage.setItem(KEY, value);
    } catch {
      // Storage is forbidden: after a reload it is asked for again.
    }
  },
};

let shown = '';
shown = takenFromAddress() ?? recalled();

/** Takes it out of the address before anybody copies that. */
function takenFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get('token');
  if (found === null) return null;
  history.replaceState(null, '', location.pathname + location.search);
  token.set(found);
  return found;
}

function recalled() {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

/** The header that shows the token, if there is one. */
export const credentials = () => (token.get() ? { Authorization: `Bearer ${token.get()}` } : {});

/** Asks for something below `/api/admin/`; returns the JSON of the answer. */
export async function ask(path, query = {}, method = 'GET') {
  const pairs = new URLSearchParams(query).toString();
  const response = await fetch(`/api/admin/${path}${pairs && '?'}${pairs}`, { method, headers: credentials(), cache: 'no-store' });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer.error?.code, answer.error?.message ?? `status ${response.status}`);
  return answer;
}

/** The word for why messages do not go the whole way, as balancers are told it, or null if they do. */
export async function whyUnready() {
  const response = await fetch('/ready', { cache: 'no-store' });
  const { reason } = await response.json().catch(() => ({}));
  return response.ok ? null : (reason ?? 'no answer');
}
