// The records that are compared: each with its letter and colour, what it is, and ways to reorder, take out and add.
import {h, fill, keyed, picture} from './dom.js';
import {api} from './api.js';
import {icon} from './icons.js';
import {moment, pointAt, stateWord, whereShown} from './states.js';
import {modelTitle, short} from './words.js';
import {MOST, ids as trayIds, onChange} from './tray.js';

const KINDS = {session: 'Search', train: 'Fine-tune', reliability: 'Reliability', sweep: 'Sweep'}, LISTED = 40, ROOM = 54;

/** `change(ids)` is asked for when a person changes what is compared. */
export function makeHeads({models, letters, change}) {
  const list = h('ol', {class: 'side-heads'}), more = makeMore({add: id => change([...now.ids, id])});
  const node = h('section', {class: 'side-records', 'aria-label': 'What is compared'}, list, more.node);
  let now = {ids: [], data: null};

  function draw(state) {
    now = state;
    const told = new Map((state.data ? state.data.records : []).map(one => [one.id, one]));
    const items = state.ids.map((id, i) => ({...(told.get(id) || {id, title: '', problem: '', notice: ''}), letter: letters[i], first: i === 0, last: i === state.ids.length - 1}));
    keyed(list, items, one => one.id, one => card(one, models, {drop, shift}));
    list.hidden = !items.length;
    more.draw(state);
  }

  function drop(id) {
    change(now.ids.filter(one => one !== id));
  }

  function shift(id, by) {
    const next = [...now.ids], from = next.indexOf(id);
    next.splice(from + by, 0, ...next.splice(from, 1));
    change(next);
    list.children[from + by]?.querySelector(by < 0 ? '.back' : '.on')?.focus();
  }

  return {node, draw};
}

function card(one, models, {drop, shift}) {
  const title = h('a', {class: 'title'}, h('bdi', {}, one.title || '\u2026'));
  if (one.kind) pointAt(title, whereShown(one.kind, one.id));
  const facts = [KINDS[one.kind] || one.kind, one.model && modelTitle(one.model, models), Number.isInteger(one.seed) ? `seed ${one.seed}` : null];
  const button = (name, words, glyph, act, off) => h('button', {type: 'button', class: `tool ${name}`, 'aria-label': `${words}: ${one.letter}`, title: words, disabled: off, onclick: act}, glyph);
  return h('li', {class: one.problem ? 'side-head bad' : 'side-head', data: {side: one.letter, id: one.id}},
    h('div', {class: 'acts'}, h('span', {class: 'side-letter', data: {side: one.letter}}, one.letter), button('back', 'Move to the left', '\u2039', () => shift(one.id, -1), one.first),
      button('on', 'Move to the right', '\u203a', () => shift(one.id, 1), one.last), button('drop', 'Take out', icon('close'), () => drop(one.id))),
    h('div', {class: 'who'}, one.picture ? picture(one.picture, '') : h('span', {class: 'no-picture'}),
      h('div', {class: 'about'}, title, one.apart ? h('bdi', {class: 'prompt-of'}, one.apart) : one.name ? h('bdi', {class: 'prompt-of'}, one.prompt) : null)),
    h('p', {class: 'facts-of'}, facts.filter(Boolean).join(' \u00b7 ')),
    one.created ? h('p', {class: 'facts-of'}, `${stateWord(one.state)} \u00b7 ${moment(one.created)}`) : null,
    one.problem ? h('p', {class: 'problem', role: 'alert'}, one.problem) : one.notice ? h('p', {class: 'notice-of'}, one.notice) : null);
}

/** Ways to add one: what lies in the tray, and the newest records; those of the kinds that are here come first. */
function makeMore({add}) {
  const select = h('select', {'aria-label': 'Add a record', onchange: () => { const id = select.value; select.value = ''; if (id) add(id); }});
  const lead = h('div', {class: 'nothing', hidden: true}, h('h2', {}, 'Nothing is being compared'),
    h('p', {}, 'Choose two to six records here, or press Compare at a record in the Library, in Explore, Reliability or Train. They are laid over one another: pictures, curves, settings, and which is better where that can be said.'));
  const label = h('label', {class: 'side-add'}, h('span', {}, 'Add'), select), node = h('div', {class: 'side-more'}, lead, label);
  let listed = null, now = null, drawn = '';

  async function list() {
    const {records} = await api(`records?limit=${LISTED}`).catch(() => ({records: []}));
    listed = records;
    if (now) draw(now);
  }

  function draw(state) {
    now = state;
    lead.hidden = state.ids.length > 0;
    label.hidden = state.ids.length >= MOST || !listed || !listed.length;
    if (!listed) return;
    const kinds = new Set((state.data ? state.data.records : []).map(one => one.kind)), tray = new Set(trayIds());
    const free = listed.filter(one => KINDS[one.kind] && one.kind !== 'sweep' && !state.ids.includes(one.id));
    const rank = one => (tray.has(one.id) ? 0 : kinds.has(one.kind) ? 1 : 2);
    const options = free.sort((a, b) => rank(a) - rank(b)).map(one => ({id: one.id, text: `${KINDS[one.kind]}: ${short(one.name || one.prompt, ROOM)} (${one.preset}, ${moment(one.created)})`}));
    const signature = JSON.stringify(options);
    if (signature === drawn) return;
    drawn = signature;
    fill(select, h('option', {value: ''}, options.length ? 'a record\u2026' : 'no other record'), options.map(one => h('option', {value: one.id}, one.text)));
  }

  onChange(() => now && draw(now));
  list();
  return {node, draw};
}
