// Candidates told one by one: for the large view, and for the card beside a candidate.
import {RESULTS, estimatorOf, number, rewardFacts, seconds, stepTitle, told} from './words.js';
import {bestOf, detailed, iterationRow, iterationsOf, orderOf, stepRow} from './view.js';
import {finishSentence, finishesOf, placeKey, rankText} from './finish.js';

/** All candidates of the cursor's step as they are ordered, the finished pictures beside them, and what was used. */
export function galleryItems({view, titles, cursor}, sort) {
  const done = finishesOf(view), taken = stepRow(view, cursor.step);
  const found = iterationsOf(view, cursor.step).filter(detailed);
  const items = found.flatMap(row => orderOf(row, sort).flatMap(i => {
    const place = {step: row.step, iteration: row.iteration, candidate: i}, finished = done.get(placeKey(place));
    return [candidateItem(view, titles, row, i, place), ...(finished ? [finishedItem(view, titles, row, i, place, finished)] : [])];
  }));
  return taken && found.length ? [...items, usedItem(view, titles, taken)] : items;
}

function candidateItem(view, titles, row, i, place) {
  const kept = row.elites.includes(i);
  return {
    key: placeKey(place), place, image: row.images[i],
    title: `${stepTitle(row.step)}, iteration ${row.iteration + 1}, candidate ${i + 1}`,
    note: [kept ? keptText(view, row) : 'Not kept.', i === bestOf(row) && row.total[i] !== null ? 'Highest of its iteration.' : '',
      row.total[i] === null ? 'Its reward is not a number, so it could not be kept.' : ''].filter(Boolean).join(' '),
    facts: numbersOf(view, titles, row, i),
  };
}

function finishedItem(view, titles, row, i, place, finished) {
  return {
    key: `${placeKey(place)}/finished`, place, image: finished.image,
    title: `${stepTitle(row.step)}, iteration ${row.iteration + 1}, candidate ${i + 1}, finished`,
    note: `The picture that this noise really leads to. ${finishSentence(view, row.total[i], finished.total)}`,
    facts: [...rewardFacts(view, titles, name => finished.rewards[name] ?? null), ['Velocity evaluations', String(finished.nfe)], ['Time', seconds(finished.seconds)]],
  };
}

function usedItem(view, titles, taken) {
  return {
    key: 'used', image: taken.image, title: `${stepTitle(taken.step)}, the noise that was used`, note: usedText(view, taken.step),
    facts: [...rewardFacts(view, titles, name => taken.rewards[name] ?? null), ['Noise size, of \u221ad', number(taken.noise_norm)]],
  };
}

/** What a candidate's card says. Null where its numbers are not here. */
export function popoverFacts({view, titles}, place) {
  const row = iterationRow(view, place.step, place.iteration), i = place.candidate;
  if (!row || !detailed(row)) return null;
  const finished = finishesOf(view).get(placeKey(place));
  return {
    title: `Candidate ${i + 1}, ${rankText(row, i)}`,
    facts: [...numbersOf(view, titles, row, i), ...(finished ? [['Finished picture', told(finished.total ?? null)]] : [])],
    note: row.elites.includes(i) ? keptText(view, row) : '',
  };
}

function numbersOf(view, titles, row, i) {
  return [...rewardFacts(view, titles, name => row.rewards[name]?.[i] ?? null), ['Noise size, of \u221ad', number(row.norms[i])], ['Kurtosis', number(row.kurtosis[i], 2)]];
}

function keptText(view, row) {
  const {num_iterations: n, selection} = view.config.search, blind = selection === 'random' ? 'Kept, drawn blindly' : 'Kept';
  return row.iteration < n - 1 ? `${blind}: it steers the next iteration.` : `${blind}: the step\u2019s noise is made from it.`;
}

/** What the step went on with. */
export function usedText(view, step) {
  const {result} = view.config.search, made = RESULTS[result] ? ` (${RESULTS[result]})` : '';
  const guess = estimatorOf(view) === 'one_step' ? 'The guess' : 'The guess in one step';
  return step < 0 ? `${guess} from the starting noise that was chosen${made}.` : `What the step led to with the noise that was chosen${made}.`;
}
