// What became of candidates that were rolled out to their true final pictures: lookups, and sentences about them.
import {asShown, estimatorOf, number, plural} from './words.js';
import {iterationRow, rankOf, sizeOf} from './view.js';

export function placeKey({step, iteration, candidate}) {
  return `${step}/${iteration}/${candidate}`;
}

/** Finished candidates by place. */
export function finishesOf(view) {
  return new Map((view.finishes || []).map(one => [placeKey(one), one]));
}

/** Places whose true picture is asked for and not here yet; `asked` are those that the server has not confirmed. */
export function waitingOf(view, asked) {
  const told = (view.finishing || []).flatMap(job => job.candidates.map(candidate => placeKey({...job, candidate})));
  const done = finishesOf(view);
  return new Set([...told, ...asked].filter(key => !done.has(key)));
}

/** How many candidates were being finished before and now neither are nor have a finished picture. */
export function lostCount(before, after) {
  const still = waitingOf(after, []), done = finishesOf(after);
  return [...waitingOf(before, [])].filter(key => !still.has(key) && !done.has(key)).length;
}

/** "The guess promised 0.810; the finished picture has 0.640, 0.170 less." */
export function finishSentence(view, guess, truth) {
  if (truth === null || truth === undefined) return 'The finished picture has no reward that is a number.';
  if (guess === null || guess === undefined) return `The guess had no score; the finished picture has ${number(truth)}.`;
  const start = estimatorOf(view) === 'full' ? `It was scored at its end without noise, ${number(guess)}` : `The guess promised ${number(guess)}`;
  const by = asShown(truth) - asShown(guess), told = `${start}; the finished picture has ${number(truth)}`;
  return Math.abs(by) < 0.0005 ? `${told}, as promised.` : `${told}, ${number(Math.abs(by))} ${by < 0 ? 'less' : 'more'}.`;
}

/** Of an iteration with several finished: what the guesses were worth; empty with fewer than two. */
export function rowSentence(view, {step, iteration}) {
  const row = iterationRow(view, step, iteration);
  const pairs = (view.finishes || []).filter(one => one.step === step && one.iteration === iteration)
    .map(one => ({guess: row && row.total ? row.total[one.candidate] : null, truth: one.total, candidate: one.candidate}))
    .filter(one => one.guess !== null && one.guess !== undefined && one.truth !== null);
  if (pairs.length < 2) return '';
  const mean = name => pairs.reduce((sum, one) => sum + one[name], 0) / pairs.length;
  const first = pairs.reduce((a, b) => (b.guess > a.guess ? b : a)), place = pairs.filter(one => one.truth > first.truth).length + 1;
  const whole = pairs.length === sizeOf(row) ? 'all' : `of ${sizeOf(row)}`;
  const start = whole === 'all' ? `All ${pairs.length} finished` : `${plural(pairs.length, 'candidate')} ${whole} finished`;
  const rank = place === 1 ? 'what was scored highest is also the highest picture' : `what was scored highest is number ${place} among the finished pictures`;
  const promised = estimatorOf(view) === 'full' ? 'their ends without noise have' : 'the guesses promised';
  return `${start}: ${promised} ${number(mean('guess'))} on average, the finished pictures ${number(mean('truth'))}; ${rank}.`;
}

/** Rank within its iteration as text. */
export function rankText(row, candidate) {
  const rank = rankOf(row, candidate);
  return rank === null ? 'no rank' : `rank ${rank} of ${sizeOf(row)}`;
}
