// Several records at once: which are chosen, and the bar of what can be done to them.
import {h, fill} from './dom.js';
import {icon} from './icons.js';
import {asTags} from './record.js';
import {plural} from './words.js';

/**
 * Returns {node, has(id), toggle(id, on, range), draw(records, trash), clear()}. `does` are what the bar offers:
 * compare(records), several(deed, records, tags), exported(records), erase(records). `changed()` hears of every choice.
 */
export function makeSelection({does, changed}) {
  const chosen = new Set();
  let records = [], last = null;
  const many = h('b', {role: 'status'});
  const every = h('button', {type: 'button', class: 'link', onclick: () => { records.forEach(record => chosen.add(record.id)); changed(); }});
  const none = h('button', {type: 'button', class: 'link', onclick: () => clear()}, 'Choose none');
  const button = (name, words, act, more = '') => h('button', {type: 'button', class: `small ${more}`, onclick: () => act(picked())}, icon(name), words);
  const all = test => picked().every(test);
  const star = button('star', '', some => does.several(some.every(one => one.star) ? 'unstar' : 'star', some), 'writes');
  const lock = button('lock', '', some => does.several(some.every(one => one.locked) ? 'unlock' : 'lock', some), 'writes');
  const tagging = makeTagging((deed, tags) => does.several(deed, picked(), tags));
  const here = [button('compare', 'Compare', does.compare), tagging.node, star, lock, button('download', 'Export', does.exported), button('trash', 'Move to the trash', some => does.several('trash', some), 'writes')];
  const thrown = [button('up', 'Restore', some => does.several('restore', some), 'writes'), button('trash', 'Delete for good', does.erase, 'danger writes')];
  const node = h('div', {class: 'chosen', role: 'toolbar', 'aria-label': 'Chosen records', hidden: true},
    h('div', {class: 'which'}, many, every, none), h('div', {class: 'does'}, here, thrown));

  const picked = () => records.filter(record => chosen.has(record.id));

  function clear() {
    chosen.clear();
    changed();
  }

  return {
    node,
    clear,
    has: id => chosen.has(id),
    /** Choose one or not; with `range`, all between it and the last one touched. */
    toggle(id, on, range) {
      const places = [last, id].map(one => records.findIndex(record => record.id === one));
      const touched = range && places[0] >= 0 ? records.slice(Math.min(...places), Math.max(...places) + 1).map(record => record.id) : [id];
      for (const one of touched) chosen[on ? 'add' : 'delete'](one);
      last = id;
      changed();
    },
    draw(shown, trash) {
      records = shown;
      for (const id of [...chosen]) if (!records.some(record => record.id === id)) chosen.delete(id);
      node.hidden = !chosen.size;
      many.textContent = `${plural(chosen.size, 'record')} chosen`;
      every.textContent = `Choose all ${records.length} shown`;
      every.hidden = chosen.size === records.length;
      for (const one of here) one.hidden = trash;
      for (const one of thrown) one.hidden = !trash;
      fill(star, icon('star'), all(record => record.star) ? 'Take the stars away' : 'Star');
      fill(lock, icon('lock'), all(record => record.locked) ? 'Unlock' : 'Lock');
      tagging.offer([...new Set(picked().flatMap(record => record.tags))]);
    },
  };
}

/** A button that opens a line for tags, to be added to all that are chosen or taken from them. */
function makeTagging(act) {
  const field = h('input', {type: 'text', 'aria-label': 'Tags for all that are chosen', placeholder: 'talk, figure 2', list: 'known-tags'});
  const had = h('span', {class: 'had'});
  const form = h('form', {class: 'tagging', hidden: true}, field, h('button', {type: 'submit', class: 'small'}, 'Add'), had);
  const open = h('button', {type: 'button', class: 'small writes', 'aria-expanded': 'false', onclick: () => turn(form.hidden)}, icon('tag'), 'Tag');
  function turn(on) {
    form.hidden = !on;
    open.setAttribute('aria-expanded', String(on));
    if (on) field.focus();
  }
  form.addEventListener('submit', async event => {
    event.preventDefault();
    const tags = asTags(field.value);
    if (tags.length && !await act('tag', tags)) return; // what was wrong is told, and stays to be mended
    field.value = '';
    turn(false);
    open.focus();
  });
  form.addEventListener('keydown', event => { if (event.key === 'Escape') { turn(false); open.focus(); } });
  return {
    node: h('span', {class: 'tag-them'}, open, form),
    offer(tags) {
      fill(had, tags.map(tag => h('button', {type: 'button', class: 'tag', title: `Take the tag ${tag} away`, 'aria-label': `Take the tag ${tag} away`, onclick: () => act('untag', [tag])}, tag, ' \u00d7')));
    },
  };
}
