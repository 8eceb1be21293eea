// An iteration's rewards as dots on one line. All dots of a kind are one stroke with round ends: with a shape for each,
// some hundred candidates made every change of timestep wait for their styles.
import {fill, svg} from './dom.js';
import {number} from './words.js';

const LEFT = 6, WIDTH = 88, MIDDLE = 14; // in per cent of the line's width, and pixels from its top
const NEAR = 10; // how many pixels a click may miss

/**
 * `draw(row, low, high)` puts a row's rewards on the scale of the whole step, so that one sees the rows climb (or not);
 * `mark(candidate)` rings one, or none for null; `nearest(x)` is the candidate whose dot lies at x of the window, or null.
 */
export function makeDots() {
  const node = svg('svg', {class: 'dots', 'aria-hidden': 'true'});
  let places = [], elites = new Set(), marked = null, drawn = '';

  function draw(row, low, high) {
    if (drawn === `${low} ${high}`) return;
    drawn = `${low} ${high}`;
    const at = value => (high > low ? (value - low) / (high - low) : 0.5);
    const known = row.total.filter(value => value !== null), mean = known.reduce((a, b) => a + b, 0) / known.length;
    places = row.total.map(value => (value === null ? null : at(value)));
    elites = new Set(row.elites);
    const strokes = ['rim', 'dot', 'rim elite', 'dot elite'].map(kind => svg('path', {class: kind, d: path(kind.endsWith('elite'))}));
    fill(node, svg('line', {x1: '3%', x2: '97%', y1: MIDDLE, y2: MIDDLE}),
      known.length ? svg('line', {class: 'mean', x1: across(at(mean)), x2: across(at(mean)), y1: 5, y2: 23}) : null,
      svg('svg', {x: `${LEFT}%`, width: `${WIDTH}%`, height: 2 * MIDDLE, viewBox: `0 0 100 ${2 * MIDDLE}`, preserveAspectRatio: 'none', overflow: 'visible'}, strokes),
      [[low, 'start', '3%'], [high, 'end', '97%']].map(([value, anchor, x]) => svg('text', {x, y: 38, 'text-anchor': anchor}, Number.isFinite(value) ? number(value) : '')));
    mark(marked);
  }

  function path(kept) {
    return places.flatMap((place, i) => (place === null || elites.has(i) !== kept ? [] : [`M${(100 * place).toFixed(2)} ${MIDDLE}h0`])).join('');
  }

  function mark(candidate) {
    marked = candidate;
    node.querySelector('.at')?.remove();
    const place = places[candidate] ?? null;
    if (place !== null) node.append(svg('circle', {class: elites.has(candidate) ? 'at elite' : 'at', cx: across(place), cy: MIDDLE, r: 5}));
  }

  function nearest(x) {
    const {left, width} = node.getBoundingClientRect();
    const away = i => Math.abs(left + width * (LEFT + WIDTH * places[i]) / 100 - x);
    const close = [...places.keys()].filter(i => places[i] !== null && away(i) <= NEAR);
    return close.length ? close.reduce((a, b) => (away(b) < away(a) ? b : a)) : null;
  }

  return {node, draw, mark, nearest};
}

function across(place) {
  return `${(LEFT + WIDTH * place).toFixed(2)}%`;
}
