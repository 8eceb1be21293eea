// Parallel coordinates: a line a record, an axis a setting or what came of it. Brushed axes lead to the records.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {plotly} from './chart.js';
import {whereShown} from './states.js';
import {add} from './tray.js';
import {count, number, plural} from './words.js';

const LISTED = 12, ROOM = 22, TICKS = 12, WIDE = 132, DRAG = 'Drag along an axis to keep the records in that range; click on it to let them go.';

/** `query` is a text for the address of /lab/api/coordinates. Plotly is the server's own. */
export function makeCoordinates() {
  const said = h('p', {class: 'note'}), plot = h('div', {class: 'coordinates', role: 'img', 'aria-label': 'Parallel coordinates'});
  const list = h('ol', {class: 'brushed'}), compare = h('button', {type: 'button', class: 'chip', onclick: () => add(kept().map(one => one.id))}, 'Add to compare');
  const all = h('button', {type: 'button', class: 'chip', onclick: () => { if (found) paint(); }}, 'Let all go');
  const node = h('section', {class: 'card'}, h('header', {class: 'chart-tools'}, h('h3', {}, 'Parallel coordinates'), h('span', {}, all, ' ', compare)), said, h('div', {class: 'scroll'}, plot), list);
  let found = null, ranges = new Map(), turn = 0;

  async function load(query) {
    const mine = ++turn;
    try {
      const told = await api(`coordinates?${query}`);
      if (mine !== turn) return;
      found = told;
      await paint();
    } catch (error) {
      if (mine === turn) said.textContent = error.message;
    }
  }

  async function paint() {
    ranges = new Map();
    const usable = found.records.length > 1 && found.axes.length > 1;
    plot.hidden = list.hidden = all.hidden = compare.hidden = !usable;
    const beside = found.left_out ? ` ${plural(found.left_out, 'record')} of another kind or not finished ${found.left_out === 1 ? 'is' : 'are'} left out.` : '';
    said.textContent = usable ? `${count(found.records.length)} ${found.word}, on the axes where they differ. ${DRAG}${beside}` : `Two finished searches or fine-tunes that differ are needed; there ${found.records.length === 1 ? 'is one' : 'are none'} here yet.${beside}`;
    if (!usable) return;
    const Plotly = await plotly();
    await Plotly.newPlot(plot, [traceOf(found)], layoutOf(found, plot.parentElement.clientWidth), {displayModeBar: false, displaylogo: false, responsive: false});
    plot.on('plotly_restyle', brushed);
    names();
  }

  function brushed() {
    ranges = new Map(plot.data[0].dimensions.map((one, at) => [found.axes[order(at)].name, one.constraintrange]).filter(([, range]) => range));
    names();
  }

  /** Where an axis stands now: people may have dragged it past others. */
  const order = at => found.axes.findIndex(axis => axis.label === plot.data[0].dimensions[at].label);

  function kept() {
    const within = (value, range) => (Array.isArray(range[0]) ? range : [range]).some(([low, high]) => value >= low && value <= high);
    return found.records.filter((_, at) => found.axes.every(axis => !ranges.has(axis.name) || within(axis.values[at], ranges.get(axis.name))));
  }

  function names() {
    const some = kept(), apart = toldApart(found), outcome = found.axes.find(axis => axis.name === 'gain') || found.axes.find(axis => axis.name === 'reward');
    const value = record => (outcome ? outcome.values[found.records.indexOf(record)] : null);
    const best = [...some].sort((a, b) => (value(b) ?? -Infinity) - (value(a) ?? -Infinity)).slice(0, LISTED);
    compare.disabled = !some.length;
    fill(list, h('li', {class: 'head'}, `${count(some.length)} of ${count(found.records.length)} kept${some.length > LISTED ? `; the ${LISTED} with the highest ${outcome ? outcome.label.toLowerCase() : 'dates'}` : ''}`),
      best.map(one => h('li', {data: {id: one.id}}, h('a', {href: whereShown(one.kind, one.id)}, h('bdi', {}, one.title), apart(one) ? h('small', {}, ` ${apart(one)}`) : null), h('b', {}, typeof value(one) === 'number' ? number(value(one)) : ''))));
  }

  return {node, load, repaint: () => { if (found) paint(); }};
}

function traceOf(found) {
  const style = getComputedStyle(document.documentElement), ink = name => style.getPropertyValue(name).trim();
  const judged = found.axes.find(axis => axis.name === 'gain') || found.axes.find(axis => axis.name === 'reward') || found.axes[found.axes.length - 1];
  return {
    type: 'parcoords', labelfont: {color: ink('--lab-ink'), size: 12}, tickfont: {color: ink('--lab-soft'), size: 11}, rangefont: {color: 'rgba(0,0,0,0)', size: 1},
    line: {color: judged.values.map(value => value ?? 0), colorscale: [[0, ink('--lab-gold')], [1, ink('--lab-accent')]]},
    unselected: {line: {opacity: 0.06}},
    dimensions: found.axes.map(axis => ({label: axis.label, values: axis.values.map(value => value ?? 0), ...ticksOf(axis)})),
  };
}

function layoutOf(found, room) {
  return {height: 360, width: Math.max(room, found.axes.length * WIDE), margin: {l: found.axes[0].words ? 170 : 70, r: 60, t: 48, b: 24}, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: {family: 'system-ui, sans-serif'}};
}

/** What a setting was, as far as it is written beside an axis: whole where it is short, else cut where all stay different. */
function shortened(words) {
  const start = text => `${text.slice(0, ROOM - 1)}\u2026`, middle = text => `${text.slice(0, 8)}\u2026${text.slice(9 - ROOM)}`;
  const cut = way => words.map((text, at) => (text.length > ROOM ? way(text, at) : text));
  const ways = [start, middle, (text, at) => `${at + 1}: ${text.slice(0, ROOM - 5)}\u2026`].map(cut);
  return ways.find(some => new Set(some).size === some.length) || ways.at(-1);
}

/** Where an axis has its ticks. A tick's text is shown as it is, unlike a title's, which Plotly reads markup in. */
function ticksOf({words, values, outcome}) {
  if (words) return {tickvals: words.map((_, at) => at), ticktext: shortened(words), range: [-0.2, words.length - 0.8]};
  const places = [...new Set(values)].sort((a, b) => a - b);
  return !outcome && places.length <= TICKS && places.every(Number.isInteger) ? {tickvals: places, ticktext: places.map(String)} : {};
}

/** What tells records with one title apart: their settings that differ, by label. */
function toldApart({records, axes}) {
  return record => {
    const alike = records.map((one, at) => at).filter(at => records[at].title === record.title), mine = records.indexOf(record);
    const differing = axes.filter(axis => !axis.outcome && new Set(alike.map(at => axis.values[at])).size > 1);
    return differing.map(axis => `${axis.label} ${axis.words ? axis.words[axis.values[mine]] : axis.values[mine]}`).join(', ');
  };
}
