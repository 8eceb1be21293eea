// One record of the library: what it is, how it went, and what a person may change of it.
import {h, fill, picture} from './dom.js';
import {icon} from './icons.js';
import {pointAt, moment, stateWord, whereShown} from './states.js';
import {titleOf} from './train_words.js';
import {LIVE, count, modelTitle, number, seconds} from './words.js';

// Kinds other than a session, which is what most are.
const KINDS = {reliability: 'Reliability measurement', train: 'Fine-tune'};

/**
 * Returns {node, draw(record)}. `act` does what is asked: change(record, values), trash(record), restore(record),
 * erase(record); `models` are titles by id.
 */
export function makeRecord({act, models}) {
  let record = null, shownPicture;
  const change = values => act.change(record, values);
  const tool = (name, onclick) => h('button', {type: 'button', class: `tool ${name}`, onclick}, icon(name));
  const star = tool('star', () => change({star: !record.star}));
  const thumb = h('a', {class: 'thumb', tabindex: '-1', 'aria-hidden': 'true'});
  const title = h('a', {class: 'title'}), prompt = h('p', {class: 'prompt'}), meta = h('p', {class: 'meta'});
  const rename = tool('pencil', () => naming.open(record.name || ''));
  const naming = makeEdit({tag: 'input', label: 'Name', hint: 'A name; empty shows the prompt', save: text => change({name: text || null}), back: rename});
  const note = h('p', {class: 'note'}), noteTool = tool('note', () => noting.open(record.note));
  const noting = makeEdit({tag: 'textarea', label: 'Note', hint: 'What is worth remembering of it', save: text => change({note: text}), back: noteTool});
  const reward = h('div', {class: 'reward'}), chip = h('span', {class: 'chip-state'}), when = h('p', {class: 'when'}), cost = h('p', {class: 'when'});
  const lock = h('button', {type: 'button', class: 'tool lock', onclick: () => change({locked: !record.locked})});
  const trash = tool('trash', () => act.trash(record));
  const restore = h('button', {type: 'button', class: 'small', onclick: () => act.restore(record)}, 'Restore');
  const erase = h('button', {type: 'button', class: 'small danger', onclick: () => act.erase(record)}, 'Delete for good');
  const head = h('div', {class: 'title-row'}, star, title, rename);
  const node = h('li', {class: 'record'}, thumb,
    h('div', {class: 'about'}, head, naming.node, prompt, meta, note, noting.node),
    reward, h('div', {class: 'state'}, chip, when, cost),
    h('div', {class: 'tools'}, noteTool, lock, trash, restore, erase));
  naming.cover(head);
  noting.cover(note);

  function draw(next) {
    record = next;
    const where = whereShown(record.kind, record.id), name = record.kind === 'train' ? titleOf(record) : record.name || record.prompt;
    node.dataset.state = record.state;
    node.dataset.id = record.id;
    node.dataset.kind = record.kind;
    for (const link of [thumb, title]) pointAt(link, where);
    if (shownPicture !== record.picture) fill(thumb, record.picture ? picture(record.picture, '', {loading: 'lazy'}) : null);
    shownPicture = record.picture;
    title.textContent = name;
    prompt.textContent = record.name ? record.prompt : '';
    meta.textContent = [KINDS[record.kind], record.kind === 'reliability' ? '' : record.preset, modelTitle(record.model, models)].filter(Boolean).join(' \u00b7 ');
    note.textContent = record.note;
    drawReward(reward, record);
    chip.textContent = stateWord(record.state) + (record.state === 'running' && typeof record.progress === 'number' ? ` ${Math.round(100 * record.progress)}%` : '');
    chip.title = record.error || '';
    when.textContent = moment(record.created);
    cost.textContent = typeof record.seconds === 'number' && record.seconds > 0 ? (LIVE.includes(record.state) ? `${seconds(record.seconds)} so far` : `took ${seconds(record.seconds)}`) : '';
    relabel(star, record.star ? 'Take the star away' : 'Star', record.star);
    relabel(rename, 'Rename');
    relabel(noteTool, record.note ? 'Change the note' : 'Add a note');
    if (lock.dataset.on !== String(record.locked)) fill(lock, icon(record.locked ? 'lock' : 'unlock'));
    lock.dataset.on = String(record.locked);
    relabel(lock, record.locked ? 'Unlock' : 'Lock against deletion', record.locked);
    relabel(trash, record.locked ? 'Locked: unlock it to throw it away' : 'Move to the trash');
    trash.disabled = record.locked;
    for (const one of [rename, noteTool, lock, trash, star]) one.hidden = record.deleted;
    restore.hidden = erase.hidden = !record.deleted;
    erase.disabled = record.locked;
    erase.title = record.locked ? 'Locked: restore and unlock it first' : '';
  }

  return {node, draw};
}

