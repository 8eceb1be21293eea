// The curves of a fine-tune, over epochs or over what was spent; the chosen epoch is marked in all of them.
import {h} from './dom.js';
import {api} from './api.js';
import {makeChart} from './chart.js';
import {makeFigureSet, tableSwitch} from './figure_set.js';
import {CHART_NOTES} from './train_words.js';

const AXES = [['epoch', 'epochs'], ['nfe', 'velocity evaluations'], ['total_seconds', 'seconds of training']];
const PARTS = [
  ['Is it learning?', 'big', ['reward', 'heldout', 'verifier', 'rewards']],
  ['Is there anything to learn from?', 'small', ['spread', 'equal', 'cosine', 'gradient']],
  ['How far has it moved?', 'small', ['kl', 'clip', 'ratio']],
  ['Is it still itself?', 'small', ['diversity', 'drift', 'noise']],
  ['What does it take?', 'small', ['seconds', 'memory']],
];

export function makeCurves({move}) {
  const axis = h('select', {'aria-label': 'Over', onchange: () => set.moved()}, AXES.map(([value, words]) => h('option', {value}, words)));
  const figures = dark => api(`train/${encodeURIComponent(now.view.id)}/figures?${new URLSearchParams({x: axis.value, ...(dark ? {dark: '1'} : {})})}`).then(withNotes);
  const make = (name, size) => makeChart(name, size, {light: async wanted => (await figures(false))[wanted], choose: ([epoch]) => move({epoch})});
  const parts = PARTS.map(([title, size, names]) => ({title, size, charts: names.map(name => make(name, size))})), charts = parts.flatMap(part => part.charts);
  const trouble = h('p', {class: 'note chart-trouble', role: 'status', hidden: true});
  const tables = tableSwitch(onclick => h('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', onclick}, 'Show as tables'), on => {
    node.classList.toggle('as-tables', on);
    for (const chart of charts) chart.setTable(on);
  });
  const node = h('section', {class: 'panel charts curves', 'aria-label': 'Curves', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Curves'), h('div', {class: 'chart-tools'}, h('label', {class: 'chart-which'}, 'Over ', axis), tables)), trouble,
    parts.map(({title, size, charts: own}) => h('div', {class: 'chart-part'}, h('h4', {class: 'part-title'}, title), h('div', {class: `charts-${size}`}, own.map(chart => chart.node)))));
  let now = null;
  const set = makeFigureSet({
    node, charts, ask: figures, cursor: () => ({step: now.epoch}), fresh: () => now.view.epochs.length,
    place: () => (now && now.view.epochs.length ? `${now.view.id} ${axis.value}` : null),
    failed: text => { trouble.textContent = text; trouble.hidden = !text; },
  });

  function draw(state) {
    now = state;
    node.hidden = !state.view.epochs.length;
    if (!node.hidden) set.moved();
  }

  return {node, draw};
}

function withNotes(made) {
  for (const [name, {layout}] of Object.entries(made)) layout.meta.note ||= CHART_NOTES[name] || '';
  return made;
}
