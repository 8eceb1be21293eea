// Charts of several records over one another, asked for together; and the choices that they obey.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {makeChart} from './chart.js';
import {makeFigureSet, tableSwitch} from './figure_set.js';

/**
 * `charts` are sizes by name. `query(place)` is what the charts of the place are asked for by, `choose(point)` hears of
 * clicks, `cursor()` is what they mark, `state()` the page's state with its settled place.
 */
export function makeSideCharts({title, charts: sizes, query, choose, cursor, state, tools}) {
  const asked = (place, dark) => new URLSearchParams({...query(place), ids: state().ids.join(','), ...(dark ? {dark: '1'} : {})});
  const figures = dark => api(`compare/figures?${asked(state().place, dark)}`);
  const charts = Object.entries(sizes).map(([name, size]) => makeChart(name, size, {light: async wanted => (await figures(false))[wanted], choose}));
  const trouble = h('p', {class: 'note chart-trouble', role: 'status', hidden: true});
  const tables = tableSwitch(onclick => h('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', onclick}, 'Show as tables'), on => {
    node.classList.toggle('as-tables', on);
    for (const chart of charts) chart.setTable(on);
  });
  const of = size => charts.filter(chart => sizes[chart.name] === size).map(chart => chart.node);
  const node = h('section', {class: 'panel charts', 'aria-label': title, hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, title), h('div', {class: 'chart-tools'}, tools, tables)), trouble,
    h('div', {class: 'charts-big'}, of('big')), of('small').length ? h('div', {class: 'charts-small'}, of('small')) : null);
  const set = makeFigureSet({
    node, charts, ask: figures, cursor, fresh: () => state().data.stamp,
    place: () => (state() ? asked(state().place, false).toString() : null),
    failed: text => { trouble.textContent = text; trouble.hidden = !text; },
  });

  function draw(shown) {
    node.hidden = !shown;
    if (shown) set.moved();
  }

  return {node, draw};
}

/** A choice with its label; it is drawn anew only when what can be chosen has changed, and hidden where nothing can. */
export function makeChoice(label, chosen) {
  const select = h('select', {onchange: () => chosen(select.value)}), node = h('label', {class: 'chart-which'}, `${label} `, select);
  let known = '';
  return {
    node,
    options(list, value) {
      const signature = JSON.stringify(list);
      node.hidden = list.length < 2;
      if (signature !== known) fill(select, list.map(([name, words]) => h('option', {value: name}, words)));
      known = signature;
      select.value = value;
    },
  };
}
