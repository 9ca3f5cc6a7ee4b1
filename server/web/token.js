// The token of this page, where the server asks for one: it comes in the address behind `#token=`, which browsers do not send, or
// is typed into the form. It is kept as long as the tab, and never in an address that could be shared.

const TOKEN_KEY = 'tidewire.token';

let token = '';
token = takenFromAddress() ?? recalled();

export const currentToken = () => token;

export function setToken(value) {
  token = value;
  try {
    sessionStorage.setItem(TOKEN_KEY, value);
  } catch {
    // Then it has to be shown again after a reload.
  }
}

/** Whom the token is for, or null without one: the server lets it speak for nobody else. */
export function userOfToken() {
  try {
    const [, claims] = token.split('.');
    const bytes = Uint8Array.from(atob(claims.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === 'string' ? sub : null;
  } catch {
    return null;
  }
}

/** What HTTP requests say of it. */
export const authorization = () => (token === '' ? {} : { Authorization: `Bearer ${token}` });

/** Why the server does not take our token, or wants one, in its words; null if that is not what is wrong. */
export async function whyRefused() {
  try {
    // A WebSocket does not tell why it was refused. Who is in a room that nobody is in costs the server nothing.
    const response = await fetch('/api/rooms/-/presence', { headers: authorization(), cache: 'no-store' });
    return response.status === 401 ? (await response.json()).error.message : null;
  } catch {
    return null;
  }
}

/** Takes it out of the address before anybody copies that. */
function takenFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get('token');
  if (found === null) return null;
  history.replaceState(null, '', location.pathname + location.search);
  setToken(found);
  return found;
}

function recalled() {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? '';
  } catch {
    return '';
  }
}
