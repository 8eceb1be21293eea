// The page's one cursor {step, iteration, candidate}: where it may stand, what a key does to it, how an address names it.
// Pure functions over a session's view; numbers count from 0, and step -1 is the search of the starting noise.
import {LIVE} from './words.js';
import {bestOf, iterationRow, iterationsOf, newestRow, orderOf, sizeOf, stepUnderWay, stepsOf} from './view.js';

/** The nearest place that exists. Where a step has no candidates the wish is kept, for the next step that has some. */
export function settled(view, {step, iteration, candidate}) {
  const steps = stepsOf(view);
  if (!steps.length) return {step: 0, iteration: 0, candidate: 0};
  const at = Math.min(Math.max(step, steps[0]), steps[steps.length - 1]);
  const rows = iterationsOf(view, at);
  if (!rows.length) return {step: at, iteration, candidate};
  const row = rows.find(one => one.iteration === iteration) || (iteration < rows[0].iteration ? rows[0] : rows[rows.length - 1]);
  return {step: at, iteration: row.iteration, candidate: Math.min(Math.max(candidate, 0), sizeOf(row) - 1)};
}

/** Where one looks while following a search: at the highest candidate of the newest iteration. */
export function newestPlace(view) {
  const row = newestRow(view);
  if (row) return {step: row.step, iteration: row.iteration, candidate: bestOf(row)};
  return settled(view, {step: stepUnderWay(view), iteration: 0, candidate: 0});
}

/** Where one looks first: live at the newest, finished at the best of the last iteration of a step from the middle. */
export function openingPlace(view) {
  if (LIVE.includes(view.state)) return newestPlace(view);
  const steps = [...new Set(view.iterations.map(row => row.step))];
  if (!steps.length) return settled(view, {step: view.searched.length - 1, iteration: 0, candidate: 0});
  const rows = iterationsOf(view, steps[Math.floor(steps.length / 2)]), row = rows[rows.length - 1];
  return {step: row.step, iteration: row.iteration, candidate: bestOf(row)};
}

/** The place a key leads to, null for a key that moves nothing. `sort` is the order in which candidates are shown. */
export function moved(view, cursor, key, sort) {
  const {step, iteration, candidate} = cursor;
  if (key === '[' || key === ']') return settled(view, {...cursor, step: step + (key === ']' ? 1 : -1)});
  const row = iterationRow(view, step, iteration);
  if (!row) return null;
  const order = orderOf(row, sort), place = order.indexOf(candidate), last = order.length - 1;
  const along = {ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: last}[key];
  if (along !== undefined) return {step, iteration, candidate: order[Math.min(Math.max(along, 0), last)]};
  const down = {ArrowUp: -1, ArrowDown: 1}[key], next = down && iterationRow(view, step, iteration + down);
  if (!down) return null;
  if (!next) return cursor;
  const there = orderOf(next, sort);
  return {step, iteration: next.iteration, candidate: there[Math.min(place, there.length - 1)]};
}

/** As it stands in the address: STEP.ITERATION.CANDIDATE. */
export function toText({step, iteration, candidate}) {
  return `${step}.${iteration}.${candidate}`;
}

/** The place that an address names; null where it names none. */
export function fromText(text) {
  const found = /^(-?\d{1,6})\.(\d{1,6})\.(\d{1,6})$/.exec(text || '');
  return found ? {step: Number(found[1]), iteration: Number(found[2]), candidate: Number(found[3])} : null;
}

export function same(a, b) {
  return a.step === b.step && a.iteration === b.iteration && a.candidate === b.candidate;
}
