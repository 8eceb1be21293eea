// The session's charts. The server makes the figures of one timestep; here they are asked for, drawn and kept in step
// with the page's one cursor, which itself never waits for the server.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {makeChart, move} from './chart.js';
import {LIVE, optimisedTitle, rewardNames} from './words.js';

const BIG = ['reward', 'trail'], SMALL = ['norm', 'spread', 'cosine', 'kurtosis', 'noise', 'cost'];
const SETTLE = 90, PACE = 1000; // milliseconds: after a move to another step; between two drawings of a growing session

export function makeCharts() {
  const state = {view: null, titles: {}, cursor: null, reward: '', seen: false};
  const asked = {key: '', place: '', at: 0, turn: 0, timer: null, due: ''};
  const charts = [...BIG, ...SMALL].map(name => makeChart(name, BIG.includes(name) ? 'big' : 'small', {light: async wanted => (await figures(false))[wanted]}));
  const which = h('select', {'aria-label': 'Reward to show', onchange: () => { state.reward = which.value; plan(); }});
  const picker = h('label', {class: 'chart-which'}, 'Reward ', which);
  const tables = h('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: () => setTables(tables.getAttribute('aria-pressed') !== 'true')}, 'Show as tables');
  const why = h('p', {class: 'note chart-why', hidden: true}), trouble = h('p', {class: 'note chart-trouble', role: 'status', hidden: true});
  const big = h('div', {class: 'charts-big'}, charts.slice(0, BIG.length).map(chart => chart.node));
  const small = h('div', {class: 'charts-small'}, charts.slice(BIG.length).map(chart => chart.node));
  const second = h('h3', {class: 'charts-second'}, 'What the search does to its noise');
  const node = h('section', {class: 'panel charts', 'aria-label': 'Charts', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Charts'), h('div', {class: 'chart-tools'}, picker, tables)), why, trouble, big, second, small);

  const place = () => `${state.view.id} ${state.cursor.step} ${state.reward} ${isDark()}`;
  const isDark = () => Boolean(node.closest('.dark'));
  const figures = dark => {
    const query = new URLSearchParams({step: state.cursor.step, ...(dark ? {dark: '1'} : {}), ...(state.reward ? {reward: state.reward} : {})});
    return api(`sessions/${encodeURIComponent(state.view.id)}/figures?${query}`);
  };

  /** Ask for figures when they would differ from those asked for last: soon for another place, paced for new numbers. */
  function plan() {
    if (!state.view || !state.cursor || !state.seen || node.hidden) return;
    const key = `${place()} ${state.view.seq}`;
    if (key === asked.key || key === asked.due) return;
    const moved = place() !== asked.place;
    if (asked.due && !moved) return; // the numbers are asked for already, and will be the newest
    clearTimeout(asked.timer);
    asked.due = key;
    asked.timer = setTimeout(load, moved ? (asked.key ? SETTLE : 0) : Math.max(0, asked.at + PACE - Date.now()));
  }

  async function load() {
    const turn = ++asked.turn;
    Object.assign(asked, {due: '', key: `${place()} ${state.view.seq}`, place: place(), at: Date.now()});
    try {
      const made = await figures(isDark());
      if (turn !== asked.turn) return; // another place was asked for since: the latest wins
      trouble.hidden = true;
      explain(made);
      await Promise.all(charts.map(chart => chart.show(made[chart.name] || null)));
    } catch (error) {
      if (turn !== asked.turn) return;
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
    for (const chart of charts) chart.place(state.cursor);
    node.dataset.drawn = asked.key;
  }

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

  function setTables(on) {
    tables.setAttribute('aria-pressed', String(on));
    tables.textContent = on ? 'Show as charts' : 'Show as tables';
    node.classList.toggle('as-tables', on);
    for (const chart of charts) chart.setTable(on);
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

  let frame = 0;
  function cursor(next) {
    state.cursor = next;
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; for (const chart of charts) chart.place(state.cursor); });
    plan();
  }

  function draw({view, titles, cursor: at}) {
    Object.assign(state, {view, titles: titles || {}, cursor: at});
    node.hidden = !view || !view.sigmas.length;
    if (node.hidden) return;
    second.textContent = view.config.search.num_iterations ? 'What the search does to its noise' : 'Noise and cost';
    choices();
    cursor(at);
  }

  new IntersectionObserver(entries => { state.seen = entries[entries.length - 1].isIntersecting; plan(); }, {rootMargin: '400px'}).observe(node);
  let resizing = null;
  new ResizeObserver(() => { clearTimeout(resizing); resizing = setTimeout(() => charts.forEach(chart => chart.resize()), 80); }).observe(node);
  for (const element of [document.documentElement, document.body]) new MutationObserver(plan).observe(element, {attributes: true, attributeFilter: ['class']});

  return {node, draw, cursor};
}
