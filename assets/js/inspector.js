// The candidate under the cursor, beside what its step really used, and what becomes of it when it is finished.
import {h, fill, address} from './dom.js';
import {RESULTS, asShown, climbedWord, estimatorOf, guessWords, number, plural, rewardNames, seconds, stepTitle, told, total} from './words.js';
import {detailed, iterationRow, keptByHand, stepRow, bestOf} from './view.js';
import {finishSentence, finishesOf, placeKey, rankText, waitingOf} from './finish.js';

export function makeInspector({enlarge, enlargeFinish, finish}) {
  const title = h('h4'), tags = h('p', {class: 'tags'}), note = h('p', {class: 'note'});
  const mine = slot('Its guess', () => enlarge('candidate')), used = slot('What was used', () => enlarge('used'));
  const numbers = h('table', {class: 'numbers'});
  const button = h('button', {type: 'button', class: 'drive finish', onclick: () => finish()}, 'Finish from here');
  const about = h('p', {class: 'note about'}), result = h('div', {class: 'truth', hidden: true});
  const guess = slot('The guess', () => enlarge('candidate')), truth = slot('Finished', () => enlargeFinish());
  const sentence = h('p', {class: 'promise'}), cost = h('p', {class: 'note'});
  fill(result, h('div', {class: 'pair'}, guess.node, truth.node), sentence, cost);
  const node = h('aside', {class: 'inspector', 'aria-label': 'The candidate under the cursor'},
    h('header', {}, title, tags), h('div', {class: 'pair'}, mine.node, used.node), numbers, note,
    h('div', {class: 'finishing'}, button, about, result));

  function draw({view, titles, cursor, finishAsked}) {
    const row = iterationRow(view, cursor.step, cursor.iteration), i = cursor.candidate;
    node.hidden = !row;
    if (!row) return;
    const taken = stepRow(view, cursor.step), here = detailed(row), kind = estimatorOf(view);
    mine.call(kind === 'full' ? 'Its end, without noise' : kind === 'k_step' ? `Its guess, ${plural(view.config.estimator_steps, 'step')}` : 'Its guess');
    used.call(kind === 'one_step' ? 'What was used' : 'Used, guessed in one step');
    title.textContent = `Iteration ${cursor.iteration + 1}, candidate ${i + 1}`;
    fill(tags, tagsOf(view, row, i).map(([text, kind]) => h('span', {class: `tag ${kind}`}, text)));
    mine.show(here ? row.images[i] : null, here ? told(row.total[i]) : '', here ? '' : 'fetching\u2026');
    used.show(taken ? taken.image : null, taken ? told(total(view, taken.rewards)) : '', 'to come');
    fill(numbers, numbersOf(view, titles, row, i, taken, finishesOf(view).get(placeKey(cursor))));
    note.textContent = here && taken ? usedSentence(view, row.total[i], taken) : '';
    note.hidden = !note.textContent;
    drawFinish(view, row, cursor, finishAsked);
  }

  function drawFinish(view, row, cursor, asked) {
    const key = placeKey(cursor), done = finishesOf(view).get(key), waiting = waitingOf(view, asked).has(key);
    button.hidden = Boolean(done);
    button.disabled = waiting || !detailed(row);
    button.textContent = waiting ? 'Finishing\u2026' : 'Finish from here';
    node.classList.toggle('waiting', waiting);
    about.hidden = Boolean(done);
    about.textContent = waiting ? 'The remaining steps are run with this noise; the true picture appears here.'
      : estimatorOf(view) === 'full' ? `The picture above is ${guessWords(view)}. This runs the remaining steps so from where the session goes with this noise, and keeps that picture.`
      : `The picture above is ${guessWords(view)}. This runs the remaining steps and shows the picture that this noise really leads to.`;
    guess.call(estimatorOf(view) === 'full' ? 'Its end' : 'The guess');
    result.hidden = !done;
    if (!done) return;
    const value = detailed(row) ? row.total[cursor.candidate] : null;
    guess.show(detailed(row) ? row.images[cursor.candidate] : null, told(value), '');
    truth.show(done.image, told(done.total ?? null), '');
    sentence.textContent = finishSentence(view, value, done.total);
    cost.textContent = `Finishing it took ${plural(done.nfe, 'evaluation')} and ${seconds(done.seconds)}.`;
  }

  return {node, draw};
}

