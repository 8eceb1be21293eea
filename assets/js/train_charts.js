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
  const axis = h('select', {'aria-label': 'Over', onchange: () => draw(now)}, AXES.map(([value, words]) => h('option', {value}, words)));
  const make = (name, size) => makeChart(name, size, {light: async wanted => (await figures(false))[wanted], choose: ([epoch]) => move({epoch})});
  const parts = PARTS.map(([title, size, names]) => {
    const charts = names.map(name => make(name, size));
    return {charts, node: h('div', {class: 'chart-part'}, h('h4', {class: 'part-title'}, title), h('div', {class: `charts-${size}`}, charts.map(chart => chart.node)))};
  });
  const trouble = h('p', {class: 'note chart-trouble', role: 'status', hidden: true});
  const tables = tableSwitch(onclick => h('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', onclick}, 'Show as tables'), on => {
    node.classList.toggle('as-tables', on);
    for (const chart of parts.flatMap(part => part.charts)) chart.setTable(on);
  });
  const node = h('section', {class: 'panel charts curves', 'aria-label': 'Curves', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Curves'), h('div', {class: 'chart-tools'}, h('label', {class: 'chart-which'}, 'Over ', axis), tables)), trouble,
    parts.map(part => part.node));
  let now = null, asked = {key: '', answer: null};
  const place = () => (now && now.view.epochs.length ? `${now.view.id} ${axis.value}` : null), fresh = () => now.view.epochs.length;
  const failed = text => { trouble.textContent = text; trouble.hidden = !text; };
  // each part is drawn when it comes into sight: all at once would keep a slow machine busy
  const sets = parts.map(part => makeFigureSet({...part, ask: figures, cursor: () => ({step: now.epoch}), place, fresh, failed}));

  /** All figures, asked for once for all parts. */
  function figures(dark) {
    const key = `${place()} ${fresh()} ${dark}`, query = new URLSearchParams({x: axis.value, ...(dark ? {dark: '1'} : {})});
    if (asked.key !== key) {
      const answer = api(`train/${encodeURIComponent(now.view.id)}/figures?${query}`).then(withNotes);
      answer.catch(() => { asked = {key: '', answer: null}; }); // it may be asked for again
      asked = {key, answer};
    }
    return asked.answer;
  }

  function draw(state) {
    now = state;
    node.hidden = !state.view.epochs.length;
    if (!node.hidden) for (const set of sets) set.moved();
  }

  return {node, draw};
}

function withNotes(made) {
  for (const [name, {layout}] of Object.entries(made)) layout.meta.note ||= CHART_NOTES[name] || '';
  return made;
}
