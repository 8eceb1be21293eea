// Figure 3, alive: what siblings of one row are guessed to become, from early timesteps to late, beside what they became.
//
// A column is one timestep with siblings of its own; the frame tells whether the guess ranks a sibling where it ended.
import {h, fill} from './dom.js';
import {number} from './words.js';
import {makePopover} from './popover.js';
import {apart, gradeOf, highestFirst, ordinal, rankCorrelation, ranksOf} from './ranks.js';
import {cellOf} from './sheet.js';
import {factsOf, picturesOf} from './reliability_pair.js';
import {GRADES, rewardTitle, rowName, stepName, verdict} from './reliability_words.js';

const FOLD_OVER = 10, FOLDED = 6;
const SORTS = [['truth', 'by truth'], ['guess', 'by guess'], ['number', 'by number']];

/** `acts`: move(place), open(places, index), problem(text). */
export function makeGrid({titles, source, acts}) {
  const which = h('select', {'aria-label': 'Prompt and seed', onchange: () => acts.move({row: Number(which.value)})});
  const sorts = SORTS.map(([name, text]) => h('button', {type: 'button', class: 'part', data: {sort: name}, onclick: () => { sort = name; paint(); }}, text));
  const key = h('p', {class: 'legend'}, ['agrees', 'near', 'misjudged'].map(grade => h('span', {class: `grade ${grade}`}, GRADES[grade])),
    h('span', {}, 'Numbers: the guess\u2019s rank \u2192 the true rank'));
  const note = h('p', {class: 'note'}), fold = h('button', {type: 'button', class: 'chip fold-all', onclick: () => { open = !open; paint(); }});
  const grid = h('div', {class: 'guesses', role: 'grid', 'aria-label': 'Guesses: a column a timestep, a line a sibling. Arrow keys move, Enter opens guess and truth large.'});
  const popover = makePopover(cell => tellOf(cell));
  const node = h('section', {class: 'panel figure3', 'aria-label': 'Guesses by timestep', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'What the guesses look like'), h('div', {class: 'chart-tools'}, which, h('span', {class: 'segment', role: 'group', 'aria-label': 'Order of the siblings'}, sorts)), note),
    key, h('div', {class: 'scroll', tabindex: '-1'}, grid), fold, popover.node);
  let now = null, data = null, sort = 'truth', open = false, asked = '', focused = null;

  popover.watch(grid, '.guess');
  grid.addEventListener('click', event => { const cell = event.target.closest('.guess'); if (cell) enlarge(cell); });
  grid.addEventListener('focusin', event => { const cell = event.target.closest('.guess'); if (cell) { focused = placeOf(cell); if (cell.matches(':focus-visible')) popover.show(cell); } });
  grid.addEventListener('focusout', () => popover.hide());
  grid.addEventListener('keydown', walk);

  async function draw(state) {
    now = state;
    const {view, row} = state, some = view.rows.filter(one => one.steps_done.length);
    node.hidden = !some.length;
    if (node.hidden) return;
    choices(some);
    const wanted = `${view.id} ${row} ${view.rows[row].steps_done.length}`;
    if (asked === wanted) return paint();
    asked = wanted;
    try {
      const found = await source.row(view, row);
      if (asked !== wanted) return undefined; // another row was asked for since
      data = found;
      paint();
    } catch (error) {
      asked = '';
      acts.problem(error.message);
    }
    return undefined;
  }

  function choices(some) {
    const signature = JSON.stringify(some.map(one => one.row));
    if (which.dataset.rows !== signature) {
      which.dataset.rows = signature;
      fill(which, some.map(one => h('option', {value: one.row}, rowName(one, now.view.config.seeds.length))));
    }
    which.value = String(now.row);
  }

  let painted = '';
  function paint() {
    const {view, step, estimate, truth} = now;
    if (!data || data.row !== now.row) return;
    const signature = JSON.stringify([asked, step, estimate, truth, sort, open]);
    if (signature === painted) return;
    painted = signature;
    for (const button of sorts) button.setAttribute('aria-pressed', String(button.dataset.sort === sort));
    const count = view.config.num_siblings, lines = shownLines(count, open);
    note.textContent = `Each column has ${count} siblings of its own, ${sort === 'truth' ? 'the one that really ended best on top' : sort === 'guess' ? 'the one that looks best on top' : 'by number'}; `
      + `the last column is the truth of ${stepName(view, step)}.${estimate === view.estimates[0] ? '' : ` Pictures are kept of one estimate only: they show the guesses of \u201c${view.estimates[0]}\u201d. Order, frames and ranks follow the estimate that is chosen above, \u201c${estimate}\u201d.`}`;
    fold.hidden = count <= FOLD_OVER;
    fold.textContent = open ? `Show the ends only` : `Show the ${count - FOLDED} between`;
    popover.hide();
    const held = grid.contains(document.activeElement);
    grid.style.setProperty('--columns', data.steps.length + 1);
    fill(grid, h('div', {class: 'line heads', role: 'row'}, data.steps.map(at => head(at)), h('span', {class: 'head truth', role: 'columnheader'}, h('b', {}, 'Truth'), h('span', {}, `of step ${step + 1}`))), linesOf(lines));
    const cell = cellAt(focused) || grid.querySelector('.guess');
    if (cell) { cell.tabIndex = 0; if (held) cell.focus({preventScroll: true}); }
  }

  function head(at) {
    const {estimate, truth, view} = now, rho = rankCorrelation(at.proxy[estimate][view.optimised], at.truth[truth]);
    return h('button', {type: 'button', role: 'columnheader', class: `head${at.step === now.step ? ' here' : ''}`, tabindex: -1, 'aria-current': at.step === now.step ? 'true' : null,
      title: `${stepName(view, at.step)}; rank correlation in this row: ${rho === null ? 'none' : number(rho, 2)}`, onclick: () => acts.move({step: at.step})},
    h('b', {}, String(at.step + 1)), h('span', {}, `\u03c3 ${number(at.sigma, 2)}`), h('span', {class: 'rho'}, rho === null ? '\u2013' : `\u03c1 ${number(rho, 2)}`));
  }

  function linesOf(lines) {
    const columns = data.steps.map(at => columnOf(at));
    return lines.map(line => (line === null ? h('div', {class: 'gap', 'aria-hidden': 'true'}, '\u22ee')
      : h('div', {class: 'line', role: 'row'}, columns.map(column => column(line)), truthCell(line))));
  }

  /** How a column makes its cell of a line. */
  function columnOf(at) {
    const {view, estimate, truth} = now, guessed = at.proxy[estimate][view.optimised], real = at.truth[truth];
    const order = orderOf(guessed, real), ranks = ranksOf(guessed), ends = ranksOf(real), far = apart(guessed, real);
    return line => {
      const sibling = order[line], grade = gradeOf(far[sibling]);
      return h('button', {type: 'button', role: 'gridcell', class: `guess ${grade}${at.step === now.step ? ' here' : ''}`, tabindex: -1, data: {step: at.step, sibling, line},
        'aria-label': `${stepName(view, at.step)}, sibling ${sibling + 1}: ${GRADES[grade]}. ${verdict(ranks[sibling], ends[sibling], guessed.length)}`},
      h('span', {class: 'frame'}, cellOf(at.guesses, at.sheet, guessed.length, sibling, '')),
      h('span', {class: 'ranks'}, grade === 'unknown' ? 'n/a' : `${brief(ranks[sibling])} \u2192 ${brief(ends[sibling])}`));
    };
  }

  function truthCell(line) {
    const at = data.steps.find(one => one.step === now.step);
    if (!at) return h('span', {class: 'truth-cell', role: 'gridcell'}, h('span', {class: 'frame'}));
    const {view, estimate, truth} = now, real = at.truth[truth], sibling = orderOf(at.proxy[estimate][view.optimised], real)[line];
    return h('span', {class: 'truth-cell', role: 'gridcell'}, h('span', {class: 'frame'}, cellOf(at.finals, at.sheet, real.length, sibling, `Truth of sibling ${sibling + 1}`)),
      h('span', {class: 'ranks'}, real[sibling] === null ? 'n/a' : number(real[sibling])));
  }

  function orderOf(guessed, real) {
    return sort === 'number' ? guessed.map((_, i) => i) : highestFirst(sort === 'truth' ? real : guessed);
  }

  function tellOf(cell) {
    const {step, sibling} = placeOf(cell), at = data.steps.find(one => one.step === step), told = factsOf(now, at, sibling);
    const title = name => rewardTitle(titles, name);
    return {
      title: `${stepName(now.view, step)}: ${GRADES[told.grade]}`, above: picturesOf(at, sibling, ['Guess', 'Truth'], false), note: '',
      facts: [[`Guess, ${title(now.view.optimised)}`, `${number(told.guess)}, ${ordinal(told.rank)}`], [`Truth, ${title(now.truth)}`, `${number(told.truth)}, ${ordinal(told.end)}`]],
    };
  }

  function enlarge(cell) {
    const {step} = placeOf(cell), column = [...grid.querySelectorAll(`.guess[data-step="${step}"]`)];
    popover.hide();
    acts.open(column.map(one => ({row: now.row, ...placeOf(one)})), column.indexOf(cell));
  }

  function walk(event) {
    const cell = event.target.closest('.guess'), by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!cell || !by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const lines = [...grid.querySelectorAll('.line:not(.heads)')].map(line => [...line.querySelectorAll('.guess')]);
    const y = lines.findIndex(line => line.includes(cell)), to = (lines[y + by[1]] || [])[lines[y].indexOf(cell) + by[0]];
    if (!to) return;
    cell.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
    to.scrollIntoView({block: 'nearest', inline: 'nearest'});
  }

  function cellAt(place) {
    return place && grid.querySelector(`.guess[data-step="${place.step}"][data-sibling="${place.sibling}"]`);
  }

  return {node, draw};
}

function placeOf(cell) {
  return {step: Number(cell.dataset.step), sibling: Number(cell.dataset.sibling)};
}

/** The lines to show; null is a gap between the first and the last ones. */
export function shownLines(count, open) {
  const all = Array.from({length: count}, (_, i) => i);
  if (open || count <= FOLD_OVER) return all;
  return [...all.slice(0, FOLDED / 2), null, ...all.slice(count - FOLDED / 2)];
}

function brief(rank) {
  return rank === null ? '?' : Number.isInteger(rank) ? String(rank) : rank.toFixed(1);
}
