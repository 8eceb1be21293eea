// The map of a sweep: a cell a combination of values, coloured by a measure's mean; a cell opens its runs.
import {h, fill, picture} from './dom.js';
import {add} from './tray.js';
import {moment, stateWord, whereShown} from './states.js';
import {count, number, plural} from './words.js';

const EMPTY = {missing: 'not run', pending: 'waiting', running: 'running', paused: 'paused', failed: 'failed', cancelled: 'stopped'};
const PAIRED = 'Each cell is a mean difference, this sweep less the other, over the prompts and seeds that both have run. The half-width of its 95% interval (paired bootstrap) stands below where there are five prompts, or five seeds of each.';
const UNSURE = 'Faded cells: their interval holds 0, so that neither more nor less is shown there.', FADED = 0.25;

/** `move({cell, measure})` puts the page elsewhere, `against(id)` takes another sweep of `alike` from this one. */
export function makeMap({move, against}) {
  const other = h('select', {'aria-label': 'Less another sweep', onchange: () => against(other.value)}), minus = h('label', {class: 'chart-which', hidden: true}, 'Less ', other);
  const which = h('select', {'aria-label': 'Measure', onchange: () => move({measure: which.value})});
  const table = h('table', {class: 'map'}), key = h('p', {class: 'map-key'}), note = h('p', {class: 'note'});
  const title = h('h3'), means = h('p', {class: 'note'}), list = h('ol', {class: 'runs'}), compare = h('button', {type: 'button', class: 'chip', onclick: () => add(shown)}, 'Add to compare');
  const cellNode = h('section', {class: 'card cell-runs', 'aria-live': 'polite'}, h('header', {class: 'chart-tools'}, title, compare), means, list);
  const node = h('div', {}, h('section', {class: 'card'}, h('header', {class: 'chart-tools'}, h('h3', {}, 'Map'), h('label', {class: 'chart-which'}, 'Measure ', which), minus), h('div', {class: 'scroll', tabindex: '0'}, table), key, note), cellNode);
  let shown = [];

  /** The other sweeps over the same cells, and which of them is taken from this one. */
  function offer(alike, chosen) {
    const words = one => `${one.name}${one.settings ? ` (${one.settings})` : ''}, ${moment(one.created)}`;
    minus.hidden = !alike.length;
    fill(other, h('option', {value: ''}, 'nothing'), alike.map(one => h('option', {value: one.id}, words(one))));
    other.value = chosen;
  }

  function draw({view, measure, cell}) {
    const names = JSON.stringify(view.measures.map(one => one.name));
    if (which.dataset.options !== names) fill(which, view.measures.map(one => h('option', {value: one.name}, one.label)));
    which.dataset.options = names;
    which.value = measure;
    const found = view.measures.find(one => one.name === measure), [down, across] = view.axes;
    const columns = across ? across.texts : [''], scale = scaleOf(found), held = table.contains(document.activeElement);
    fill(table, h('caption', {}, `${found.label}, mean over runs`),
      h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, across ? [h('span', {}, down.label), h('span', {class: 'over'}, across.label)] : down.label), columns.map(text => h('th', {scope: 'col'}, across ? text : 'Mean')))),
      h('tbody', {}, down.texts.map((text, row) => h('tr', {}, h('th', {scope: 'row'}, text), columns.map((_, column) => {
        const at = across ? [row, column] : [row], index = across ? row * columns.length + column : row;
        return h('td', {}, cellButton(view, found, index, at, scale, String(at) === String(cell), () => move({cell: at})));
      })))));
    if (held) table.querySelector('[aria-pressed="true"]')?.focus({preventScroll: true});
    drawKey(key, found, scale);
    note.textContent = [found.paired ? PAIRED : meanWords(view), found.cells.some(one => unsure(found, one)) ? UNSURE : ''].filter(Boolean).join(' ');
    drawCell(view, found, cell);
  }

  function drawCell(view, found, cell) {
    const runs = view.runs.map((run, at) => ({...run, value: found.values[at]})).filter(run => String(run.cell) === String(cell));
    const index = cellIndex(view, cell), told = found.cells[index];
    title.textContent = cell.map((at, axis) => `${view.axes[axis].label} ${view.axes[axis].texts[at]}`).join(', ');
    means.textContent = told ? `${found.label}: ${shownValue(found, told.mean)}${betweenWords(found, told)}` : `No number yet: ${statesOf(runs)}.`;
    shown = runs.filter(run => run.state === 'succeeded').flatMap(run => [run.record, run.against].filter(Boolean));
    compare.disabled = !shown.length;
    fill(list, runs.map(run => h('li', {data: {state: run.state}},
      h('a', {href: run.record ? whereShown(view.of, run.record) : null},
        run.picture ? picture(run.picture, '', {loading: 'lazy'}) : h('span', {class: 'blank'}),
        h('span', {class: 'what'}, view.prompts.length ? h('bdi', {}, view.prompts[run.prompt]) : null, h('small', {}, `seed ${run.seed}${run.own || !run.record ? '' : ', run elsewhere'}`)),
        h('b', {}, run.state === 'succeeded' ? (run.value === null ? 'no number' : shownValue(found, run.value)) : run.record ? stateWord(run.state) + (run.state !== 'failed' && run.done ? `, ${Math.floor(100 * run.done)}%` : '') : 'Not run')),
      run.error ? h('p', {class: 'problem'}, run.error) : null)));
  }

  return {node, draw, offer};
}

