// A session's settings on their way out: into the form, as a command line, as Python, in a downloaded picture. And back
// in: a picture that is dropped on the page, or chosen, brings its settings into the form.
import {api} from './api.js';
import {h, svg, fill, address} from './dom.js';
import {onDrop} from './drop.js';
import {sentence, short} from './words.js';

const MAX_PICTURE = 5e6;
let session = null; // the one that the page shows

/** The buttons of a session's head: `node`, and `draw({view})` with each new view. */
export function makeReuse() {
  const use = button('Use these settings', 'Fill the form with this session\u2019s settings', () => useConfig(shown.config, `Filled from the session \u201c${short(shown.prompt)}\u201d.`));
  const command = button('Copy as command line', 'Copy the command that runs this search in a terminal', event => copyAs('command', event.currentTarget));
  const python = button('Copy as Python', 'Copy a script that runs this search', event => copyAs('python', event.currentTarget));
  const train = h('a', {class: 'chip', title: 'Fill the form of page Train so that a fine-tune searches as this session did'}, 'Train with this search');
  const node = h('div', {class: 'reuse', role: 'group', 'aria-label': 'Reuse these settings'}, use, command, python, train);
  let shown = null;

  async function copyAs(kind, from) {
    const made = api(`sessions/${encodeURIComponent(shown.id)}/as-command`).then(told => told[kind]);
    try {
      await copyText(made, from);
    } catch (error) {
      say(error.message || 'This browser does not let a page copy.', 'bad');
    }
  }

  function draw({view}) {
    shown = view;
    session = view && view.id;
    train.href = address(`train?from=${encodeURIComponent(view.id)}`);
  }
  return {node, draw};
}

/** A link that downloads a stored picture with its settings in it. `place` says which of several equal ones is meant. */
export function downloadLink() {
  const node = h('a', {class: 'download', download: '', title: 'A PNG that carries its settings; drop it on this page to get them back'},
    icon('M8 2v8M4.5 7 8 10.5 11.5 7M3 13.5h10'), 'Download');
  function show(image, place = {}) {
    node.hidden = !image || !session;
    if (node.hidden) return;
    const asked = new URLSearchParams(Object.entries(place).filter(([, value]) => value !== undefined && value !== null));
    node.setAttribute('href', address(`lab/api/sessions/${encodeURIComponent(session)}/pictures/${encodeURIComponent(image)}.png${asked.size ? `?${asked}` : ''}`));
  }
  return {node, show};
}

/** Fill the form with a config and say so; both may be on their way. */
export async function useConfig(config, told) {
  try {
    const filling = await api('form', {config: await config});
    window.dispatchEvent(new CustomEvent('lab:fill', {detail: filling}));
    say([await told, ...filling.notes, 'Change what you like, then press Run.'].join(' '), filling.notes.length ? 'caution' : 'good');
    if (matchMedia('(max-width: 820px)').matches) document.querySelector('#form')?.scrollIntoView({block: 'start'});
  } catch (error) {
    say(error.message, 'bad');
  }
}

/** Read a picture's settings into the form. */
export async function usePicture(file) {
  try {
    if (file.size > MAX_PICTURE) throw new Error('This file is too large: expected a picture of at most 5 MB.');
    const {config, place} = await send(file);
    await useConfig(config, `Read from ${short(file.name, 60)}: \u201c${short(config.prompt)}\u201d${where(place)}.`);
  } catch (error) {
    say(sentence(error.message), 'bad');
  }
}

/** Watch the whole page for pictures that are dropped, and give a button for who cannot or would not drag. */
export function makeDrop() {
  const chooser = h('input', {type: 'file', accept: 'image/png', hidden: true, 'aria-hidden': 'true', tabindex: '-1'});
  const node = h('button', {type: 'button', class: 'from-picture', title: 'Or drop one anywhere on this page', onclick: () => chooser.click()}, 'Settings from a picture\u2026');
  chooser.addEventListener('change', () => { if (chooser.files[0]) usePicture(chooser.files[0]); chooser.value = ''; });
  onDrop('Drop a picture to use its settings', ([first, ...more]) => {
    if (more.length) say('One picture at a time: drop a single one.', 'bad');
    else usePicture(first);
  });
  document.body.append(chooser, notices);
  return {node};
}

/** Copy a promised text and say so on the button that asked for it. Rejects where that cannot be. */
export async function copyText(promised, button) {
  await copy(promised);
  flash(button, 'Copied');
}

/** Seconds in words, roughly. */
export function duration(seconds) {
  if (seconds < 1) return 'a second';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const notices = h('div', {class: 'lab-said', role: 'status', 'aria-live': 'polite'});
let fading = null;

/** Say something in the corner of the page for a while. */
function say(text, kind) {
  clearTimeout(fading);
  fill(notices, h('p', {class: kind}, h('span', {}, text),
    h('button', {type: 'button', 'aria-label': 'Close', onclick: () => fill(notices)}, '\u00d7')));
  if (kind !== 'bad') fading = setTimeout(() => fill(notices), 12000);
}

/** Put a promised text on the clipboard. Where the page may not (plain HTTP to another machine), the old way is tried. */
async function copy(promised) {
  if (navigator.clipboard && window.ClipboardItem) {
    // Safari forgets the click while it waits, unless it is handed the promise itself
    const blob = promised.then(text => new Blob([text], {type: 'text/plain'}));
    try {
      await navigator.clipboard.write([new ClipboardItem({'text/plain': blob})]);
      return;
    } catch { await promised; }
  }
  const area = h('textarea', {class: 'lab-copying', 'aria-hidden': 'true'});
  area.value = await promised;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (!done) throw new Error('This browser does not let a page copy.');
}

async function send(file) {
  let answer;
  try {
    answer = await fetch(address('lab/api/settings-of-picture'), {method: 'POST', body: file, headers: {'Content-Type': 'application/octet-stream'}});
  } catch {
    throw new Error('The lab does not answer. Is it still running?');
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(typeof told.detail === 'string' ? told.detail : `The lab refused this (${answer.status}).`);
  return told;
}

function button(label, title, onclick) {
  return h('button', {type: 'button', class: 'chip', title, onclick}, label);
}

function icon(path) {
  return svg('svg', {viewBox: '0 0 16 16', 'aria-hidden': 'true'}, svg('path', {d: path}));
}

function flash(node, text) {
  const before = node.dataset.label || node.textContent;
  node.dataset.label = before;
  node.textContent = text;
  setTimeout(() => { node.textContent = before; }, 1600);
}

function where(place) {
  const parts = [['step', 'step'], ['iteration', 'iteration'], ['candidate', 'candidate']]
    .filter(([name]) => typeof place[name] === 'number').map(([name, word]) => place[name] < 0 ? 'the starting noise' : `${word} ${place[name] + 1}`);
  return parts.length ? `, ${parts.join(', ')}` : '';
}