function relabel(button, words, pressed) {
  button.title = words;
  button.setAttribute('aria-label', words);
  if (pressed !== undefined) button.setAttribute('aria-pressed', String(Boolean(pressed)));
}

/** The search's final reward and what it is over no search at all, where both are known. */
function drawReward(parent, record) {
  parent.style.visibility = record.kind === 'reliability' ? 'hidden' : ''; // its headline is no reward
  if (record.kind === 'train') return drawLearned(parent, record);
  const headline = record.headline || {}, own = headline.search, plain = headline.no_search;
  const known = value => typeof value === 'number';
  const gain = known(own) && known(plain) ? own - plain : null;
  const beside = Object.keys(headline).filter(arm => arm !== 'search' && known(headline[arm]));
  const better = beside.filter(arm => headline[arm] > own).length;
  parent.classList.toggle('none', !known(own));
  fill(parent,
    h('b', {}, known(own) ? number(own) : '\u2013'),
    gain === null ? h('span', {class: 'gain none'}, known(own) ? 'no comparison' : LIVE.includes(record.state) ? 'no reward yet' : 'no reward')
      : h('span', {class: `gain ${gain > 0 ? 'up' : 'down'}`, title: 'One prompt and one seed show how it works, not how well.'},
        gain < 0 ? `${number(-gain)} below no search` : `+${number(gain)} over no search`),
    known(own) && beside.length > 1 ? h('span', {class: 'rank'}, `number ${better + 1} of ${count(beside.length + 1)}`) : null);
}

/** A fine-tune's reward on prompts never trained, and what it is over the model as it was. */
function drawLearned(parent, record) {
  const {heldout_ema: averaged, heldout: plain} = record.headline || {}, [first, last] = averaged || plain || [], known = typeof last === 'number';
  const gain = known ? last - first : 0;
  parent.classList.toggle('none', !known);
  fill(parent, h('b', {}, known ? number(last) : '\u2013'), !known ? h('span', {class: 'gain none'}, LIVE.includes(record.state) ? 'no reward yet' : 'no reward')
    : h('span', {class: `gain ${gain > 0 ? 'up' : 'down'}`, title: 'On prompts that were never trained, without noise.'}, gain < 0 ? `${number(-gain)} below the start` : `+${number(gain)} over the start`));
}

/** A field that takes the place of what it changes: Enter or leaving saves; so does Escape in a note, which may be long. */
function makeEdit({tag, label, hint, save, back}) {
  const field = h(tag, {'aria-label': label, placeholder: hint, maxlength: tag === 'input' ? 200 : 10000, rows: tag === 'textarea' ? 3 : null});
  const node = h('div', {class: `edit ${tag}`, hidden: true}, field);
  let covered = null, before = '', open = false;
  function end(keep) {
    if (!open) return;
    open = false;
    const text = field.value.trim(), held = node.contains(document.activeElement);
    node.hidden = true;
    covered.hidden = false;
    if (held) back.focus({preventScroll: true});
    if (keep && text !== before) save(text);
  }
  field.addEventListener('keydown', event => {
    if (event.isComposing) return;
    if (event.key === 'Escape') end(tag === 'textarea');
    if (event.key === 'Enter' && (tag === 'input' || event.ctrlKey || event.metaKey)) { event.preventDefault(); end(true); }
  });
  field.addEventListener('blur', () => end(true));
  return {
    node,
    cover(other) { covered = other; },
    open(text) {
      before = text;
      field.value = text;
      node.hidden = false;
      covered.hidden = true;
      open = true;
      field.focus();
      field.select();
    },
  };
}
