// The reliability curve, what is to be gained beside it, and the window that both recommend.
import {h, fill, address} from './dom.js';
import {api} from './api.js';
import {makeChart} from './chart.js';
import {makeFigureSet, tableSwitch} from './figure_set.js';
import {number} from './words.js';
import {pathOf, queryOf} from './reliability_source.js';
import {stepsInWords} from './reliability_words.js';

const SIZES = {curve: 'big', gain: 'big', realised: 'big'};

/** `controls` is a node that chooses step and estimate; `move(place)` puts the page elsewhere. */
export function makeCurves({controls, move}) {
  let now = null;
  const figures = dark => api(`${pathOf(now.view)}/figures?${queryOf(now, dark ? {dark: '1'} : {})}`).then(made => withSigma(made, now.view.sigmas));
  const charts = Object.entries(SIZES).map(([name, size]) => makeChart(name, size, {light: async wanted => (await figures(false))[wanted], choose: ([step]) => move({step})}));
  const trouble = h('p', {class: 'note chart-trouble', role: 'status', hidden: true}), advice = h('div', {class: 'advice'});
  const [curve, ...others] = charts.map(chart => chart.node);
  const tables = tableSwitch(onclick => h('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', onclick}, 'Show as tables'), on => {
    node.classList.toggle('as-tables', on);
    for (const chart of charts) chart.setTable(on);
  });
  const node = h('section', {class: 'panel charts curves', 'aria-label': 'Reliability curve', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Where the guess can be trusted'), h('div', {class: 'chart-tools'}, controls, tables)),
    advice, trouble, h('div', {class: 'charts-one'}, curve), h('div', {class: 'charts-big'}, others));
  const set = makeFigureSet({
    node, charts, ask: figures, cursor: () => ({step: now.step, iteration: null, candidate: null}), fresh: () => now.view.rows_done,
    place: () => (now && now.view.rows_done ? `${now.view.id} ${now.step} ${now.estimate} ${now.truth}` : null),
    failed: text => { trouble.textContent = text; trouble.hidden = !text; },
  });

  function draw(state) {
    now = state;
    const {view} = state;
    node.hidden = !view.rows_done;
    if (node.hidden) return;
    const signature = JSON.stringify([view.id, view.window, view.few_prompts, Boolean(view.explore), view.state]);
    if (advice.dataset.signature !== signature) {
      advice.dataset.signature = signature;
      fill(advice, advise(view));
    }
    set.moved();
  }

  return {node, draw};
}

/** What the window is, and a way to search in it; or that there is none. */
function advise(view) {
  const so = view.state === 'succeeded' ? '' : ' so far';
  if (view.few_prompts) return h('p', {class: 'note'}, `Too few prompts${so} for an interval, and for a recommendation: at least five are needed.`);
  if (!view.window) return h('p', {class: 'note'}, `No window can be recommended${so}: nowhere is the guess surely better than chance, the expected gain at least half its highest, and a reward gained that was not climbed.`);
  const {low, high, steps, gain} = view.window, where = low === high ? `\u03c3 ${number(low, 2)}` : `\u03c3 ${number(low, 2)} to ${number(high, 2)}`;
  return [h('p', {}, h('b', {}, `Recommended${so}: ${where}`), ` (${stepsInWords(steps)}), where keeping the best-looking siblings should gain up to ${number(gain, 3)}.`),
    view.explore ? h('a', {class: 'primary', href: address(`./?from_window=${encodeURIComponent(view.id)}`)}, 'Search in this window')
      : h('p', {class: 'note'}, 'It is too wide to be searched for the cost of a usual search.')];
}

/** Figures by step with the noise level under each step's number. */
export function withSigma(figures, sigmas) {
  for (const {layout} of Object.values(figures)) {
    const {xaxis} = layout;
    if (layout.meta.axis !== 'step' || !xaxis.tickvals) continue;
    const every = innerWidth < 560 && xaxis.tickvals.length > 8 ? 2 : 1; // where there is no room for each
    xaxis.ticktext = xaxis.tickvals.map((step, i) => (sigmas[step - 1] === undefined || i % every ? String(step) : `${step}<br>${number(sigmas[step - 1], 2)}`));
    xaxis.tickangle = 0;
    xaxis.title = {...xaxis.title, text: 'Step, with its noise level \u03c3'};
  }
  return figures;
}
