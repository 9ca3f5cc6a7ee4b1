// The tray above the message box: the files that go with the next message, each with how far it is, and a button that
// takes it out again.

import { el, icon, reconcile, setText } from './dom.js';
import { sizeOf, visible } from './format.js';

export function drawTray({ tray, trayText: status }, { uploads, wanted }) {
  tray.hidden = uploads.length === 0;
  reconcile(tray, uploads, ({ key }) => key, createUpload, updateUpload);
  setText(status, wanted ? 'Sent as soon as the files are there.' : '');
}

function createUpload(upload) {
  const { key, size } = upload;
  const name = visible(upload.name);
  const label = el('span', { class: 'upload-name', dir: 'auto' }, name);
  const progress = el('progress', { class: 'upload-progress', max: String(Math.max(size, 1)), 'aria-label': `${name}, sent so far` });
  const remove = el('button', { type: 'button', class: 'icon-button upload-remove' }, icon('close'));
  const text = el('div', { class: 'upload-text' }, label, el('span', { class: 'upload-size' }, sizeOf(size)), progress, el('p', { class: 'upload-problem', role: 'alert' }));
  const retry = el('button', { type: 'button', class: 'icon-button upload-retry', 'aria-label': `Try ${name} again`, title: 'Try again' }, icon('retry'));
  return el('li', { class: 'upload', 'data-key': key }, el('span', { class: 'upload-mark', 'aria-hidden': 'true' }, icon('file')), text, retry, remove);
}

function updateUpload(item, { state, sent, name, problem, preview }) {
  item.dataset.state = state;
  const part = (name) => item.querySelector(`.upload-${name}`);
  part('progress').value = sent;
  part('progress').hidden = state !== 'running';
  part('retry').hidden = state !== 'failed';
  setText(part('problem'), problem ?? '');
  const label = state === 'running' ? 'Cancel' : 'Remove';
  part('remove').setAttribute('aria-label', `${label} ${visible(name)}`);
  part('remove').title = label;
  if (preview !== null && preview.parentNode === null) part('mark').replaceChildren(preview);
}
