// Guess against truth, a dot a sibling: a click puts the two pictures side by side. And the worst misjudged.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {makeChart} from './chart.js';
import {makeFigureSet} from './figure_set.js';
import {number, told} from './words.js';
import {makePair, picturesOf} from './reliability_pair.js';
import {pathOf, queryOf} from './reliability_source.js';
import {rewardTitle, rowName, stepName} from './reliability_words.js';

const WORST = 10;

/** `acts`: move(place), open(places, index), problem(text); `load(place)` resolves to what a pair shows. */
export function makeScatter({titles, source, load, acts}) {
  let now = null, only = false, listed = false, points = null, asked = '';
  const figures = dark => api(`${pathOf(now.view)}/figures?${queryOf(now, dark ? {dark: '1'} : {})}`).then(made => placed(made, now.step, only ? now.row : null));
  const chart = makeChart('scatter', 'big', {light: async () => (await figures(false)).scatter, choose: ([, row, sibling]) => choose({row, sibling})});
  const rows = h('select', {'aria-label': 'Rows to show', onchange: () => { only = rows.value === 'one'; set.plan(); drawTable(); }}, h('option', {value: 'all'}, 'All rows'), h('option', {value: 'one'}));
  const worst = h('button', {type: 'button', class: 'chip', 'aria-expanded': 'false', onclick: () => showWorst(!listed)}, 'Worst misjudged');
  const asTable = h('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: () => setTable(asTable.getAttribute('aria-pressed') !== 'true')}, 'Show as table');
  const trouble = h('p', {class: 'note chart-trouble', role: 'status', hidden: true}), table = h('div', {class: 'chart-table point-table', hidden: true, tabindex: '0', role: 'group', 'aria-label': 'Guess and truth of every sibling'});
  const pair = makePair({titles}), hint = h('p', {class: 'note hint-pair'}, 'Click a dot: what that sibling was guessed to become, and what it became.');
  const large = h('button', {type: 'button', class: 'chip', hidden: true, onclick: () => acts.open([placeNow()], 0)}, 'Large');
  const beside = h('div', {class: 'beside', 'aria-live': 'polite'}, hint, pair.node, large);
  const strip = h('ol', {class: 'worst', 'aria-label': 'Worst misjudged', hidden: true});
  const node = h('section', {class: 'panel charts versus', 'aria-label': 'Guess against truth', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Guess against truth'), h('div', {class: 'chart-tools'}, rows, worst, asTable)),
    h('div', {class: 'scatter-row'}, h('div', {class: 'scatter-chart'}, trouble, chart.node, table), beside), strip);
  pair.node.hidden = true;
  const set = makeFigureSet({
    node, charts: [chart], ask: figures, fresh: () => now.view.rows_done,
    cursor: () => ({step: now.step, iteration: now.sibling === null ? null : now.row, candidate: now.sibling}),
    place: () => (now && now.view.rows_done ? `${now.view.id} ${now.step} ${now.estimate} ${now.truth} ${only ? now.row : ''}` : null),
    failed: text => { trouble.textContent = text; trouble.hidden = !text; },
  });

  const placeNow = () => ({row: now.row, step: now.step, sibling: now.sibling});
  const choose = place => acts.move(place);

  function draw(state) {
    now = state;
    const {view} = state;
    node.hidden = !view.rows_done;
    if (node.hidden) return;
    rows.options[1].textContent = `Only ${rowName(view.rows[state.row], view.config.seeds.length)}`;
    set.moved();
    fetchPoints();
    showPair();
  }

  async function fetchPoints() {
    const wanted = `${now.view.id} ${now.view.rows_done} ${queryOf(now)}`;
    if (asked === wanted) return;
    asked = wanted;
    try {
      const found = await source.points(now.view, now);
      if (asked !== wanted) return;
      points = found;
      drawTable();
      if (listed) drawWorst();
    } catch (error) {
      asked = '';
      acts.problem(error.message);
    }
  }

  let paired = '';
  async function showPair() {
    const place = placeNow(), wanted = JSON.stringify([now.view.id, place, now.estimate, now.truth]);
    pair.node.hidden = large.hidden = place.sibling === null;
    hint.hidden = place.sibling !== null;
    for (const row of table.querySelectorAll('tr[data-place]')) row.classList.toggle('here', row.dataset.place === `${place.row}.${place.sibling}`);
    for (const one of strip.querySelectorAll('button')) one.setAttribute('aria-pressed', String(one.dataset.place === `${place.row}.${place.sibling}`));
    if (place.sibling === null || paired === wanted) return;
    paired = wanted;
    try {
      const {state, row, step} = await load(place);
      if (paired === wanted) pair.show(state, row, step, place.sibling);
    } catch (error) {
      paired = '';
      acts.problem(error.message);
    }
  }

  /** The worst ones as a strip of pairs, and the very worst beside the chart. */
  function showWorst(yes) {
    listed = yes;
    worst.setAttribute('aria-expanded', String(yes));
    strip.hidden = !yes;
    if (!yes || !points) return;
    drawWorst();
    if (points.worst.length) choose(points.worst[0]);
  }

  async function drawWorst() {
    const some = points.worst.slice(0, WORST), step = points.step, mine = points;
    fill(strip, some.map(one => h('li', {}, h('button', {type: 'button', data: {place: `${one.row}.${one.sibling}`}, 'aria-pressed': String(one.row === now.row && one.sibling === now.sibling), onclick: () => choose(one)},
      h('span', {class: 'waits'}), h('span', {class: 'words'}, `row ${one.row + 1}, sibling ${one.sibling + 1}`), h('span', {class: 'note'}, `${number(one.proxy, 2)} \u2192 ${number(one.truth, 2)}`)))),
    some.length ? null : h('li', {class: 'note'}, 'Nothing can be ranked here.'));
    for (const [i, one] of some.entries()) {
      const found = await load({row: one.row, step, sibling: one.sibling}).catch(() => null);
      if (points !== mine) return;
      if (found) fill(strip.children[i].querySelector('.waits'), picturesOf(found.step, one.sibling, ['guess', 'truth']));
    }
  }

  function setTable(on) {
    asTable.setAttribute('aria-pressed', String(on));
    asTable.textContent = on ? 'Show as chart' : 'Show as table';
    table.hidden = !on;
    chart.node.classList.toggle('away', on);
    drawTable();
  }

  function drawTable() {
    if (table.hidden || !points) return;
    const shown = points.points.filter(one => !only || one.row === now.row), {view, truth} = now;
    fill(table, h('table', {}, h('caption', {}, `${stepName(view, points.step)}, the most misjudged first`),
      h('thead', {}, h('tr', {}, ['Row', 'Sibling', `Guess: ${rewardTitle(titles, view.optimised)}`, `Truth: ${rewardTitle(titles, truth)}`, 'Ranks apart'].map(text => h('th', {scope: 'col'}, text)))),
      h('tbody', {}, [...shown].sort((a, b) => (b.surprise ?? -1) - (a.surprise ?? -1)).map(one => h('tr', {data: {place: `${one.row}.${one.sibling}`}, class: one.row === now.row && one.sibling === now.sibling ? 'here' : null},
        h('th', {scope: 'row'}, h('button', {type: 'button', onclick: () => choose(one)}, String(one.row + 1))),
        [String(one.sibling + 1), told(one.proxy), told(one.truth), one.surprise === null ? '' : `${Math.round(100 * one.surprise)}%`].map(text => h('td', {}, text)))))));
  }

  return {node, draw};
}

/** The scatter with each dot's place as [step, row, sibling], as charts mark places; of one row only where asked. */
export function placed(figures, step, row) {
  const {scatter} = figures;
  if (!scatter) return figures;
  const data = scatter.data.map(trace => {
    const kept = trace.customdata.map(([at], i) => [at, i]).filter(([at]) => row === null || at === row).map(([, i]) => i);
    const of = values => kept.map(i => values[i]);
    return {...trace, x: of(trace.x), y: of(trace.y), text: of(trace.text), customdata: of(trace.customdata).map(([at, sibling]) => [step, at, sibling]), meta: {kept: false}};
  });
  const named = (axis, text) => ({...axis, title: {...axis.title, text}});
  const layout = {...scatter.layout, xaxis: named(scatter.layout.xaxis, 'Guess, less its row\u2019s mean'), yaxis: named(scatter.layout.yaxis, 'Truth, less its row\u2019s mean')};
  return {...figures, scatter: {...scatter, data, layout}};
}
