// Numbers and times for people.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

export const number = (value) => (Math.abs(value) < 10 ? tenths : whole).format(value);
export const time = (ms) => clock.format(ms);
export const moment = (ms) => day.format(ms);

/** `0.3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

export function bytes(count) {
  if (count < 1024) return `${count} B`;
  if (count < 1024 ** 2) return `${number(count / 1024)} KiB`;
  return `${number(count / 1024 ** 2)} MiB`;
}

/** What a connection is called among those of all nodes: `n2/c-5-17`, or `c-5-17` where there is one. */
export const nameOfConnection = ({ node, connection }) => (node === undefined ? connection : `${node}/${connection}`);
