// What the page asks the server. A token, if one is needed, lasts as long as the tab.

const KEY = 'tidewire.operator';

/** The server's answer was an error: `status`, and a sentence. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const token = {
  get: () => {
    try {
      return sessionStorage.getItem(KEY);
    } catch {
      return null;
    }
  },
  set: (value) => {
    try {
      sessionStorage.setItem(KEY, value);
    } catch {
      // Storage is forbidden: it is asked for again.
    }
  },
};

/** Asks for something below `/api/admin/`; returns the JSON of the answer. */
export async function ask(path, query = {}, method = 'GET') {
  const pairs = new URLSearchParams(query).toString();
  const headers = token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
  const response = await fetch(`/api/admin/${path}${pairs && '?'}${pairs}`, { method, headers, cache: 'no-store' });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer.error?.message ?? `status ${response.status}`);
  return answer;
}
