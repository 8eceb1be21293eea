// Page Library: every record, found by words and filters, changed in place, one or several at once, thrown away and taken back.
import {h, address, fill} from './dom.js';
import {api} from './api.js';
import {asQuery, forLab, makeFilters} from './filters.js';
import {makeImport} from './import.js';
import {makeActs} from './library_acts.js';
import {makeHead, makeTrashLine} from './library_head.js';
import {makeSelection} from './library_select.js';
import {livingList} from './living.js';
import {openPage} from './page.js';
import {makeRecord} from './record.js';
import {makeToast} from './toast.js';
import {ids, onChange, remove} from './tray.js';
import {short} from './words.js';

const PAGE = 24;

function start() {
  const {root, facts, queue} = openPage();
  const state = {records: [], more: false, total: null, problem: '', known: false, asked: 0};
  const toast = makeToast();
  const bar = makeFilters({titles: facts, changed: () => load()});
  const list = h('ol', {class: 'records'}), empty = h('div', {class: 'nothing'}), problem = h('p', {class: 'problem', role: 'alert'});
  const more = h('button', {type: 'button', class: 'plain more', onclick: () => load({further: true})}, 'Show more');
  const known = h('datalist', {id: 'known-tags'});
  const acts = makeActs({toast, leave, update, reload: () => load({keep: true}), looked: () => queue.look()});
  const selection = makeSelection({does: {...acts, erase: acts.eraseSeveral}, changed: show});
  const taking = makeImport({done: () => load({keep: true})});
  const head = makeHead({backup: facts.backup, more: taking.node}), trash = makeTrashLine({empty: acts.empty});
  const act = {
    ...acts,
    choose: (record, on, range) => selection.toggle(record.id, on, range),
    chosen: record => selection.has(record.id),
    compare: record => (ids().includes(record.id) ? remove(record.id) : acts.compare([record])),
    compared: record => ids().includes(record.id),
    bytes: record => trash.sizes()[record.id],
    tagged: tag => bar.set({tag}),
  };
  const draw = livingList(list, record => record.id, () => makeRecord({act, models: facts.models}));
  fill(root, head.node, bar.node, trash.node, selection.node, problem, empty, list, more, known, toast.node);

  /** Ask for the first records, as many as are shown (`keep`), or those after the last shown (`further`). */
  async function load({further = false, keep = false} = {}) {
    const mine = ++state.asked;
    const last = state.records[state.records.length - 1];
    const limit = keep ? Math.max(PAGE, state.records.length) : PAGE;
    list.setAttribute('aria-busy', 'true');
    try {
      const found = await api(`records?${asQuery(forLab(bar.filters()), {limit, before: further && last ? last.id : ''})}`);
      if (mine !== state.asked) return;
      Object.assign(state, {records: further ? [...state.records, ...found.records] : found.records, more: found.more, problem: '', known: true});
      if (found.facets) offer(found);
    } catch (error) {
      if (mine !== state.asked) return;
      state.problem = error.message;
    }
    list.removeAttribute('aria-busy');
    show();
  }

  function offer({total, facets}) {
    state.total = total;
    bar.offer(facets);
    fill(known, Object.keys(facets.tag).map(tag => h('option', {value: tag})));
    trash.look(Boolean(bar.filters().trash), show);
  }

  function show() {
    fill(problem, state.problem ? [state.problem, ' ', h('button', {type: 'button', class: 'plain', onclick: () => load({keep: true})}, 'Try again')] : null);
    selection.draw(state.records, Boolean(bar.filters().trash));
    draw(state.records);
    head.draw({total: state.total, filters: bar.filters()});
    more.hidden = !state.more;
    const nothing = state.known && !state.problem && !state.records.length;
    empty.hidden = !nothing;
    if (nothing) fill(empty, explainNothing(bar));
  }

  function update(record, told) {
    const now = state.records.find(one => one.id === record.id);
    if (told && now) Object.assign(now, told);
    show();
  }

  /** Take records off the list, and the focus to what stands in the place of the first. */
  function leave(gone) {
    const at = state.records.findIndex(one => gone.some(record => record.id === one.id));
    if (at < 0) return;
    const held = list.contains(document.activeElement);
    state.records = state.records.filter(one => !gone.some(record => record.id === one.id));
    show();
    const next = list.children[Math.min(at, list.children.length - 1)];
    if (held && next) next.querySelector('.title').focus({preventScroll: true});
    load({keep: true}); // how many there are, and what there is to narrow to, has changed
  }

  onChange(show); // of what is to be compared
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
  const {text, trash, star, ...others} = bar.filters(), beside = Object.entries(others).some(([name, value]) => name !== 'sort' && value);
  const all = h('button', {type: 'button', class: 'plain', onclick: bar.clear}, 'Show everything');
  if (trash && !bar.narrowed()) return [h('h2', {}, 'The trash is empty'), h('p', {}, 'What you throw away is kept here until you restore it or delete it for good.')];
  if (star && !text && !beside) return [h('h2', {}, 'Nothing is starred'), h('p', {}, 'A star marks what you want to find again. It stands before each title.'), all];
  if (bar.narrowed()) return [h('h2', {}, 'Nothing matches'), h('p', {}, text ? `No record has \u201c${short(text, 60)}\u201d in its prompt, name, note, preset or model${beside || star ? ', with these filters' : ''}.` : 'No record passes these filters.'), all];
  return [h('h2', {}, 'Nothing has run here yet'),
    h('p', {}, 'Every search is kept here by itself, with its settings, pictures and rewards, so that it can be opened, compared and run again.'),
    h('p', {}, h('a', {class: 'primary', href: address('.')}, 'Start a first search'))];
}

start();
