// What else the measurement says: strategies compared on it, and every number by timestep.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {makeChart} from './chart.js';
import {makeFigureSet} from './figure_set.js';
import {count, number} from './words.js';
import {withSigma} from './reliability_charts.js';
import {pathOf, queryOf} from './reliability_source.js';
import {interval, rewardTitle, stepName} from './reliability_words.js';

/** Strategies that pick among some of the measured siblings, by Monte-Carlo on what was measured. */
export function makeSimulation({titles}) {
  const draw = h('select', {'aria-label': 'Candidates drawn', onchange: () => look()}), body = h('div', {class: 'strategies'});
  const note = h('p', {class: 'note'}), problem = h('p', {class: 'note chart-trouble', role: 'status', hidden: true});
  const node = h('section', {class: 'panel simulation', 'aria-label': 'Strategies compared', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'What another way of choosing would gain'), h('div', {class: 'chart-tools'}, h('label', {class: 'chart-which'}, 'Drawn ', draw)), note), problem, body);
  let now = null, asked = '';

  function drawAll(state) {
    now = state;
    const k = state.view.config.num_siblings, usual = Math.min(5, k);
    node.hidden = !state.view.rows_done;
    if (node.hidden) return;
    if (draw.options.length !== k - 1) {
      fill(draw, Array.from({length: k - 1}, (_, i) => h('option', {value: i + 2}, `${i + 2} of ${k}`)));
      draw.value = String(usual);
    }
    look();
  }

  async function look() {
    const {view, step, truth} = now, wanted = JSON.stringify([view.id, view.rows_done, step, truth, draw.value]);
    if (asked === wanted) return;
    asked = wanted;
    try {
      const found = await api(`${pathOf(view)}/simulate`, {step, truth, draw: Number(draw.value)});
      if (asked !== wanted) return;
      problem.hidden = true;
      note.textContent = `${stepName(view, step)}: from the ${view.config.num_siblings} measured siblings some are drawn at random, a strategy picks by their guesses, and the truth of what it picks is judged by ${rewardTitle(titles, truth)}. Gain over a blind pick${view.few_prompts ? '; too few prompts for an interval' : `, 95% interval over ${found.rows} rows`}.`;
      fill(body, tableOf(found.outcomes));
    } catch (error) {
      if (asked !== wanted) return;
      asked = '';
      problem.textContent = error.message;
      problem.hidden = false;
    }
  }

  return {node, draw: drawAll};
}

function tableOf(outcomes) {
  const ends = outcomes.flatMap(one => [one.low, one.gain, one.high, 0]).filter(value => value !== null), low = Math.min(...ends), high = Math.max(...ends);
  const at = value => `${(100 * (value - low) / (high - low || 1)).toFixed(2)}%`;
  const bar = one => {
    const node = h('span', {class: 'bar', 'aria-hidden': 'true'}, h('i', {class: 'zero'}), h('i', {class: 'range'}), h('i', {class: 'dot'}));
    for (const [name, value] of [['--zero', 0], ['--low', one.low ?? one.gain], ['--high', one.high ?? one.gain], ['--gain', one.gain]]) node.style.setProperty(name, at(value ?? 0));
    return node;
  };
  return h('table', {}, h('thead', {}, h('tr', {}, ['Strategy', 'Gain', '', 'Evaluations'].map(text => h('th', {scope: 'col'}, text)))),
    h('tbody', {}, outcomes.map(one => h('tr', {}, h('th', {scope: 'row'}, one.name), h('td', {}, interval(one.gain, one.low, one.high)), h('td', {class: 'drawn'}, bar(one)), h('td', {}, one.nfe === null ? '' : count(one.nfe))))));
}

const COLUMNS = [
  ['Rank correlation', one => interval(one.spearman_median, one.spearman_low, one.spearman_high)], ['By chance', one => range(one.null_low, one.null_high)],
  ['Kendall', one => two(one.kendall_median)], ['Best is best', one => share(one.top1)], ['Kept are best', one => share(one.elite_recall)], ['Efficiency', one => share(one.selection_efficiency)],
  ['Regret', one => two(one.regret)], ['Spread', one => two(one.truth_std)], ['G', one => number(one.expected_gain)], ['Bias', one => two(one.bias)], ['Slope', one => two(one.slope)], ['NFE', one => two(one.nfe)],
];
const two = value => (value === null || value === undefined ? '' : number(value, 2));
const share = value => (value === null || value === undefined ? '' : `${number(Math.round(100 * value), 0)}%`);
const range = (low, high) => (low === null || low === undefined ? '' : `${number(low, 2)} to ${number(high, 2)}`);

