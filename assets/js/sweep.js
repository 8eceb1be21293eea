// Page Sweep: one or two settings varied over prompts and seeds, as a map; and any records side by side on many axes.
import {h, address, fill} from './dom.js';
import {api} from './api.js';
import {driveButton} from './drive.js';
import {makeFollow} from './follow.js';
import {makeNotices} from './notices.js';
import {makeOthers} from './others.js';
import {openPage} from './page.js';
import {makeCoordinates} from './sweep_coordinates.js';
import {makeForm} from './sweep_form.js';
import {makeMap} from './sweep_map.js';
import {moment, stateWord, timeLeft} from './states.js';
import {LIVE, modelTitle, plural, sentence} from './words.js';

const OWN = ['record', 'measure', 'cell', 'less', '__theme', 'from', 'of', 'across'];
const EVERY = 'Every value of one setting with every value of the other';
const LEAD = {
  session: `${EVERY}, on the same prompts and seeds: ordinary searches, of which those that ran before are not run again.`,
  train: `${EVERY}, with the same seeds: ordinary fine-tunes, of which those that ran before are not run again. What each gains is told on held-out prompts, over the model as it was.`,
};

function start() {
  const {root, facts, queue} = openPage(), titles = Object.fromEntries(facts.models.map(one => [one.name, one.title]));
  const state = {view: null, measure: '', cell: [0], asked: null, less: '', taken: null, lost: false};
  const form = makeForm({facts, run: body => follow.run(body)});
  const notices = makeNotices(), empty = h('div', {class: 'nothing', hidden: true}, h('h2', {}, 'Nothing has been swept here yet'), h('p', {}, LEAD.session), h('p', {}, 'Choose searches or fine-tunes, a setting and its values beside this and press Run. It goes on when you close the page.'));
  const others = makeOthers({kind: 'sweep', label: 'Sweep', title: one => one.name, open: id => follow.open(id)});
  const head = makeHead({titles, send: kind => follow.send(kind), use: () => form.use(state.view)}), map = makeMap({move, against}), lines = makeCoordinates();
  const narrowed = h('p', {class: 'note'});
  const stage = h('div', {class: 'lab-session lab-made sweep-stage'}, notices.node, empty, others.node, head.node, map.node, narrowed, lines.node);
  const follow = makeFollow({kind: 'sweep', path: 'sweep', state, notices, others, queue, does: {opened, heard, draw}});
  let drawn = '';

  fill(root, h('aside', {class: 'lab-aside'}, h('h1', {}, 'Sweep'), form.node), stage);
  head.node.hidden = map.node.hidden = true; // until there is one

  function draw() {
    const {view} = state;
    stage.dataset.state = view ? view.state : 'empty';
    head.node.hidden = map.node.hidden = !view;
    empty.hidden = Boolean(view) || filtered() !== null || others.any();
    notices.of(view);
    lines.node.hidden = state.lost;
    if (!view) return;
    head.draw(state);
    map.draw({...state, view: shownOf(state)});
    const signature = `${view.id} ${view.runs.filter(run => run.state === 'succeeded').length}`;
    if (filtered() === null && signature !== drawn) { drawn = signature; lines.load(`sweep=${encodeURIComponent(view.id)}`); }
  }

  function move(place) {
    Object.assign(state, settled(shownOf(state), {...state, ...place}));
    draw();
    keepAddress();
  }

  function keepAddress() {
    const url = new URL(location.href), {view, measure, cell, less} = state;
    url.searchParams.set('record', view.id);
    url.searchParams.set('measure', measure);
    url.searchParams.set('cell', cell.join('.'));
    if (less) url.searchParams.set('less', less);
    else url.searchParams.delete('less');
    history.replaceState(history.state, '', url);
  }

  async function opened(view, place, still) {
    Object.assign(state, {view, asked: null, less: '', taken: null}, settled(view, place));
    draw();
    keepAddress();
    const alike = await api(follow.at(view.id, '/alike'));
    if (!still()) return;
    map.offer(alike, place.less || '');
    if (place.less) await against(place.less, place);
  }

  async function heard(view) {
    Object.assign(state, {view, asked: null});
    if (state.less) await against(state.less);
    else Object.assign(state, settled(view, state));
  }

  /** Take another sweep over the same cells from this one; none where `id` is empty. */
  async function against(id, place = state) {
    const shown = state.view.id, still = () => state.view.id === shown;
    try {
      const taken = id ? await api(follow.at(shown, `/less/${encodeURIComponent(id)}`)) : null;
      if (!still()) return;
      Object.assign(state, {less: id, taken});
      move({measure: place.measure, cell: place.cell});
    } catch (error) {
      if (still()) notices.note(error.message);
    }
  }

  const asked = new URLSearchParams(location.search), narrow = filtered();
  const place = {measure: asked.get('measure') || '', cell: (asked.get('cell') || '').split('.').map(Number), less: asked.get('less') || ''};
  if (asked.get('from')) form.from(asked.get('from'), asked.get('of') === 'train' ? 'train' : 'session').catch(error => notices.note(error.message));
  if (narrow !== null) {
    stage.classList.add('only-lines');
    fill(narrowed, 'The records that the ', h('a', {href: address(`library?${narrow}`)}, 'Library lists with the same filters'), '.');
    lines.load(narrow);
    draw();
  } else if (asked.get('record')) follow.open(asked.get('record'), place);
  else others.list(null).then(records => { if (records.length) follow.open(records[0].id); else { lines.load(''); draw(); } });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => lines.repaint());
}