/** A picture with its name and its number, which opens large. */
function slot(name, open) {
  const image = h('img', {alt: '', draggable: 'false', decoding: 'sync'}), hole = h('span', {class: 'hole'}), value = h('b'), label = h('span', {}, name);
  const frame = h('button', {type: 'button', class: 'frame', 'aria-label': `${name}, large`, onclick: open}, hole);
  const node = h('figure', {}, frame, h('figcaption', {}, label, value));
  function show(file, number, empty) {
    const source = file ? address(`artifacts/${encodeURIComponent(file)}`) : '';
    if (image.getAttribute('src') !== source && source) image.setAttribute('src', source);
    if (frame.firstChild !== (file ? image : hole)) frame.replaceChildren(file ? image : hole);
    frame.disabled = !file;
    hole.textContent = empty;
    value.textContent = number;
  }
  function call(words) {
    if (label.textContent === words) return;
    label.textContent = words;
    frame.setAttribute('aria-label', `${words}, large`);
  }
  return {node, show, call};
}

function tagsOf(view, row, i) {
  const kept = row.elites.includes(i), tags = detailed(row) ? [[rankText(row, i), '']] : [];
  if (kept) tags.push([keptByHand(view, row) ? 'kept by hand' : view.config.search.selection === 'random' ? 'kept (drawn blindly)' : 'kept', 'kept']);
  if (detailed(row) && i === bestOf(row) && row.total[i] !== null) tags.push(['highest', 'best']);
  return tags;
}

/** Rewards, size and kurtosis of the candidate, of what was used, and rewards of its finished picture: a line each. */
function numbersOf(view, titles, row, i, taken, done) {
  const {optimised, watched} = rewardNames(view), word = climbedWord(view), here = detailed(row);
  const line = (name, small, ...cells) => h('tr', {}, h('th', {scope: 'row'}, name, small ? h('small', {}, ` ${small}`) : null),
    (done ? cells : cells.slice(0, 2)).map(text => h('td', {}, text)));
  const of = (rewards, name) => (rewards ? told(rewards[name] ?? null) : '');
  const reward = (name, small) => line(titles[name] || name, small, here ? told(row.rewards[name]?.[i] ?? null) : '', of(taken?.rewards, name), of(done?.rewards, name));
  const heads = [estimatorOf(view) === 'full' ? 'end' : 'guess', 'used', ...(done ? ['finished'] : [])];
  return [h('thead', {}, h('tr', {}, h('th', {}, h('span', {class: 'sr'}, 'Number')), heads.map(name => h('th', {scope: 'col'}, name)))),
    h('tbody', {}, optimised.length > 1 ? line('Weighted sum', word, here ? told(row.total[i]) : '', taken ? told(total(view, taken.rewards)) : '', done ? told(done.total ?? null) : '') : null,
      optimised.map(name => reward(name, optimised.length > 1 ? '' : word)), watched.map(name => reward(name, 'watched')),
      line('Noise size, of \u221ad', '', here ? number(row.norms[i]) : '', taken ? number(taken.noise_norm) : '', ''),
      line('Kurtosis', '', here ? number(row.kurtosis[i], 2) : '', '', ''))];
}

function usedSentence(view, value, taken) {
  const after = total(view, taken.rewards), what = RESULTS[view.config.search.result];
  const start = `${stepTitle(taken.step)} went on with ${what || 'the noise that the search chose'}`;
  if (value === null || after === null) return `${start}.`;
  if (estimatorOf(view) !== 'one_step')
    return `${start}. The two numbers do not compare: ${number(value)} is ${guessWords(view)}, ${number(after)} a guess in one step from there.`;
  const by = asShown(after) - asShown(value);
  return Math.abs(by) < 0.0005 ? `${start}: the same reward.` : `${start}: ${number(Math.abs(by))} ${by < 0 ? 'less' : 'more'} than this guess.`;
}
