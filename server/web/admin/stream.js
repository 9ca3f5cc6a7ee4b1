// An event stream read by `fetch`: an EventSource can send no header, and an operator's token in an address would be in the logs of
// whatever is on the way. It speaks to our own server: lines end with a line feed, and data is one line.

const RETRY_MS = 2_000;

/**
 * Follows `address` until the function that it returns is called. `heard` is told that it is `open`, each `message` as its data, and
 * that it was `refused`, with the answer's sentence, after which it does not come back; from anything else it does, where it was.
 */
export function follow(address, headers, heard) {
  const abort = new AbortController();
  const { signal } = abort;
  let id;
  const once = async () => {
    const resumed = id === undefined ? {} : { 'Last-Event-ID': id };
    const response = await fetch(address, { headers: { ...headers, ...resumed }, signal, cache: 'no-store' });
    if (response.status >= 400 && response.status < 500 && response.status !== 429) {
      const { error } = await response.json().catch(() => ({}));
      if (!signal.aborted) heard.refused(error?.message ?? `status ${response.status}`);
      return false;
    }
    if (!response.ok) return true;
    heard.open();
    for await (const event of events(response.body)) {
      if (signal.aborted) return false;
      id = event.id ?? id;
      if (event.data !== undefined && event.event === undefined) heard.message(event.data);
    }
    return true;
  };
  const run = async () => {
    // A connection that broke is what it comes back from.
    while (await once().catch(() => !signal.aborted)) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  };
  run();
  return () => abort.abort();
}

/** The events of a stream, as objects of their fields. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    yield* blocks.map(fields);
  }
}

function fields(block) {
  const lines = block.split('\n').filter((line) => !line.startsWith(':') && line.includes(':'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()]));
}