/** The Library's filters in the address: what is not this page's own. Null where none are meant. */
function filtered() {
  const asked = new URLSearchParams(location.search), library = asked.get('across') === 'library';
  for (const name of OWN) asked.delete(name);
  return library || asked.size ? asked.toString() : null;
}

/** The sweep as its map is drawn: with differences where another is taken from it. */
function shownOf({view, taken}) {
  return taken ? {...view, measures: taken.measures, runs: view.runs.map((run, at) => ({...run, against: taken.records[at]}))} : view;
}

/** A place that this sweep has. */
function settled(view, {measure, cell}) {
  const fits = Array.isArray(cell) && cell.length === view.axes.length && view.axes.every((axis, at) => Number.isInteger(cell[at]) && cell[at] >= 0 && cell[at] < axis.values.length);
  return {measure: view.measures.some(one => one.name === measure) ? measure : view.measures[0].name, cell: fits ? cell : bestCell(view)};
}

/** Where a map opens: at the highest mean of its first measure. */
function bestCell(view) {
  const {cells} = view.measures[0], width = view.axes.length > 1 ? view.axes[1].values.length : 1;
  const best = cells.reduce((found, one, at) => (one && (found < 0 || one.mean > cells[found].mean) ? at : found), -1), at = Math.max(best, 0);
  return view.axes.length > 1 ? [Math.floor(at / width), at % width] : [at];
}

/** What is seen, where it stands, and the buttons that drive it. */
function makeHead({titles, send, use}) {
  const chip = h('span', {class: 'chip-state', role: 'status'}), name = h('h2', {class: 'name alone'}), meta = h('p', {class: 'meta'}), line = h('p', {class: 'status'}), bar = h('span', {class: 'bar'});
  const progress = h('div', {class: 'progress', role: 'progressbar', 'aria-label': 'Progress of the sweep', 'aria-valuemin': 0, 'aria-valuemax': 100}, bar);
  const buttons = {
    pause: driveButton('pause', 'Pause', 'Stop after what is being tried now', send), continue: driveButton('continue', 'Continue', 'Go on to the end', send),
    cancel: driveButton('cancel', 'Stop', 'End this sweep here; the runs that it has are kept', send),
  };
  const transport = h('div', {class: 'transport', role: 'group', 'aria-label': 'Drive the sweep'}, Object.values(buttons));
  const table = h('a', {class: 'chip', download: '', title: 'Every run, a line each'}, 'Table .csv');
  const rest = h('button', {type: 'button', class: 'chip writes', onclick: () => send('resume')}, 'Run what is missing');
  const tools = h('div', {class: 'reuse', role: 'group', 'aria-label': 'Reuse this sweep'}, h('button', {type: 'button', class: 'chip', title: 'Fill the form with this sweep\u2019s settings', onclick: use}, 'Use these settings'), table, rest);
  const lead = h('p', {class: 'lead-in'});
  const node = h('header', {class: 'head'}, h('div', {class: 'head-row'}, h('div', {class: 'about'}, h('div', {class: 'chip-line'}, chip, name), meta, tools), transport), progress, line, lead);

  function draw({view, asked}) {
    const mode = view.job && view.job.mode, active = LIVE.includes(view.state), paused = view.state === 'paused';
    chip.textContent = stateWord(view.state, mode);
    name.textContent = view.name;
    lead.textContent = LEAD[view.of];
    const what = view.of === 'train' ? 'fine-tunes' : plural(view.prompts.length, 'prompt');
    const facts = [modelTitle(view.model, titles), what, plural(view.seeds.length, 'seed'), view.axes.map(axis => `${axis.label}: ${axis.texts.join(', ')}`).join('; '), moment(view.created)];
    meta.textContent = facts.filter(Boolean).join(' \u00b7 ');
    bar.style.width = `${(100 * (view.progress || 0)).toFixed(1)}%`;
    progress.setAttribute('aria-valuenow', Math.round(100 * (view.progress || 0)));
    progress.classList.toggle('idle', !active);
    line.textContent = statusOf(view);
    table.href = address(`lab/api/sweep/${encodeURIComponent(view.id)}/table.csv`);
    rest.hidden = active || view.runs.every(run => run.state === 'succeeded');
    transport.hidden = !active;
    buttons.pause.hidden = paused;
    buttons.continue.hidden = !paused;
    buttons.pause.disabled = Boolean(asked) || Boolean(mode) && mode !== 'run';
    buttons.continue.disabled = Boolean(asked);
    buttons.cancel.disabled = asked === 'cancel';
  }

  return {node, draw};
}

function statusOf(view) {
  const of = state => view.runs.filter(run => run.state === state).length, done = of('succeeded'), failed = of('failed');
  const under = view.runs.find(run => run.state === 'running' && run.done), way = under ? `the next at ${Math.floor(100 * under.done)}%` : '';
  const told = [`${done} of ${plural(view.runs.length, 'run')} finished`, failed ? `${failed} failed` : '', way, view.state === 'running' ? timeLeft(view.seconds_left) : ''];
  const words = told.filter(Boolean).join(', ');
  return view.error ? `${words}. ${sentence(view.error)}` : `${words}.`;
}

start();
