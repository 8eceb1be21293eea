// A chart's numbers as tables, for those who read or walk with the keyboard: a row's button moves the cursor there.
import {h, fill} from './dom.js';
import {count, number} from './words.js';
import {entities, ordered} from './chart_key.js';

/** `go(place)` is asked for when a row is chosen; `place` is [step, iteration, candidate], null where it stays. */
export function drawTables(parent, figure, cursor, go) {
  fill(parent, linesTable(figure, cursor, go), candidatesTable(figure, cursor, go), figure.data.filter(trace => trace.z).map(trace => mapTable(figure, trace)));
}

/** Whether a trace has a point a candidate. */
export function ofCandidates(trace) {
  const [first] = trace.customdata || [];
  return Boolean(first) && typeof first[2] === 'number';
}

/** A row a place on the x axis, a column a line. */
function linesTable(figure, cursor, go) {
  const {xaxis, yaxis, meta} = figure.layout, rows = new Map();
  const told = ordered(figure).filter(trace => trace.x.length && trace.name && !ofCandidates(trace) && !(trace.meta && trace.meta.mark));
  told.forEach((trace, column) => (trace.meta && trace.meta.at || trace.x).forEach((x, i) => {
    const row = rows.get(x) || rows.set(x, {x, place: null, values: []}).get(x);
    row.values[column] = trace.y[i];
    row.place ||= trace.customdata ? trace.customdata[i] : null;
  }));
  if (!told.length) return null;
  const text = value => (value === undefined ? '' : meta.axis === 'spent' ? count(value) : number(value));
  const shown = [...rows.values()].sort((a, b) => a.x - b.x).map(row => {
    const place = row.place || (meta.axis === 'iteration' && row.x % 1 === 0 ? [meta.step, row.x - 1, null] : null);
    const here = Boolean(place) && place[0] === cursor.step && (meta.axis === 'step' || place[1] === cursor.iteration);
    const values = told.map((_, column) => text(row.values[column]));
    return {here, place, cells: meta.axis === 'spent' ? [placeName(place), number(row.x, 2), ...values] : [tick(xaxis, row.x), ...values]};
  });
  const first = meta.axis === 'spent' ? ['After', entities(xaxis.title.text)] : [entities(xaxis.title.text)];
  return grid([...first, ...told.map(trace => entities(trace.name))], shown, go, entities(yaxis.title.text));
}

/** A map's numbers: a row a place on the x axis, a column a place on the y axis. */
function mapTable({layout: {xaxis, yaxis, meta}}, {x, y, z}) {
  const rows = x.map((place, i) => ({place: null, here: false, cells: [tick(xaxis, place), ...z.map(line => (line[i] === null ? '' : number(line[i])))]}));
  return grid([entities(xaxis.title.text), ...y.map(place => `${entities(yaxis.title.text)} ${place}`)], rows, null, meta.title);
}

/** The candidates of the cursor's iteration, by number. */
function candidatesTable(figure, cursor, go) {
  const rows = figure.data.filter(ofCandidates).flatMap(trace => trace.customdata.map((place, i) => ({place, kept: trace.meta.kept, y: trace.y[i]})))
    .filter(({place}) => place[0] === cursor.step && place[1] === cursor.iteration).sort((a, b) => a.place[2] - b.place[2]);
  if (!rows.length) return null;
  const shown = rows.map(({place, kept, y}) => ({place, here: place[2] === cursor.candidate, cells: [String(place[2] + 1), number(y), kept ? 'kept' : '']}));
  return grid(['Candidate', entities(figure.layout.yaxis.title.text), ''], shown, go, `Candidates of iteration ${cursor.iteration + 1}`);
}

function grid(head, rows, go, caption) {
  return h('table', {}, h('caption', {}, caption), h('thead', {}, h('tr', {}, head.map(text => h('th', {scope: 'col'}, text)))),
    h('tbody', {}, rows.map(({cells: [first, ...rest], place, here}) => h('tr', {class: here ? 'here' : null},
      h('th', {scope: 'row'}, place ? h('button', {type: 'button', 'aria-current': here ? 'true' : null, onclick: () => go(place)}, first) : first),
      rest.map(text => h('td', {}, text))))));
}

function tick(axis, x) {
  const text = axis.ticktext && axis.ticktext[axis.tickvals.indexOf(x)];
  return text ? text.replace('<br>', ', ') : String(x);
}

function placeName([step, iteration]) {
  const name = step < 0 ? 'Starting noise' : `Step ${step + 1}`;
  return typeof iteration === 'number' ? `${name}, iteration ${iteration + 1}` : name;
}
