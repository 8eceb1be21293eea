// What is to be compared: up to six records, put together on any page, kept in this browser, with a bar that leads to them.
import {h, address, fill, picture} from './dom.js';
import {api} from './api.js';
import {icon} from './icons.js';
import {plural} from './words.js';

export const MOST = 6;
export const LETTERS = 'ABCDEF';
const KEY = 'lab-compare', CHANGED = 'lab:tray', ID = /^[0-9A-Za-z]{1,32}$/;
let kept = []; // where a browser keeps nothing for pages

/** The ids of what is to be compared, in the order in which they were added. */
export function ids() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) || '[]');
    return Array.isArray(found) ? [...new Set(found.filter(id => typeof id === 'string' && ID.test(id)))].slice(0, MOST) : [];
  } catch {
    return kept;
  }
}

/** Add an id or some, as far as there is room; returns how many had none. */
export function add(some) {
  const now = ids(), fresh = [...new Set([some].flat())].filter(id => ID.test(id) && !now.includes(id)), room = MOST - now.length;
  keep([...now, ...fresh.slice(0, room)], Math.max(0, fresh.length - room));
  return Math.max(0, fresh.length - room);
}

export function remove(id) {
  keep(ids().filter(one => one !== id));
}

export function clear() {
  keep([]);
}

/** Call `fn(ids)` now and whenever they change, in this tab or another. Returns a function that ends it. */
export function onChange(fn) {
  const told = () => fn(ids()), elsewhere = event => { if (event.key === KEY || event.key === null) told(); };
  window.addEventListener(CHANGED, told);
  window.addEventListener('storage', elsewhere);
  told();
  return () => { window.removeEventListener(CHANGED, told); window.removeEventListener('storage', elsewhere); };
}

/** Where some records are compared. */
export function whereCompared(some) {
  return address(`compare?ids=${some.map(encodeURIComponent).join(',')}`);
}

/** A button that puts a record into the tray and takes it out; `node.labFor(id)` makes it another record's. */
export function addButton(id) {
  const words = h('span', {class: 'words'}), node = h('button', {type: 'button', class: 'chip lab-compare-add', onclick: turn}, icon('compare'), words);
  let mine = id;

  function turn() {
    if (ids().includes(mine)) remove(mine);
    else add(mine);
  }

  function draw(now = ids()) {
    const held = now.includes(mine), full = !held && now.length >= MOST;
    words.textContent = held ? 'To be compared' : 'Compare';
    node.title = held ? 'Take it out of the comparison' : full ? `${MOST} at most: take one out first` : 'Put it beside other records';
    node.setAttribute('aria-pressed', String(held));
    node.disabled = full;
  }

  node.labFor = next => { mine = next; draw(); };
  onChange(draw);
  return node;
}

/** The bar at the foot of a page, there while something is to be compared. Its records are named as soon as they are known. */
export function mountTray() {
  const list = h('ol'), note = h('p', {class: 'note', role: 'status'});
  const go = h('a', {class: 'go'}), empty = h('button', {type: 'button', class: 'clear', onclick: clear}, 'Clear');
  const node = h('aside', {class: 'lab-tray', 'aria-label': 'To be compared', hidden: true}, list, note, h('div', {class: 'does'}, empty, go));
  const names = new Map();
  let now = [];

  function draw() {
    node.hidden = !now.length;
    fill(list, now.map((id, i) => entry(id, LETTERS[i], names.get(id))));
    go.textContent = now.length < 2 ? 'Add another to compare' : `Compare ${plural(now.length, 'record')}`;
    if (now.length > 1) go.href = whereCompared(now);
    else go.removeAttribute('href');
  }

  /** Ask for all together: what tells one apart depends on the others. Without an answer the bar does with letters. */
  async function name() {
    if (!now.length) return;
    const {records} = await api(`compare/heads?ids=${now.join(',')}`).catch(() => ({records: []}));
    for (const one of records) names.set(one.id, one);
    if (records.length) draw();
  }

  onChange(next => { now = next; draw(); name(); });
  window.addEventListener(CHANGED, ({detail}) => { note.textContent = detail.refused ? `${MOST} at most: ${plural(detail.refused, 'record')} left out.` : ''; });
  document.body.append(node);
}

function entry(id, letter, told) {
  const apart = told ? told.apart : '', title = told ? told.title : '', whole = [title, apart].filter(Boolean).join(', ');
  return h('li', {data: {id}},
    h('span', {class: 'side-letter', data: {side: letter}}, letter),
    told && told.picture ? picture(told.picture, '') : null,
    h('span', {class: 'who', title: whole}, h('bdi', {class: 'title'}, title), apart ? h('bdi', {class: 'apart'}, apart) : null),
    h('button', {type: 'button', 'aria-label': `Take ${letter}${whole && `, ${whole},`} out`, onclick: () => remove(id)}, icon('close')));
}

function keep(next, refused = 0) {
  kept = next;
  try { localStorage.setItem(KEY, JSON.stringify(next)); } catch { /* kept for this page alone */ }
  window.dispatchEvent(new CustomEvent(CHANGED, {detail: {refused}}));
}
