// The session's charts. The server makes the figures of one timestep; here they are asked for, drawn and kept in step
// with the page's one cursor, which itself never waits for the server.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {makeChart, move} from './chart.js';
import {makeFigureSet, tableSwitch} from './figure_set.js';
import {LIVE, optimisedTitle, rewardNames} from './words.js';

const BIG = ['reward', 'trail'], SMALL = ['norm', 'spread', 'cosine', 'kurtosis', 'noise', 'cost'];

export function makeCharts() {
  const state = {view: null, titles: {}, cursor: null, reward: ''};
  const charts = [...BIG, ...SMALL].map(name => makeChart(name, BIG.includes(name) ? 'big' : 'small', {light: async wanted => (await figures(false))[wanted]}));
  const which = h('select', {'aria-label': 'Reward to show', onchange: () => { state.reward = which.value; set.plan(); }});
  const picker = h('label', {class: 'chart-which'}, 'Reward ', which);
  const tables = tableSwitch(onclick => h('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', onclick}, 'Show as tables'), on => {
    node.classList.toggle('as-tables', on);
    for (const chart of charts) chart.setTable(on);
  });
  const why = h('p', {class: 'note chart-why', hidden: true}), trouble = h('p', {class: 'note chart-trouble', role: 'status', hidden: true});
  const big = h('div', {class: 'charts-big'}, charts.slice(0, BIG.length).map(chart => chart.node));
  const small = h('div', {class: 'charts-small'}, charts.slice(BIG.length).map(chart => chart.node));
  const second = h('h3', {class: 'charts-second'}, 'What the search does to its noise');
  const node = h('section', {class: 'panel charts', 'aria-label': 'Charts', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Charts'), h('div', {class: 'chart-tools'}, picker, tables)), why, trouble, big, second, small);

  const figures = dark => {
    const query = new URLSearchParams({step: state.cursor.step, ...(dark ? {dark: '1'} : {}), ...(state.reward ? {reward: state.reward} : {})});
    return api(`sessions/${encodeURIComponent(state.view.id)}/figures?${query}`);
  };

  const set = makeFigureSet({
    node, charts, ask: figures, came: explain, cursor: () => state.cursor, fresh: () => state.view.seq,
    place: () => (state.view && state.cursor ? `${state.view.id} ${state.cursor.step} ${state.reward}` : null),
    failed: text => { trouble.textContent = text; trouble.hidden = !text; },
  });

  /** Why a step has no charts of its own. */
  function explain(made) {
    const {view, cursor} = state, at = cursor.step, first = view.searched.indexOf(true);
    why.hidden = Boolean(made.reward);
    if (made.reward) return;
    const searched = at < 0 ? view.config.search_initial : view.searched[at];
    const name = at < 0 ? 'The starting noise' : `Step ${at + 1}`;
    fill(why, searched ? `${name} has no scored candidates${LIVE.includes(view.state) ? ' yet' : ''}.` : `${name} is not searched, so it has no candidates to chart.`,
      !searched && first >= 0 ? [' ', h('button', {type: 'button', class: 'chip', onclick: () => move([first])}, `Go to step ${first + 1}`)] : null);
  }

  function choices() {
    const {view, titles} = state, {optimised, watched} = rewardNames(view);
    const each = [...(optimised.length > 1 ? optimised : []), ...watched];
    if (!each.includes(state.reward)) state.reward = '';
    const options = [['', `${optimisedTitle(view, titles)} (climbed)`], ...each.map(name => [name, `${titles[name] || name}${watched.includes(name) ? ' (watched)' : ''}`])];
    picker.hidden = options.length < 2;
    const signature = JSON.stringify(options);
    if (which.dataset.options !== signature) {
      which.dataset.options = signature;
      fill(which, options.map(([value, text]) => h('option', {value}, text)));
    }
    which.value = state.reward;
  }

  function cursor(next) {
    state.cursor = next;
    set.moved();
  }

  function draw({view, titles, cursor: at}) {
    Object.assign(state, {view, titles: titles || {}, cursor: at});
    node.hidden = !view || !view.sigmas.length;
    if (node.hidden) return;
    second.textContent = view.config.search.num_iterations ? 'What the search does to its noise' : 'Noise and cost';
    choices();
    cursor(at);
  }

  return {node, draw, cursor};
}
