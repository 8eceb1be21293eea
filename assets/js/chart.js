// One chart: a Plotly figure from the server, a heading that says what is seen, and the page's cursor over it.
//
// The cursor is two elements of ours laid over the plot, so that moving it costs no redrawing: a rule at its iteration or
// step, a ring around its candidate. Plotly is loaded when the first chart is drawn.
import {h, fill, address} from './dom.js';
import {number} from './words.js';

const CONFIG = {displayModeBar: false, displaylogo: false, showTips: false, doubleClick: false};
const HEIGHT = {big: 330, small: 232};
let loading = null;

/** Plotly of the server's own package; rejects where it cannot be had, and may then be asked for again. */
export function plotly() {
  loading ||= new Promise((resolve, reject) => {
    const source = document.querySelector('meta[name="lab-plotly"]');
    const script = h('script', {src: address(source ? source.content : ''), async: true,
      onload: () => resolve(window.Plotly), onerror: () => { loading = null; reject(new Error('The charts\u2019 drawing library could not be loaded.')); }});
    document.head.append(script);
  });
  return loading;
}

/** Ask whoever holds the cursor to move it; parts that are null stay as they are. */
export function move([step, iteration, candidate]) {
  const named = Object.entries({step, iteration, candidate}).filter(([, value]) => value !== null && value !== undefined);
  if (named.length) window.dispatchEvent(new CustomEvent('lab:move', {detail: Object.fromEntries(named)}));
}

/** `light()` resolves to the same figure in the colours of a white page, for the file. */
export function makeChart(name, size, {light}) {
  const title = h('h4'), note = h('p', {class: 'chart-note'}), table = h('div', {class: 'chart-table', hidden: true, tabindex: '0'});
  const save = h('button', {type: 'button', class: 'chart-save', title: 'Save this chart as SVG', onclick: () => download()}, 'SVG');
  const plot = h('div', {class: 'chart-plot', role: 'img'}), rule = h('i', {class: 'chart-rule', hidden: true}), ring = h('i', {class: 'chart-ring', hidden: true});
  const stage = h('div', {class: 'chart-stage'}, plot, rule, ring);
  const node = h('figure', {class: `chart ${size}`, data: {chart: name}, hidden: true},
    h('figcaption', {}, title, save), stage, table, note);
  let figure = null, points = new Map(), places = new Map(), cursor = null, asTable = false, tabled = '';

  async function show(next) {
    node.hidden = !next;
    figure = next;
    if (!next) return;
    const {meta} = next.layout;
    title.textContent = meta.title;
    note.textContent = meta.note || '';
    note.hidden = !meta.note;
    plot.setAttribute('aria-label', meta.title);
    [points, places] = indexed(next);
    tabled = '';
    if (asTable) { drawTable(); return; }
    await draw();
  }

  async function draw() {
    const Plotly = await plotly();
    if (!figure || asTable) return;
    const first = !plot.on;
    await Plotly.react(plot, figure.data, {...figure.layout, autosize: true, height: HEIGHT[size]}, CONFIG);
    if (first) plot.on('plotly_click', event => { const point = event.points[0]; if (point && Array.isArray(point.customdata)) move(point.customdata); });
    place(cursor);
  }

  /** Draw the cursor where it stands now; nothing is asked or redrawn. */
  function place(next) {
    cursor = next;
    if (!figure || !cursor) return;
    if (asTable) { drawTable(); return; }
    const layout = plot._fullLayout;
    if (!layout || !layout.xaxis) return;
    const at = standing();
    rule.hidden = at === null;
    if (at !== null) {
      const {t, h: height} = layout._size;
      rule.style.height = `${height}px`;
      rule.style.transform = `translate(${along(layout.xaxis, at)}px, ${t}px)`;
    }
    const point = points.get(`${cursor.step}.${cursor.iteration}.${cursor.candidate}`);
    ring.hidden = !point;
    if (point) ring.style.transform = `translate(${along(layout.xaxis, point.x)}px, ${along(layout.yaxis, point.y)}px)`;
  }

  /** Where on the x axis the cursor stands; null where this chart does not show its place. */
  function standing() {
    const {axis, step} = figure.layout.meta;
    if (axis === 'step') return cursor.step >= 0 ? cursor.step + 1 : null;
    if (axis === 'iteration') return cursor.step === step ? cursor.iteration + 1 : null;
    return places.get(`${cursor.step}.${cursor.iteration}`) ?? places.get(`${cursor.step}.`) ?? null;
  }

  function resize() {
    if (!node.hidden && !asTable && plot.on && window.Plotly) Promise.resolve(window.Plotly.Plots.resize(plot)).then(() => place(cursor));
  }

  function setTable(on) {
    asTable = on;
    stage.hidden = on;
    save.hidden = on;
    table.hidden = !on;
    tabled = '';
    if (!figure) return;
    if (on) drawTable(); else draw();
  }

  function drawTable() {
    const iteration = cursor && cursor.step === figure.layout.meta.step ? cursor.iteration : null;
    const signature = `${iteration} ${cursor && cursor.candidate}`;
    if (signature === tabled) return;
    tabled = signature;
    fill(table, linesTable(figure, cursor), candidatesTable(figure, iteration, cursor));
    table.setAttribute('aria-label', figure.layout.meta.title);
  }

  async function download() {
    const [Plotly, white] = await Promise.all([plotly(), light(name)]);
    if (!white) return;
    const layout = {...white.layout, paper_bgcolor: '#ffffff', width: 860, height: 480, margin: {l: 64, r: 24, t: 92, b: 56},
      title: {text: plain(white.layout.meta.title), x: 0.02, xanchor: 'left', y: 0.97, yanchor: 'top', font: {size: 16, color: '#1d2025'}}};
    await Plotly.downloadImage({data: white.data, layout}, {format: 'svg', width: 860, height: 480, filename: `noise-search-${name}`});
  }

  return {node, name, show, place, resize, setTable};
}

