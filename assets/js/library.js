// Page Library: every record, found by words and filters, changed in place, thrown away and taken back.
import {h, address, fill} from './dom.js';
import {api} from './api.js';
import {asQuery, makeFilters} from './filters.js';
import {livingList} from './living.js';
import {openPage} from './page.js';
import {makeRecord} from './record.js';
import {confirmed, makeToast} from './toast.js';

const PAGE = 24;

function start() {
  const {root, facts, queue} = openPage();
  const state = {records: [], more: false, problem: '', known: false, asked: 0};
  const toast = makeToast();
  const bar = makeFilters({presets: facts.presets, changed: () => load()});
  const list = h('ol', {class: 'records'}), empty = h('div', {class: 'nothing'}), problem = h('p', {class: 'problem', role: 'alert'});
  const more = h('button', {type: 'button', class: 'plain more', onclick: () => load({further: true})}, 'Show more');
  const draw = livingList(list, record => record.id, () => makeRecord({act, models: facts.models}));
  fill(root, h('h1', {}, 'Library'), bar.node, problem, empty, list, more, toast.node);

  /** Ask for the first records, as many as are shown (`keep`), or those after the last shown (`further`). */
  async function load({further = false, keep = false} = {}) {
    const mine = ++state.asked;
    const last = state.records[state.records.length - 1];
    const limit = keep ? Math.max(PAGE, state.records.length) : PAGE;
    list.setAttribute('aria-busy', 'true');
    try {
      const found = await api(`records?${asQuery(bar.filters(), {limit, before: further && last ? last.id : ''})}`);
      if (mine !== state.asked) return;
      Object.assign(state, {records: further ? [...state.records, ...found.records] : found.records, more: found.more, problem: '', known: true});
    } catch (error) {
      if (mine !== state.asked) return;
      state.problem = error.message;
    }
    list.removeAttribute('aria-busy');
    show();
  }

  function show() {
    fill(problem, state.problem ? [state.problem, ' ', h('button', {type: 'button', class: 'plain', onclick: () => load({keep: true})}, 'Try again')] : null);
    draw(state.records);
    more.hidden = !state.more;
    const nothing = state.known && !state.problem && !state.records.length;
    empty.hidden = !nothing;
    if (nothing) fill(empty, explainNothing(bar));
  }

  /** Do one thing to a record; what went wrong is told where the eye is. Returns the answer, or null. */
  async function ask(path, body, method) {
    try {
      return await api(path, body, method);
    } catch (error) {
      toast.tell(error.message);
      return null;
    }
  }

  const path = record => `records/${encodeURIComponent(record.id)}`;
  const named = record => h('bdi', {}, quoted(record)); // a prompt may turn the direction of what is written after it
  const leave = record => {
    const at = state.records.findIndex(one => one.id === record.id);
    if (at < 0) return;
    const held = list.contains(document.activeElement);
    state.records.splice(at, 1);
    show();
    const next = list.children[Math.min(at, list.children.length - 1)];
    if (held && next) next.querySelector('.title').focus({preventScroll: true});
    if (!state.records.length) load();
  };

  async function move(record, what, text, back) {
    if (!await ask(`${path(record)}/${what}`, {})) return;
    leave(record);
    toast.tell([named(record), ` ${text}.`], async () => { if (await ask(`${path(record)}/${back}`, {})) load({keep: true}); });
    queue.look();
  }

  const act = {
    async change(record, values) {
      const told = await ask(path(record), values), now = state.records.find(one => one.id === record.id);
      if (told && now) Object.assign(now, told);
      show();
    },
    trash: record => move(record, 'trash', 'is in the trash', 'restore'),
    restore: record => move(record, 'restore', 'is back in the library', 'trash'),
    async erase(record) {
      const frees = api(`${path(record)}/size`).then(told => `It frees up to ${size(told.bytes)}.`).catch(() => '');
      const sure = await confirmed(`Delete ${quoted(record)} for good?`, 'Its pictures and numbers are removed from this machine. This cannot be undone.', 'Delete for good', frees);
      const told = sure && await ask(path(record), undefined, 'DELETE');
      if (!told) return;
      leave(record);
      toast.tell([named(record), ' is deleted.']);
    },
  };

  follow(queue, state, {show, reload: () => load({keep: true})});
  load();
}

/** Keep the shown records to the queue: its progress at once, everything else when a job begins, ends or changes state. */
function follow(queue, state, {show, reload}) {
  let before = null;
  queue.watch(({jobs, finished, known}) => {
    if (!known) return;
    const now = JSON.stringify([...jobs, ...finished].map(job => [job.job_id, job.state]).sort());
    const changed = before !== null && now !== before;
    before = now;
    if (changed) return reload();
    const running = new Map(jobs.filter(job => job.kind !== 'finish').map(job => [job.record_id, job]));
    for (const record of state.records) if (running.has(record.id)) record.progress = running.get(record.id).progress;
    if (running.size) show();
  });
}

/** What an empty list means, and what to do about it. */
function explainNothing(bar) {
  const {text, trash, star} = bar.filters();
  const all = h('button', {type: 'button', class: 'plain', onclick: bar.clear}, 'Show everything');
  if (trash && !bar.narrowed()) return [h('h2', {}, 'The trash is empty'), h('p', {}, 'What you throw away is kept here until you restore it or delete it for good.')];
  if (star && !text && !bar.filters().state && !bar.filters().preset)
    return [h('h2', {}, 'Nothing is starred'), h('p', {}, 'A star marks what you want to find again. It stands before each title.'), all];
  if (bar.narrowed()) return [h('h2', {}, 'Nothing matches'), h('p', {}, text ? `No record has \u201c${short(text)}\u201d in its prompt, name, note, preset or model${bar.filters().state || bar.filters().preset || star ? ', with these filters' : ''}.` : 'No record passes these filters.'), all];
  return [h('h2', {}, 'Nothing has run here yet'),
    h('p', {}, 'Every search is kept here by itself, with its settings, pictures and rewards, so that it can be opened, compared and run again.'),
    h('p', {}, h('a', {class: 'primary', href: address('.')}, 'Start a first search'))];
}

function quoted(record) {
  return `\u201c${short(record.name || record.prompt)}\u201d`;
}

function short(text) {
  const letters = [...text];
  return letters.length > 60 ? `${letters.slice(0, 59).join('').trimEnd()}\u2026` : text;
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

start();
