// Names and sentences of the page Reliability. Pure functions of its JSON.
import {number, plural} from './words.js';
import {ordinal} from './ranks.js';

/** What the numbers mean, for someone who has not read the paper. */
export const NUMBERS = [
  ['guess and truth', 'A search cannot wait for a candidate\u2019s final picture, so it scores a guess of it. The guess\u2019s reward is what the search climbs; the truth is the reward of the picture that this very candidate ends as, when it is followed all the way.'],
  ['siblings', 'Candidates that differ in one noise only: they start from the same half-finished picture of one prompt and seed. Only they are ranked against each other, for prompts differ in level.'],
  ['rank correlation', 'Spearman\u2019s: 1 when the guess ranks the siblings as they really end, 0 when it is no better than chance, below 0 when it misleads. The line is the median over rows; the coloured band its 95% interval over prompts; the grey one is where it falls when truths are shuffled.'],
  ['expected gain G', 'How much reward keeping the best-looking siblings should bring: how well the guess agrees with the truth, times how far the truths differ, times what choosing few of many brings. Early steps move much and are guessed badly, late ones the other way round.'],
  ['realised gain', 'What one round of a search really gained over a random sibling, on the reward it climbed and on one it never saw. Where only the first gains, the reward was fooled.'],
  ['recommended window', 'Timesteps where the guess is surely better than chance, the expected gain is at least half its highest, and the reward that was not climbed gains too.'],
  ['the last step', 'There the guess is the truth by construction, so it says nothing and is left out.'],
];

export const LEAD = 'A search scores each candidate by a guess of its final picture, made in a step or few. Is the guess right? Here several noises are tried from the same place; every guess is put beside the picture that its candidate really ends as.';

/** A reward's title; "total" is the sum of all that is climbed. */
export function rewardTitle(titles, name) {
  return name === 'total' ? 'weighted sum' : titles[name] || name;
}

export function stepName(view, step) {
  const sigma = view.sigmas[step];
  return `Step ${step + 1}${sigma === undefined ? '' : `, \u03c3 ${number(sigma, 2)}`}`;
}

/** A row as an option: its number, prompt and seed. */
export function rowName({row, prompt, seed}, seeds = 1) {
  const short = prompt.length > 70 ? `${prompt.slice(0, 69)}\u2026` : prompt;
  return `${row + 1}. ${short}${seeds > 1 ? ` (seed ${seed})` : ''}`;
}

/** What is being done, or was, in a sentence. */
export function statusOf(view, timeLeft) {
  const done = view.rows_done, all = view.rows.length, rows = `${done} of ${plural(all, 'row')} done`;
  const spent = plural(view.cost.nfe, 'velocity evaluation');
  if (view.state === 'failed') return `Stopped by an error: ${view.error || (view.job && view.job.error) || 'unknown'}`;
  if (view.state === 'cancelled') return `Stopped with ${rows}. What was measured until then is kept.`;
  if (view.state === 'succeeded') return `${plural(all, 'row')}, ${spent}, ${plural(view.cost.decodes, 'picture')} decoded.`;
  if (view.state === 'paused') return `Paused with ${rows}, ${spent}.`;
  if (view.state === 'pending') return done || view.cost.nfe ? `Waiting to go on, with ${rows}.` : 'Waiting for its turn: one measurement runs at a time.';
  const left = timeLeft ? `, ${timeLeft}` : '';
  return `${rows}, ${spent}${left}.`;
}

/** How a sibling was ranked by the guess, and where it ended. */
export function verdict(rank, real, count) {
  if (rank === null || real === null) return 'One of the two rewards is not a number, so the two cannot be compared.';
  return `The guess ranks it ${ordinal(rank)} of ${count}; it really ended ${ordinal(real)}.`;
}

export const GRADES = {
  agrees: 'ranked about right', near: 'some way off', misjudged: 'misjudged', unknown: 'no number',
};

/** A median with its interval, where there are prompts enough for one. */
export function interval(middle, low, high) {
  if (middle === null || middle === undefined) return '';
  return low === null || low === undefined ? number(middle, 2) : `${number(middle, 2)} [${number(low, 2)}, ${number(high, 2)}]`;
}

/** Timesteps in words: 5 to 8, or 3, 5 and 6. */
export function stepsInWords(steps) {
  const told = steps.map(step => step + 1), whole = steps.every((step, i) => !i || step === steps[i - 1] + 1);
  if (told.length === 1) return `step ${told[0]}`;
  if (whole) return `steps ${told[0]} to ${told[told.length - 1]}`;
  return `steps ${told.slice(0, -1).join(', ')} and ${told[told.length - 1]}`;
}
