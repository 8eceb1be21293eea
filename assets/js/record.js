// One record of the library: what it is, how it went, and what a person may change of it.
import {h, fill, picture} from './dom.js';
import {icon} from './icons.js';
import {noteNodes} from './note.js';
import {pointAt, moment, stateWord, whereShown} from './states.js';
import {size, titleOf} from './train_words.js';
import {LIVE, count, modelTitle, number, seconds} from './words.js';

// Kinds other than a session, which is what most are.
const KINDS = {reliability: 'Reliability measurement', train: 'Fine-tune', sweep: 'Sweep'};

/** Tags as they are typed: with commas between them. */
export function asTags(text) {
  return text.split(',').map(tag => tag.trim()).filter(Boolean);
}

/**
 * Returns {node, draw(record)}. `act` does what is asked: change(record, values), which resolves to what was wrong, trash(record), restore(record),
 * erase(record), choose(record, on, range), compare(record), tagged(tag); it tells chosen(record), compared(record) and
 * bytes(record), in the trash. `models` are titles by id.
 */
export function makeRecord({act, models}) {
  let record = null, shownPicture, shownNote;
  const change = async values => { const why = await act.change(record, values); if (why) act.tell(why); };
  const tool = (name, onclick) => h('button', {type: 'button', class: `tool ${name}`, onclick}, icon(name));
  const changing = (name, onclick) => { const made = tool(name, onclick); made.classList.add('writes'); return made; };
  const choose = h('input', {type: 'checkbox', class: 'choose', onclick: event => act.choose(record, choose.checked, event.shiftKey)});
  const star = changing('star', () => change({star: !record.star}));
  const thumb = h('a', {class: 'thumb', tabindex: '-1', 'aria-hidden': 'true'});
  const title = h('a', {class: 'title'}), prompt = h('p', {class: 'prompt'}), meta = h('p', {class: 'meta'});
  const rename = changing('pencil', () => naming.open(record.name || ''));
  const naming = makeEdit({tag: 'input', label: 'Name', hint: 'A name; empty shows the prompt', save: text => act.change(record, {name: text || null}), back: rename});
  const note = h('div', {class: 'note'}), unfold = h('button', {type: 'button', class: 'link unfold', hidden: true, onclick: () => unfolded(note.classList.toggle('whole'))}, 'Show all of it');
  const noteTool = changing('note', () => noting.open(record.note));
  const noting = makeEdit({tag: 'textarea', label: 'Note', hint: 'What is worth remembering of it: Markdown, such as **bold**, - lists, [links](https://\u2026)', save: text => act.change(record, {note: text}), back: noteTool});
  const tags = h('div', {class: 'tags'}), tagTool = changing('tag', () => tagging.open(record.tags.join(', ')));
  const tagging = makeEdit({tag: 'input', label: 'Tags', hint: 'Tags, with commas between them', save: text => act.change(record, {tags: asTags(text)}), back: tagTool, list: 'known-tags'});
  const compare = tool('compare', () => act.compare(record));
  const reward = h('div', {class: 'reward'}), chip = h('span', {class: 'chip-state'}), when = h('p', {class: 'when'}), cost = h('p', {class: 'when'});
  const lock = h('button', {type: 'button', class: 'tool lock writes', onclick: () => change({locked: !record.locked})});
  const trash = changing('trash', () => act.trash(record));
  const restore = h('button', {type: 'button', class: 'small writes', onclick: () => act.restore(record)}, 'Restore');
  const erase = h('button', {type: 'button', class: 'small danger writes', onclick: () => act.erase(record)}, 'Delete for good');
  const head = h('div', {class: 'title-row'}, star, title, rename);
  const node = h('li', {class: 'record'}, choose, thumb,
    h('div', {class: 'about'}, head, naming.node, prompt, meta, tags, tagging.node, note, unfold, noting.node),
    reward, h('div', {class: 'state'}, chip, when, cost),
    h('div', {class: 'tools'}, compare, tagTool, noteTool, lock, trash, restore, erase));
  naming.cover(head);
  noting.cover(note);
  tagging.cover(tags);

  const unfolded = whole => { unfold.textContent = whole ? 'Show less' : 'Show all of it'; };
  new ResizeObserver(() => { if (!note.classList.contains('whole')) unfold.hidden = note.hidden || note.scrollHeight <= note.clientHeight + 1; }).observe(note);

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
    if (shownNote !== record.note_html) fill(note, noteNodes(record.note_html));
    shownNote = record.note_html;
    if (!record.note) unfold.hidden = true;
    fill(tags, record.tags.map(tag => h('button', {type: 'button', class: 'tag', title: `Show what is tagged ${tag}`, onclick: () => act.tagged(tag)}, tag)));
    drawReward(reward, record);
    chip.textContent = stateWord(record.state) + (record.state === 'running' && typeof record.progress === 'number' ? ` ${Math.round(100 * record.progress)}%` : '');
    chip.title = record.error || '';
    when.textContent = moment(record.created);
    cost.textContent = typeof record.seconds === 'number' && record.seconds > 0 ? (LIVE.includes(record.state) ? `${seconds(record.seconds)} so far` : `took ${seconds(record.seconds)}`) : '';
    relabel(star, record.star ? 'Take the star away' : 'Star', record.star);
    relabel(rename, 'Rename');
    relabel(noteTool, record.note ? 'Change the note' : 'Add a note');
    relabel(tagTool, record.tags.length ? 'Change the tags' : 'Add tags');
    if (lock.dataset.on !== String(record.locked)) fill(lock, icon(record.locked ? 'lock' : 'unlock'));
    lock.dataset.on = String(record.locked);
    relabel(lock, record.locked ? 'Unlock' : 'Lock against deletion', record.locked);
    relabel(trash, record.locked ? 'Locked: unlock it to throw it away' : 'Move to the trash');
    trash.disabled = record.locked;
    for (const one of [rename, noteTool, tagTool, compare, lock, trash, star]) one.hidden = record.deleted;
    restore.hidden = erase.hidden = !record.deleted;
    erase.disabled = record.locked;
    erase.title = record.locked ? 'Locked: restore and unlock it first' : '';
    drawChoice();
  }

  /** What the page knows of it beside the record: whether it is chosen and to be compared, and what it takes on the disk. */
  function drawChoice() {
    const held = act.compared(record), bytes = act.bytes(record);
    choose.checked = act.chosen(record);
    choose.setAttribute('aria-label', `Choose ${record.name || record.prompt}`);
    node.classList.toggle('is-chosen', choose.checked);
    relabel(compare, held ? 'Take it out of the comparison' : 'Add to compare', held);
    if (record.deleted && bytes !== undefined) cost.textContent = `up to ${size(bytes)}`;
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
  parent.style.visibility = ['reliability', 'sweep'].includes(record.kind) ? 'hidden' : ''; // its headline is no reward
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

/** A fine-tune's reward on held-out prompts, and what it is over the model as it was. */
function drawLearned(parent, record) {
  const {heldout_ema: averaged, heldout: plain} = record.headline || {}, [first, last] = averaged || plain || [], known = typeof last === 'number';
  const gain = known ? last - first : 0;
  parent.classList.toggle('none', !known);
  fill(parent, h('b', {}, known ? number(last) : '\u2013'), !known ? h('span', {class: 'gain none'}, LIVE.includes(record.state) ? 'no reward yet' : 'no reward')
    : h('span', {class: `gain ${gain > 0 ? 'up' : 'down'}`, title: 'On held-out prompts, without noise.'}, gain < 0 ? `${number(-gain)} below the start` : `+${number(gain)} over the start`));
}

/**
 * A field that takes the place of what it changes: Enter or leaving saves; so does Escape in a note, which may be long.
 * Where `save(text)` resolves to what was wrong, that is told under the field, and what was typed stays in it.
 */
function makeEdit({tag, label, hint, save, back, list}) {
  const field = h(tag, {'aria-label': label, placeholder: hint, list, rows: tag === 'textarea' ? 3 : null}), wrong = h('p', {class: 'wrong', role: 'alert'});
  const node = h('div', {class: `edit ${tag}`, hidden: true}, field, wrong);
  let covered = null, before = '', open = false, saving = false;
  async function end(keep) {
    if (!open || saving) return;
    const text = field.value.trim();
    if (keep && text !== before) {
      saving = true;
      wrong.textContent = await save(text);
      saving = false;
      if (wrong.textContent) return;
    }
    const held = node.contains(document.activeElement);
    open = false;
    node.hidden = true;
    covered.hidden = false;
    if (held) back.focus({preventScroll: true});
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
      wrong.textContent = '';
      node.hidden = false;
      covered.hidden = true;
      open = true;
      field.focus();
      field.select();
    },
  };
}
