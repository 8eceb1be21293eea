// Page Reliability: where the guess that a search climbs can be trusted. Keeps the newest view of one measurement and the
// one place that everything on the page obeys: a timestep, a row, an estimate, whose truth, and a sibling.
import {h, fill} from './dom.js';
import {makeFollow} from './follow.js';
import {makeNotices} from './notices.js';
import {makeOthers} from './others.js';
import {openPage} from './page.js';
import {makeForm} from './reliability_form.js';
import {makeHead} from './reliability_head.js';
import {makeCurves} from './reliability_charts.js';
import {makeGrid} from './reliability_grid.js';
import {makeScatter} from './reliability_scatter.js';
import {makeNumbers, makeSimulation} from './reliability_more.js';
import {makePairDialog} from './reliability_pair.js';
import {makeSource} from './reliability_source.js';
import {LEAD, rewardTitle, stepName} from './reliability_words.js';

const REST = 150;

function start() {
  const {root, facts, queue} = openPage(), source = makeSource();
  const titles = Object.fromEntries([...facts.models, ...facts.rewards].map(one => [one.name, one.title]));
  const state = {view: null, step: 0, row: 0, estimate: '', truth: '', sibling: null, moved: false, asked: null};
  const form = makeForm({facts, run: body => follow.run(body)});
  const notices = makeNotices(), empty = h('div', {class: 'nothing', hidden: true});
  const others = makeOthers({kind: 'reliability', label: 'Measurement', title: one => one.name || one.prompt, open: id => follow.open(id)});
  const load = async place => {
    const row = await source.row(state.view, place.row), step = row.steps.find(one => one.step === place.step);
    if (!step) throw new Error('This step of the row is not measured yet.');
    return {state, row, step};
  };
  const dialog = makePairDialog({titles, load});
  const acts = {move, open: dialog.open, problem: notices.note, send: kind => follow.send(kind), use: () => form.use(state.view)};
  const controls = makeControls({move, titles});
  const head = makeHead({titles, acts}), curves = makeCurves({controls: controls.node, move}), grid = makeGrid({titles, source, acts});
  const scatter = makeScatter({titles, source, load, acts}), simulation = makeSimulation({titles}), numbers = makeNumbers({titles, move});
  const parts = [head, controls, curves, grid, scatter, simulation, numbers], placed = parts.filter(part => part !== controls);
  const stage = h('div', {class: 'lab-session lab-made rel-stage'}, notices.node, empty, others.node, placed.map(part => part.node), dialog.node);
  const follow = makeFollow({kind: 'reliability', path: 'reliability', state, notices, others, queue, does: {opened, heard, draw}});
  let resting = 0;

  fill(root, h('aside', {class: 'lab-aside'}, h('h1', {}, 'Reliability'), form.node), stage);

  function draw() {
    const {view} = state;
    stage.dataset.state = view ? view.state : 'empty';
    if (!view) for (const part of placed) part.node.hidden = true;
    else { head.node.hidden = false; for (const part of parts) part.draw(state); }
    empty.hidden = Boolean(view) || others.any();
    notices.of(view);
  }

  /** Put the page elsewhere; parts that are not named stay, but another row or step has other siblings. */
  function move(place) {
    const {view} = state, elsewhere = ['row', 'step'].some(name => name in place && place[name] !== state[name]);
    const sibling = 'sibling' in place ? place.sibling : elsewhere ? null : state.sibling;
    Object.assign(state, settled(view, {...state, ...place}), {sibling, moved: true});
    draw();
    rest();
  }

  function rest() {
    clearTimeout(resting);
    resting = setTimeout(() => {
      const url = new URL(location.href);
      for (const name of ['step', 'row', 'estimate']) if (state.moved) url.searchParams.set(name, state[name]); else url.searchParams.delete(name);
      url.searchParams.set('record', state.view.id);
      history.replaceState(history.state, '', url);
    }, REST);
  }

  function opened(view, place) {
    const named = Object.values(place).some(value => value !== undefined);
    Object.assign(state, {view, asked: null, sibling: null, moved: named}, settled(view, {...opening(view), ...place}));
    draw();
    rest();
  }

  function heard(view) {
    Object.assign(state, {view, asked: null}, settled(view, state.moved ? state : {...state, ...opening(view)}));
  }

  fill(empty, h('h2', {}, 'Nothing has been measured here yet'), h('p', {}, LEAD),
    h('p', {}, 'Choose prompts beside this and press Run. It goes on when you close the page, and what is measured shows as it comes.'));
  const asked = new URLSearchParams(location.search);
  if (asked.get('record')) follow.open(asked.get('record'), fromAddress(asked));
  else others.list(null).then(records => { const usual = records.find(one => one.state !== 'failed') || records[0]; if (usual) follow.open(usual.id); else draw(); });
}

