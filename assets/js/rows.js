// The rows of the candidate board: an iteration's pictures, their rewards as dots, and what the search says of itself.
import {h, picture} from './dom.js';
import {makeDots} from './dots.js';
import {count, number, plural} from './words.js';
import {bestOf, keptByHand, orderOf, rankOf, sizeOf} from './view.js';

/** More candidates than this are folded to the FOLDED highest of them, which the row says. */
export const FOLD_OVER = 40;
export const FOLDED = 20;
const SMALL = 256; // pixels wide

export const NUMBERS = [
  ['centre', 'How far from 0 the candidates\u2019 common centre lies, as a share of a real noise\u2019s size (its length over \u221ad): 0 at the start. A mean of several noises is shorter than each of them.'],
  ['spread', 'How far the candidates still differ: the median of the search\u2019s standard deviation, 1 at the start. Near 0 the search has settled.'],
  ['likeness', 'Mean cosine between the candidates: 0 for independent noises, 1 when all are the same.'],
  ['kurtosis', '3 for Gaussian noise. Higher means that a few large values carry it, though its size looks right.'],
];

/**
 * One iteration. `item` is {row, sort, open, byHand}; `acts` what its buttons do. The node knows its cells by candidate
 * (`labCells`), its dots (`labDots`), and how to put these on the scale of the whole step (`labScale`).
 */
export function makeRow({row, sort, open, byHand}, acts) {
  const size = sizeOf(row), order = orderOf(row, sort), folded = size > FOLD_OVER && !open ? size - FOLDED : 0;
  const best = bestOf(row), cells = new Map(), bad = row.total.filter(value => value === null).length;
  const shown = folded ? new Set(orderOf(row, 'reward').slice(0, FOLDED)) : null;
  for (const i of order) if (!shown || shown.has(i)) cells.set(i, candidate(row, i, i === best));
  const dots = makeDots(), signs = h('div', {class: 'row-acts'});
  const node = h('div', {class: 'row', role: 'row', data: {iteration: row.iteration}},
    h('div', {class: 'row-name', role: 'rowheader'}, h('b', {}, String(row.iteration + 1)), h('span', {}, 'iteration'),
      bad ? h('em', {class: 'bad'}, `${bad} without a score`) : null, byHand ? h('em', {class: 'by-hand'}, 'kept by hand') : null),
    h('div', {class: 'candidates', role: 'presentation'}, [...cells.values()]), dots.node,
    h('div', {class: 'under'}, size > FOLD_OVER ? fold(row, folded, acts) : null,
      row.sentence ? h('p', {class: 'row-sentence'}, row.sentence) : null,
      (row.notes || []).map(text => h('p', {class: 'row-note'}, text)), h('div', {class: 'row-line'}, facts(row), signs)));
  Object.assign(node, {labCells: cells, labSigns: signs, labDots: dots, labScale: (low, high) => dots.draw(row, low, high)});
  return node;
}

function fold(row, folded, acts) {
  const size = sizeOf(row);
  const told = folded ? `The ${FOLDED} highest of ${count(size)} are shown; ${count(row.elites.length)} are kept. ` : `All ${count(size)} are shown. `;
  return h('p', {class: 'fold'}, told, h('button', {type: 'button', class: 'link', onclick: () => acts.unfold(row.iteration, folded > 0)}, folded ? `Show the other ${count(folded)}` : 'Fold'));
}

function facts(row) {
  const known = [['centre', row.mean_norm, 2], ['spread', row.std_quantiles[2], 2], ['likeness', row.cosine, 2], ['kurtosis', mean(row.kurtosis), 1]];
  return h('dl', {class: 'facts'}, known.map(([name, value, places]) =>
    h('div', {title: NUMBERS.find(([one]) => one === name)[1]}, h('dt', {}, name), h('dd', {}, number(value, places)))));
}

function candidate(row, index, best) {
  const elite = row.elites.includes(index), value = row.total[index], broken = value === null, rank = rankOf(row, index);
  const label = [`Candidate ${index + 1} of iteration ${row.iteration + 1}`,
    broken ? 'its reward is not a number' : `reward ${number(value)}, rank ${rank} of ${sizeOf(row)}`, elite && 'kept', best && 'highest'];
  return h('button', {type: 'button', role: 'gridcell', tabindex: -1, id: `candidate-${row.step}-${row.iteration}-${index}`, data: {candidate: index},
    class: ['candidate', elite && 'elite', best && 'best', broken && 'broken'].filter(Boolean).join(' '), 'aria-label': label.filter(Boolean).join(', ')},
  h('span', {class: 'frame'}, picture(row.images[index], '', {onload: smallAtOnce, ...(sizeOf(row) > 16 ? {loading: 'lazy'} : {})}), best ? h('span', {class: 'star', 'aria-hidden': 'true'}, '\u2605') : null),
  h('span', {class: 'reward'}, broken ? 'no number' : number(value)));
}

/** A small picture that is here is decoded with the frame that shows it; later would be a second drawing of its row. */
function smallAtOnce({target}) {
  if (target.naturalWidth <= SMALL) target.decoding = 'sync';
}

/** An iteration that is still to come, or one whose pictures are on their way: it holds the place. */
export function emptyRow({iteration, empty, loading}) {
  const shown = Math.min(empty, FOLDED);
  return h('div', {class: `row to-come${loading ? ' loading' : ''}`, 'aria-hidden': 'true'},
    h('div', {class: 'row-name'}, h('b', {}, String(iteration + 1)), h('span', {}, 'iteration')),
    h('div', {class: 'candidates'}, Array.from({length: shown}, () => h('span', {class: 'candidate'}, h('span', {class: 'frame'}), h('span', {class: 'reward'}, '\u00a0')))),
    h('div', {class: 'under'}, h('p', {}, loading ? `Fetching ${plural(empty, 'candidate')}\u2026` : '\u00a0'), h('p', {class: 'row-line'}, '\u00a0')));
}

/** The last row: what the step led to; while the step is under way it holds the place. */
export function usedRow({image, reward, text}, open) {
  const told = reward === null ? 'no number' : number(reward);
  return h('div', {class: `row used${image ? '' : ' to-come'}`, 'aria-hidden': image ? null : 'true'},
    h('div', {class: 'row-name'}, h('b', {}, 'used')),
    h('div', {class: 'candidates'}, image
      ? h('button', {type: 'button', class: 'taken', 'aria-label': `The guess after the step, with the noise that was used, reward ${told}, large`, onclick: open},
        h('span', {class: 'frame'}, picture(image, '')), h('span', {class: 'reward'}, told))
      : h('span', {class: 'taken'}, h('span', {class: 'frame'}), h('span', {class: 'reward'}, '\u00a0')),
    h('p', {class: 'used-text'}, image ? text : '')));
}

/** In place of rows, where a step has no candidates: why, and the step's guess large. */
export function plainRow({why, image}) {
  return h('div', {class: 'plain', role: 'row'}, image ? picture(image, 'The guess after this step') : null, h('p', {role: 'gridcell'}, why));
}

/** What is shown of a row, as plain values: it is drawn anew only when they have changed. */
export function rowItem(view, row, sort, open) {
  return {row, sort, open: Boolean(open), byHand: keptByHand(view, row)};
}

function mean(values) {
  const known = values.filter(value => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}