/** Every number by timestep, the distances as a chart, and what a page has no room to draw. */
export function makeNumbers({titles, move}) {
  let now = null, told = '';
  const figures = dark => api(`${pathOf(now.view)}/figures?${queryOf(now, dark ? {dark: '1'} : {})}`).then(made => withSigma(made, now.view.sigmas));
  const chart = makeChart('distance', 'big', {light: async () => (await figures(false)).distance, choose: ([step]) => move({step})});
  const trouble = h('p', {class: 'note chart-trouble', role: 'status', hidden: true}), tables = h('div', {class: 'chart-table all-numbers', tabindex: '0', role: 'group', 'aria-label': 'Numbers by timestep'});
  const inner = h('div', {class: 'charts'}, trouble, h('div', {class: 'charts-one'}, chart.node), tables);
  const node = h('details', {class: 'panel numbers-by-step', hidden: true}, h('summary', {}, h('h3', {}, 'Every number by timestep')), inner);
  const set = makeFigureSet({
    node: inner, charts: [chart], ask: figures, fresh: () => now.view.rows_done, cursor: () => ({step: now.step, iteration: null, candidate: null}),
    place: () => (now && now.view.rows_done ? `${now.view.id} ${now.step} ${now.estimate} ${now.truth}` : null),
    failed: text => { trouble.textContent = text; trouble.hidden = !text; },
  });

  function draw(state) {
    now = state;
    const {view} = state, signature = JSON.stringify([view.id, view.rows_done, state.estimate, state.step]);
    node.hidden = !view.rows_done;
    if (node.hidden) return;
    set.moved();
    if (told === signature) return;
    told = signature;
    const {own, held_out: heldOut} = view.curves[state.estimate];
    fill(tables, numbersOf(`${state.estimate}: guess and truth of ${rewardTitle(titles, view.optimised)}`, own, COLUMNS),
      Object.entries(heldOut).map(([name, rows]) => numbersOf(`${state.estimate}: guess of ${rewardTitle(titles, view.optimised)}, truth of ${rewardTitle(titles, name)}, which nobody climbs`, rows, COLUMNS)),
      Object.entries(view.proxies).filter(([name]) => name !== view.optimised).map(([name, rows]) => numbersOf(`${view.primary}: ${rewardTitle(titles, name)} as its own guess`, rows, COLUMNS)),
      view.between.length ? numbersOf('Another quantity, between seeds: guesses along whole trajectories against where these end', view.between, COLUMNS.slice(0, 9)) : null,
      numbersOf('Hacking gap: gain on the climbed reward less that on a watched one, each in units of its spread', view.hacking, [['Gap', one => interval(one.gap, one.low, one.high)]]),
      numbersOf('Averaging: guessed reward of the kept ones\u2019 mean noise against the mean of their own', view.averaging,
        [['Of the mean', one => number(one.averaged)], ['Mean of each', one => number(one.elite_mean)], ['Difference', one => interval(one.gap, one.low, one.high)]]));
  }

  function numbersOf(caption, rows, columns) {
    if (!rows.length) return null;
    return h('table', {}, h('caption', {}, caption), h('thead', {}, h('tr', {}, ['Step', '\u03c3', ...columns.map(([name]) => name)].map(text => h('th', {scope: 'col'}, text)))),
      h('tbody', {}, rows.map(one => h('tr', {class: one.step === now.step ? 'here' : null},
        h('th', {scope: 'row'}, h('button', {type: 'button', onclick: () => move({step: one.step})}, String(one.step + 1)), one.trivial ? ' (by construction)' : ''),
        [two(one.sigma), ...columns.map(([, tell]) => tell(one))].map(text => h('td', {}, text))))));
  }

  return {node, draw};
}