/** Estimate, whose truth, and the step before and after: what every chart obeys. */
function makeControls({move, titles}) {
  const estimate = h('select', {'aria-label': 'Estimate', onchange: () => move({estimate: estimate.value})});
  const truth = h('select', {'aria-label': 'Judged by', onchange: () => move({truth: truth.value})});
  const step = h('b', {class: 'step-name'}), by = {back: -1, on: 1};
  const [back, on] = Object.keys(by).map(name => h('button', {type: 'button', class: 'arrow', 'aria-label': name === 'back' ? 'Step before' : 'Step after', onclick: () => move({step: now.view.steps[now.view.steps.indexOf(now.step) + by[name]]})}, name === 'back' ? '\u2039' : '\u203a'));
  const node = h('div', {class: 'controls'}, h('span', {class: 'pager'}, back, step, on), h('label', {class: 'chart-which'}, 'Estimate ', estimate), h('label', {class: 'chart-which'}, 'Judged by ', truth));
  let now = null;

  function options(select, names, words) {
    const signature = JSON.stringify(names);
    if (select.dataset.options === signature) return;
    select.dataset.options = signature;
    fill(select, names.map(name => h('option', {value: name}, words(name))));
  }

  function draw(state) {
    now = state;
    const {view} = state, at = view.steps.indexOf(state.step), judges = [view.optimised, ...view.rewards.filter(name => name !== view.optimised)];
    options(estimate, view.estimates, name => name);
    options(truth, judges, name => rewardTitle(titles, name));
    estimate.value = state.estimate;
    truth.value = state.truth;
    step.textContent = stepName(view, state.step);
    back.disabled = at <= 0;
    on.disabled = at >= view.steps.length - 1;
  }

  return {node, draw};
}

/** Where a measurement opens: in the middle of its window, else at its best step, else in the middle. */
function opening(view) {
  const {steps} = view, advised = view.window ? view.window.steps : [], curve = (view.curves[view.primary] || {own: []}).own;
  const known = curve.filter(one => one.expected_gain !== null && !one.trivial);
  const best = known.length ? known.reduce((a, b) => (b.expected_gain > a.expected_gain ? b : a)).step : steps[Math.floor(steps.length / 2)];
  const row = view.rows.find(one => one.steps_done.length === steps.length) || view.rows.find(one => one.steps_done.length) || view.rows[0];
  return {step: advised.includes(best) || !advised.length ? best : advised[Math.floor(advised.length / 2)], row: row.row, estimate: view.primary, truth: view.optimised};
}

/** A place that this measurement has. */
function settled(view, {step, row, estimate, truth}) {
  const usual = opening(view), truths = [view.optimised, ...view.rewards];
  return {
    step: view.steps.includes(step) ? step : usual.step, row: view.rows[row] && view.rows[row].steps_done.length ? row : usual.row,
    estimate: view.estimates.includes(estimate) ? estimate : usual.estimate, truth: truths.includes(truth) ? truth : usual.truth,
  };
}

function fromAddress(asked) {
  const whole = name => (/^\d{1,4}$/.test(asked.get(name) || '') ? Number(asked.get(name)) : undefined);
  const place = {step: whole('step'), row: whole('row'), estimate: asked.get('estimate') || undefined};
  return Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined));
}

start();