function meanWords(view) {
  const {prompts, seeds} = view, over = [prompts.length ? plural(prompts.length, 'prompt') : '', seeds.length > 1 || !prompts.length ? plural(seeds.length, 'seed') : ''];
  return `Each cell is a mean over ${over.filter(Boolean).join(' and ')}. ${overWords(view)}`;
}

function cellIndex(view, cell) {
  return view.axes.length > 1 ? cell[0] * view.axes[1].values.length + cell[1] : cell[0];
}

function cellButton(view, found, index, at, scale, pressed, onclick) {
  const told = found.cells[index], runs = view.runs.filter(run => String(run.cell) === String(at)), words = statesOf(runs);
  const failed = runs.filter(run => run.state === 'failed').length, done = told ? told.runs : 0;
  const button = h('button', {type: 'button', class: `cell${told ? '' : ' empty'}`, 'aria-pressed': String(pressed), onclick,
    title: told ? `${shownValue(found, told.mean)}${betweenWords(found, told)}${done < runs.length ? `; ${words}` : ''}` : words},
  h('b', {}, told ? shownValue(found, told.mean) : '\u2013'),
  h('small', {}, told ? (told.low === null ? plural(done, found.paired ? 'pair' : 'run') : `\u00b1${number((told.high - told.low) / 2, found.cost ? 1 : 3)}`) : words),
  failed && told ? h('i', {class: 'failed', title: `${plural(failed, 'run')} failed`}, `${failed} failed`) : null);
  if (told) {
    const {share, sign} = scale(told.mean);
    const faded = unsure(found, told);
    button.style.setProperty('--share', `${Math.round((12 + 78 * share) * (faded ? FADED : 1))}%`);
    button.dataset.sign = sign;
    button.classList.toggle('unsure', faded);
    button.classList.toggle('strong', share > 0.55 && !faded);
  }
  return button;
}

/** Whether a cell is a gain or a difference that cannot be told from 0. */
function unsure(found, told) {
  return Boolean(found.signed && told && told.low !== null && told.low <= 0 && told.high >= 0);
}

/** How strongly a value is coloured: of gains the distance from 0, of others the place between least and most. */
function scaleOf(found) {
  const known = found.cells.filter(Boolean).map(one => one.mean), low = Math.min(...known), high = Math.max(...known), far = Math.max(Math.abs(low), Math.abs(high)) || 1;
  if (found.signed) return Object.assign(value => ({share: Math.abs(value) / far, sign: value < 0 ? 'less' : 'more'}), {low: -far, high: far});
  return Object.assign(value => ({share: high > low ? (value - low) / (high - low) : 0.5, sign: found.cost ? 'cost' : 'more'}), {low, high});
}

function drawKey(key, found, scale) {
  key.hidden = !Number.isFinite(scale.low);
  fill(key, h('span', {}, shownValue(found, scale.low)), h('i', {class: `bar ${found.signed ? 'signed' : found.cost ? 'cost' : ''}`, 'aria-hidden': 'true'}), h('span', {}, shownValue(found, scale.high)));
}

function shownValue(found, value) {
  const sign = found.signed && value > 0 ? '+' : '';
  if (found.cost) return sign + (found.cost === 'nfe' ? count(Math.round(value)) : `${number(value, 1)} s`);
  return sign + number(value);
}

function betweenWords(found, told) {
  const runs = plural(told.runs, found.paired ? 'pair' : 'run');
  return told.low === null ? ` (${runs}: too few for an interval)` : `, 95% interval ${shownValue(found, told.low)} to ${shownValue(found, told.high)} over ${plural(told.count, told.over.slice(0, -1))} (${runs})`;
}

function overWords(view) {
  if (view.prompts.length > 1) return 'The half-width of its 95% interval (Student\u2019s t) stands below: over prompts, for seeds of one prompt are no independent samples.';
  const tunes = view.of === 'train';
  if (view.seeds.length < 2) return tunes ? 'One seed shows how it works, not how well.' : 'One prompt and one seed show how it works, not how well.';
  return `The half-width of its 95% interval (Student\u2019s t) stands below, over seeds${tunes ? '' : ': it holds for this prompt alone'}.`;
}

function statesOf(runs) {
  const many = new Map();
  for (const {state} of runs) if (state !== 'succeeded') many.set(state, (many.get(state) || 0) + 1);
  return [...many].map(([state, n]) => (runs.length === 1 ? EMPTY[state] : `${n} ${EMPTY[state]}`)).join(', ') || 'no such number';
}