function along(axis, value) {
  return axis._offset + axis.d2p(value);
}

/** Candidates' points by "step.iteration.candidate", and x by "step.iteration" (of a whole step "step."). */
function indexed(figure) {
  const points = new Map(), places = new Map();
  for (const trace of figure.data) (trace.customdata || []).forEach(([step, iteration, candidate], i) => {
    const x = trace.x[i];
    if (candidate !== null && candidate !== undefined) points.set(`${step}.${iteration}.${candidate}`, {x, y: trace.y[i]});
    places.set(`${step}.${iteration ?? ''}`, x);
  });
  return [points, places];
}

const ofCandidates = trace => Boolean(trace.customdata && trace.customdata.length && trace.customdata[0][2] !== null && trace.customdata[0][2] !== undefined);

/** What the chart's lines say: a row a place on the x axis, a column a line. */
function linesTable(figure, cursor) {
  const told = figure.data.filter(trace => trace.x.length && !ofCandidates(trace));
  if (!told.length) return null;
  const {xaxis, meta} = figure.layout, rows = new Map();
  told.forEach((trace, column) => trace.x.forEach((x, i) => {
    const row = rows.get(x) || rows.set(x, {x, place: null, values: []}).get(x);
    row.values[column] = trace.y[i];
    row.place ||= trace.customdata ? trace.customdata[i] : null;
  }));
  const named = x => {
    const text = xaxis.ticktext && xaxis.ticktext[xaxis.tickvals.indexOf(x)];
    return text || (Number.isInteger(x) ? String(x) : number(x, 2));
  };
  const here = row => cursor && row.place && row.place[0] === cursor.step && (row.place[1] === null || row.place[1] === cursor.iteration);
  return grid([entities(xaxis.title.text), ...told.map(trace => trace.name)], [...rows.values()].sort((a, b) => a.x - b.x).map(row => ({
    here: here(row), place: row.place || (meta.axis === 'iteration' ? [meta.step, row.x - 1, null] : null),
    cells: [named(row.x), ...told.map((_, column) => (row.values[column] === undefined ? '' : number(row.values[column])))]})));
}

/** The candidates of the cursor's iteration, by number. */
function candidatesTable(figure, iteration, cursor) {
  const rows = figure.data.filter(ofCandidates).flatMap(trace => trace.customdata.map((place, i) => ({place, kept: trace.name, y: trace.y[i]}))).filter(row => row.place[1] === iteration);
  if (!rows.length) return null;
  return [h('p', {class: 'chart-note'}, `Candidates of iteration ${iteration + 1}`),
    grid(['Candidate', entities(figure.layout.yaxis.title.text), ''], rows.sort((a, b) => a.place[2] - b.place[2]).map(row => ({
      here: cursor.candidate === row.place[2], place: row.place, cells: [String(row.place[2] + 1), number(row.y), row.kept === 'Candidates' ? '' : row.kept.toLowerCase()]})))];
}

function grid(head, rows) {
  return h('table', {}, h('thead', {}, h('tr', {}, head.map(text => h('th', {scope: 'col'}, text)))),
    h('tbody', {}, rows.map(({cells: [first, ...rest], place, here}) => h('tr', {class: here ? 'here' : null},
      h('th', {scope: 'row'}, place ? h('button', {type: 'button', 'aria-current': here ? 'true' : null, onclick: () => move(place)}, first) : first),
      rest.map(text => h('td', {}, text))))));
}

/** Text that Plotly shows as it is, and back. */
function plain(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function entities(text) {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
