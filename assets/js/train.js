// Page Train: fine-tunes asked for, watched while they run, and what they made. Keeps the newest view of one run and the
// one place that everything on the page obeys: an epoch and a prompt.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {makeFollow} from './follow.js';
import {makeNotices} from './notices.js';
import {makeOthers} from './others.js';
import {openPage} from './page.js';
import {LIVE} from './words.js';
import {makeForm} from './train_form.js';
import {makeDiagnosis, makeHead} from './train_head.js';
import {makeCurves} from './train_charts.js';
import {makeSamples} from './train_samples.js';
import {makeLog, makeResults} from './train_results.js';
import {makeTrials} from './train_trials.js';
import {LEAD, machineOf, titleOf} from './train_words.js';

const REST = 150;

function start() {
  const {root, facts, queue} = openPage();
  const titles = Object.fromEntries([...facts.models, ...facts.rewards].map(one => [one.name, one.title]));
  const state = {view: null, epoch: 0, prompt: 0, moved: false, asked: null};
  const form = makeForm({facts, run: body => follow.run(body)});
  const notices = makeNotices(), empty = h('div', {class: 'nothing', hidden: true});
  const others = makeOthers({kind: 'train', label: 'Fine-tune', title: titleOf, open: id => follow.open(id)});
  const head = makeHead({titles, acts: {send: kind => follow.send(kind), use: () => form.use(state.view), problem: notices.note}});
  const parts = [head, makeDiagnosis(), makeCurves({move}), makeSamples({move}), makeResults(), makeTrials({facts, titles, ask: evaluate}), makeLog({machineOf})];
  const toForm = h('button', {type: 'button', class: 'chip to-form', onclick: () => { form.node.scrollIntoView({block: 'start'}); form.node.querySelector('select').focus({preventScroll: true}); }}, 'New fine-tune');
  const stage = h('div', {class: 'lab-session lab-made train-stage'}, notices.node, toForm, empty, others.node, parts.map(part => part.node));
  const waits = view => LIVE.includes(view.state) || view.evaluations.some(tried);
  // a place in the queue and a trial's state change without an event of the run's own: then it is asked for whole
  const whole = view => view.state === 'pending' || Boolean(state.asked) || view.evaluations.some(tried);
  const follow = makeFollow({kind: 'train', path: 'train', state, notices, others, queue, does: {opened, heard, draw, waits, whole}});
  let resting = 0;

  fill(root, h('aside', {class: 'lab-aside'}, h('h1', {}, 'Train'), form.node), stage);
  for (const part of parts) part.node.hidden = true; // until there is something to show, or to press

  function draw() {
    const {view} = state;
    stage.dataset.state = view ? view.state : 'empty';
    if (!view) for (const part of parts) part.node.hidden = true;
    else { head.node.hidden = false; for (const part of parts) part.draw(state); others.retell(view); }
    empty.hidden = Boolean(view) || others.any();
    notices.of(view);
  }

  function move(place) {
    Object.assign(state, place, {moved: true});
    draw();
    rest();
  }

  function rest() {
    clearTimeout(resting);
    resting = setTimeout(() => {
      const url = new URL(location.href);
      for (const name of ['epoch', 'prompt']) if (state.moved) url.searchParams.set(name, state[name]); else url.searchParams.delete(name);
      url.searchParams.set('record', state.view.id);
      history.replaceState(history.state, '', url);
    }, REST);
  }

  function heard(view) {
    const before = state.view && state.view.id === view.id ? state.view : null;
    if (before && answered(state.asked, before, view)) state.asked = null;
    state.view = view.partial && before ? merged(before, view) : view;
    if (!state.moved) Object.assign(state, opening(state.view));
  }

  function opened(view, place) {
    Object.assign(state, {moved: false, asked: null, view: null});
    heard(view);
    Object.assign(state, settled(view, place), {moved: Object.keys(place).length > 0});
    draw();
    rest();
  }

  async function evaluate(body) {
    const {id} = state.view;
    await api(follow.at(id, '/evaluate'), body);
    queue.look();
    await api(follow.at(id)).then(heard);
    draw();
    follow.plan();
  }

  fill(empty, h('h2', {}, 'Nothing has been trained here yet'), h('p', {}, LEAD),
    h('p', {}, 'Press Train beside this: the usual settings fine-tune the model that came with the lab. It goes on when you close the page, and every epoch shows as it ends.'));
  const asked = new URLSearchParams(location.search);
  if (asked.get('from')) form.useSession(asked.get('from')).catch(error => notices.note(error.message));
  if (asked.get('record')) follow.open(asked.get('record'), fromAddress(asked));
  else others.list(null).then(records => { const usual = !asked.get('from') && (records.find(one => one.state !== 'failed') || records[0]); if (usual) follow.open(usual.id); else draw(); });
}

/** A whole view of a run that was told in part: what it has of epochs and samples is newer than what is known. */
function merged(before, part) {
  const join = (old, young, key) => [...new Map([...old, ...young].map(one => [key(one), one])).values()];
  return {...part, partial: false, epochs: join(before.epochs, part.epochs, one => one.epoch), samples: join(before.samples, part.samples, one => one.epoch)};
}

/** Whether a view tells that what was asked for has been done. */
function answered(asked, before, view) {
  if (!LIVE.includes(view.state)) return asked !== 'continue'; // asked of one that had ended, until the lab has queued it
  if (asked === 'save') return JSON.stringify(view.checkpoints) !== JSON.stringify(before.checkpoints);
  if (asked === 'sample') return view.samples.length > (view.partial ? 0 : before.samples.length);
  return view.state !== before.state || {pause: 'pausing', cancel: 'stopping'}[asked] === view.job.mode;
}

function tried(trial) {
  return !trial.result && !trial.error && [null, ...LIVE].includes(trial.state);
}

/** Where a run opens: at its newest epoch. */
function opening({epochs}) {
  return {epoch: epochs.length ? epochs[epochs.length - 1].epoch : 0, prompt: 0};
}

/** A place that this run has. */
function settled(view, {epoch, prompt}) {
  const usual = opening(view);
  return {epoch: view.epochs.some(one => one.epoch === epoch) ? epoch : usual.epoch, prompt: prompt < view.prompts.length ? prompt : 0};
}

function fromAddress(asked) {
  const found = ['epoch', 'prompt'].filter(name => /^\d{1,6}$/.test(asked.get(name) || ''));
  return Object.fromEntries(found.map(name => [name, Number(asked.get(name))]));
}

start();
