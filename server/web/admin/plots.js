// Plots of the last ten minutes, or of as much as there was: a line or two each, drawn as SVG paths in a box that stretches, with a reading under the pointer.

import { el, setText } from '../dom.js';
import { number, span, time } from './units.js';

const KEPT_MS = 600_000;
const WINDOW_MS_MIN = 60_000;
const WIDTH = 600;
const HEIGHT = 100;
const SVG = 'http://www.w3.org/2000/svg';

/** What there is to see: columns of a sample, and what one calls them. */
const PLOTS = [
  { name: 'connections', title: 'Connections', lines: [['connections', '']] },
  { name: 'messages', title: 'Messages a second', lines: [['messagesIn', 'in'], ['messagesOut', 'out']] },
  { name: 'appended', title: 'Log: entries a second', lines: [['appended', '']] },
  { name: 'behind', title: 'Lag: connections behind', lines: [['behind', '']] },
  { name: 'delay', title: 'Delay in ms', lines: [['canaryMs', 'canary'], ['lagMs', 'longest lag']] },
  { name: 'ended', title: 'Connections ended a second', lines: [['ended', '']] },
];

/** The samples of the window, oldest first: objects by column. */
let samples = [];
const plots = [];

export function mount(container) {
  for (const plot of PLOTS) {
    const shapes = plot.lines.map((_, index) => shape('path', { class: index === 0 ? 'a' : 'b' }));
    const fill = shape('path', { class: 'fill' });
    const drawing = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
    drawing.append(fill, ...shapes);
    const top = el('span', { class: 'top' });
    const cursor = el('span', { class: 'cursor', hidden: true });
    const area = el('div', { class: 'area' }, drawing, top, cursor);
    const now = el('p', { class: 'now' });
    const reading = el('p', { class: 'reading', hidden: true });
    const begin = el('span');
    const times = el('p', { class: 'times', 'aria-hidden': 'true' }, begin, el('span', {}, 'now'));
    const node = el('div', { class: 'plot', 'data-plot': plot.name }, el('h3', {}, plot.title), now, reading, area, times);
    const view = { ...plot, shapes, fill, drawing, top, cursor, area, now, reading, begin };
    area.addEventListener('pointermove', ({ clientX }) => read(view, clientX));
    area.addEventListener('pointerleave', () => hide(view));
    container.append(node);
    plots.push(view);
    draw(view);
  }
}

/** Adds newer rows, whose numbers `columns` names, and draws. */
export function add(columns, rows) {
  const newer = rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])));
  samples = [...samples, ...newer];
  const newest = samples.at(-1)?.time ?? 0;
  samples = samples.filter((sample) => sample.time > newest - KEPT_MS);
  plots.forEach(draw);
}

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
  return node;
}

/** How far back the plots reach. */
function reachOf() {
  const since = (samples.at(-1)?.time ?? 0) - (samples[0]?.time ?? 0);
  return Math.min(KEPT_MS, Math.max(WINDOW_MS_MIN, since));
}

/** The least of 1, 2 and 5 times a power of ten that is not below. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((limit) => limit >= value);
}

function draw(plot) {
  const of = ([column]) => samples.filter((sample) => typeof sample[column] === 'number');
  const values = plot.lines.flatMap((line) => of(line).map((sample) => sample[line[0]]));
  const newest = samples.at(-1)?.time ?? 0;
  const max = ceiling(Math.max(1, ...values));
  const reach = reachOf();
  const x = (sample) => ((sample.time - newest + reach) / reach) * WIDTH;
  const y = (value) => HEIGHT - (value / max) * HEIGHT;
  plot.lines.forEach((line, index) => {
    const points = of(line).map((sample) => `${x(sample).toFixed(1)} ${y(sample[line[0]]).toFixed(1)}`);
    plot.shapes[index].setAttribute('d', points.length > 1 ? `M${points.join('L')}` : '');
    if (index > 0) return;
    const first = of(line)[0];
    plot.fill.setAttribute('d', points.length > 1 ? `M${x(first).toFixed(1)} ${HEIGHT}L${points.join('L')}L${WIDTH} ${HEIGHT}Z` : '');
  });
  setText(plot.top, number(max));
  setText(plot.begin, `${span(reach)} ago`);
  show(plot, values);
  if (plot.at !== undefined) read(plot, plot.at);
}

function show(plot, values) {
  const last = samples.at(-1);
  const parts = plot.lines.map(([column, label], index) => {
    const value = last?.[column];
    const text = typeof value === 'number' ? number(value) : 'none';
    const isOne = plot.lines.length === 1;
    return el('span', { class: isOne ? false : 'ab'[index] }, text, ...(label ? [el('small', {}, ` ${label}`)] : []));
  });
  plot.now.replaceChildren(...parts);
  const range = values.length ? `between ${number(Math.min(...values))} and ${number(Math.max(...values))} in the last ${span(reachOf())}` : 'nothing yet';
  plot.drawing.setAttribute('aria-label', `${plot.title}: ${plot.now.textContent} now, ${range}`);
}

/** Shows the sample under the pointer. */
function read(plot, clientX) {
  const box = plot.area.getBoundingClientRect();
  const newest = samples.at(-1)?.time;
  if (newest === undefined || box.width === 0) return;
  plot.at = clientX;
  const reach = reachOf();
  const wanted = newest - reach + ((clientX - box.left) / box.width) * reach;
  const nearest = samples.reduce((best, sample) => (Math.abs(sample.time - wanted) < Math.abs(best.time - wanted) ? sample : best));
  const texts = plot.lines.map(([column, label]) => `${typeof nearest[column] === 'number' ? number(nearest[column]) : 'none'}${label && ` ${label}`}`);
  setText(plot.reading, `${time(nearest.time)}: ${texts.join(', ')}`);
  plot.cursor.style.left = `${((nearest.time - newest + reach) / reach) * 100}%`;
  plot.cursor.hidden = false;
  plot.reading.hidden = false;
}

function hide(plot) {
  plot.at = undefined;
  plot.cursor.hidden = true;
  plot.reading.hidden = true;
}
