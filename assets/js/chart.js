// One chart: a Plotly figure from the server, a heading that says what is seen, and the page's cursor over it.
//
// The cursor is two elements of ours laid over the plot, so that moving it costs no redrawing: a rule at its iteration or
// step, a ring around its candidate. Plotly is loaded when the first chart is drawn.
import {h, address} from './dom.js';
import {drawKey, nameOf} from './chart_key.js';
import {drawTables, ofCandidates} from './chart_table.js';

const CONFIG = {displayModeBar: false, displaylogo: false, showTips: false, doubleClick: false};
const HEIGHT = {big: 300, small: 190};
const FILE = {width: 860, height: 480};
let loading = null;

/** Plotly of the server's own package; rejects where it cannot be had, and may then be asked for again. */
export function plotly() {
  loading ||= new Promise((resolve, reject) => {
    const source = document.querySelector('meta[name="lab-plotly"]');
    const failed = () => { loading = null; reject(new Error('The library that draws the charts could not be loaded.')); };
    document.head.append(h('script', {src: address(source ? source.content : ''), onload: () => resolve(window.Plotly), onerror: failed}));
  });
  return loading;
}

/** Ask whoever holds the cursor to move it; parts that are null stay as they are. */
export function move([step, iteration, candidate]) {
  const named = Object.entries({step, iteration, candidate}).filter(([, value]) => typeof value === 'number');
  window.dispatchEvent(new CustomEvent('lab:move', {detail: Object.fromEntries(named)}));
}

/**
 * `light(name)` resolves to the same figure in the colours of a white page, for the file. `choose` gets the place of what
 * is clicked, as the figure names it.
 */
export function makeChart(name, size, {light, choose = move}) {
  const title = h('h4'), key = h('ul', {class: 'chart-key'}), note = h('p', {class: 'chart-note'});
  const save = h('button', {type: 'button', class: 'chart-save', title: 'Save this chart as SVG', onclick: download}, 'SVG');
  const plot = h('div', {class: 'chart-plot', role: 'img'}), table = h('div', {class: 'chart-table', hidden: true, tabindex: '0', role: 'group'});
  const rule = h('i', {class: 'chart-rule', hidden: true}), ring = h('i', {class: 'chart-ring', hidden: true});
  const stage = h('div', {class: 'chart-stage'}, plot, rule, ring);
  const node = h('figure', {class: `chart ${size}`, data: {chart: name}, hidden: true},
    h('figcaption', {}, title, save), key, h('div', {}, stage, table), note);
  let figure = null, found = null, cursor = null, asTable = false, tabled = '';

  async function show(next) {
    node.hidden = !next;
    figure = next;
    if (!next) return;
    const {meta} = next.layout;
    title.textContent = meta.title;
    note.textContent = meta.note || '';
    for (const one of [plot, table]) one.setAttribute('aria-label', meta.title);
    drawKey(key, next);
    found = indexed(next);
    tabled = '';
    if (!asTable) await draw();
    place(cursor);
  }

  async function draw() {
    const Plotly = await plotly(), first = !plot.on;
    if (!figure || asTable) return;
    await Plotly.react(plot, figure.data, {...figure.layout, showlegend: false, autosize: true, height: HEIGHT[size]}, CONFIG);
    if (first) plot.on('plotly_click', ({points: [point]}) => point && Array.isArray(point.customdata) && choose(point.customdata));
  }

  /** Draw the cursor where it stands now; nothing is asked or redrawn. */
  function place(next) {
    cursor = next;
    if (!figure || !cursor) return;
    const layout = plot._fullLayout;
    if (asTable) drawTable();
    else if (layout && layout.xaxis) mark(layout);
  }

  function mark({xaxis, yaxis, _size: inner}) {
    const at = standing(), point = found.points.get(`${cursor.step}.${cursor.iteration}.${cursor.candidate}`);
    rule.hidden = at === null;
    ring.hidden = !point;
    if (at !== null) {
      rule.style.height = `${inner.h}px`;
      rule.style.transform = `translate(${along(xaxis, at)}px, ${inner.t}px)`;
    }
    if (point) ring.style.transform = `translate(${along(xaxis, point.x)}px, ${along(yaxis, point.y)}px)`;
  }

  /** Where on the x axis the cursor stands; null where this chart does not show its place. */
  function standing() {
    const {axis, step} = figure.layout.meta, {places} = found;
    if (axis === 'step') return cursor.step >= 0 ? cursor.step + 1 : null;
    if (axis === 'iteration') return cursor.step === step ? cursor.iteration + 1 : null;
    return places.get(`${cursor.step}.${cursor.iteration}`) ?? places.get(`${cursor.step}.`) ?? null;
  }

  function drawTable() {
    const signature = `${cursor.step} ${cursor.iteration} ${cursor.candidate}`;
    if (signature === tabled) return;
    tabled = signature;
    const focused = table.contains(document.activeElement) && [...table.querySelectorAll('button')].indexOf(document.activeElement);
    drawTables(table, figure, cursor, choose);
    if (Number.isInteger(focused)) (table.querySelectorAll('button')[focused] || table).focus({preventScroll: true});
  }

  function setTable(on) {
    asTable = on;
    stage.hidden = key.inert = on;
    save.hidden = on;
    table.hidden = !on;
    if (figure) show(figure);
  }

  function resize() {
    if (!node.hidden && !asTable && plot.on) window.Plotly.Plots.resize(plot).then(() => place(cursor));
  }

  async function download() {
    const [Plotly, white] = await Promise.all([plotly(), light(name)]);
    const layout = {...white.layout, ...FILE, paper_bgcolor: '#ffffff', margin: {l: 64, r: 24, t: 100, b: 56},
      title: {text: plain(white.layout.meta.title), x: 0.02, xanchor: 'left', y: 0.97, yanchor: 'top', font: {size: 16, color: '#1d2025'}}};
    await Plotly.downloadImage({data: white.data.map(trace => ({...trace, name: nameOf(trace)})), layout},
      {format: 'svg', ...FILE, filename: `noise-search-${name}`});
  }

  return {node, name, show, place, resize, setTable};
}

function along(axis, value) {
  return axis._offset + axis.d2p(value);
}

/** Candidates' points by "step.iteration.candidate", and x by "step.iteration" (of a whole step "step."). */
function indexed(figure) {
  const points = new Map(), places = new Map();
  for (const trace of figure.data) {
    const each = ofCandidates(trace);
    (trace.customdata || []).forEach(([step, iteration, candidate], i) => {
      if (each) points.set(`${step}.${iteration}.${candidate}`, {x: trace.x[i], y: trace.y[i]});
      else places.set(`${step}.${iteration ?? ''}`, trace.x[i]);
    });
  }
  return {points, places};
}

/** Text that Plotly shows as it is: it reads some markup. */
function plain(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
