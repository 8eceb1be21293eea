// One sibling: what it was guessed to become, and what it became, side by side, with its rewards and ranks.
import {h, fill} from './dom.js';
import {told} from './words.js';
import {cellOf} from './sheet.js';
import {gradeOf, ordinal, ranksOf, apart} from './ranks.js';
import {GRADES, rewardTitle, stepName, verdict} from './reliability_words.js';

/** Everything known of a sibling. `at` is a step of a row as the server tells it. */
export function factsOf({view, estimate, truth}, at, sibling) {
  const guessed = at.proxy[estimate][view.optimised], real = at.truth[truth], [ranks, ends] = [ranksOf(guessed), ranksOf(real)];
  return {
    count: guessed.length, rank: ranks[sibling], end: ends[sibling], grade: gradeOf(apart(guessed, real)[sibling]),
    guess: guessed[sibling], truth: real[sibling],
  };
}

/** The two pictures; each with its words below. */
export function picturesOf(at, sibling, labels = ['Guess', 'Truth'], alt = true) {
  const count = Object.values(at.truth)[0].length;
  return h('div', {class: 'two'}, [at.guesses, at.finals].map((name, i) => h('figure', {},
    cellOf(name, at.sheet, count, sibling, alt ? `${['Guessed', 'True final'][i]} picture of sibling ${sibling + 1}` : ''), h('figcaption', {}, labels[i]))));
}

/** A node that shows one sibling; `show(state, row, at, sibling)`. */
export function makePair({titles}) {
  const title = h('h4'), pictures = h('div'), says = h('p', {class: 'verdict'}), numbers = h('div'), note = h('p', {class: 'note'});
  const node = h('div', {class: 'one-sibling'}, h('div', {class: 'pair-pictures'}, pictures), h('div', {class: 'pair-words'}, title, says, numbers, note));

  function show(state, {prompt, seed}, at, sibling) {
    const {view, estimate, truth} = state, told = factsOf(state, at, sibling);
    node.dataset.grade = told.grade;
    title.textContent = `${stepName(view, at.step)}: sibling ${sibling + 1}`;
    fill(pictures, picturesOf(at, sibling, [`Guess`, 'Truth']));
    fill(says, h('span', {class: `grade ${told.grade}`}, GRADES[told.grade]), ' ', verdict(told.rank, told.end, told.count));
    fill(numbers, tableOf(view, estimate, at, sibling, titles));
    fill(note, h('bdi', {}, prompt), view.config.seeds.length > 1 ? `, seed ${seed}. ` : '. ',
      estimate === view.estimates[0] ? '' : `Pictured is the guess of \u201c${view.estimates[0]}\u201d; the numbers are those of \u201c${estimate}\u201d. `,
      truth === view.optimised ? '' : `Judged by ${rewardTitle(titles, truth)}.`);
  }

  return {node, show};
}

function tableOf(view, estimate, at, sibling, titles) {
  const names = [view.optimised, ...view.rewards.filter(name => name !== view.optimised)], guesses = at.proxy[estimate];
  const place = (values, i) => [h('td', {}, told(values[i])), h('td', {class: 'rank'}, ordinal(ranksOf(values)[i]))];
  return h('table', {class: 'numbers'}, h('thead', {}, h('tr', {}, h('th'), h('th', {colspan: 2, scope: 'colgroup'}, 'Guess'), h('th', {colspan: 2, scope: 'colgroup'}, 'Truth'))),
    h('tbody', {}, names.map(name => h('tr', {}, h('th', {scope: 'row'}, `${rewardTitle(titles, name)}${view.held_out.includes(name) ? ' (watched)' : ''}`),
      place(guesses[name], sibling), place(at.truth[name], sibling)))));
}

/** The same large, over the page; the arrow keys go through `places` in their order. */
export function makePairDialog({titles, load}) {
  const pair = makePair({titles}), problem = h('p', {class: 'problem', role: 'alert'});
  const back = h('button', {type: 'button', class: 'arrow', 'aria-label': 'Sibling before', onclick: () => go(at - 1)}, '\u2039');
  const on = h('button', {type: 'button', class: 'arrow', 'aria-label': 'Next sibling', onclick: () => go(at + 1)}, '\u203a');
  const node = h('dialog', {class: 'pair-dialog', 'aria-label': 'Guess and truth'},
    h('div', {class: 'pager'}, back, on, h('span', {class: 'note'}, 'Arrow keys: other siblings'), h('button', {type: 'button', class: 'close', 'aria-label': 'Close', onclick: () => node.close()}, '\u00d7')), problem, pair.node);
  let places = [], at = 0, turn = 0;

  node.addEventListener('click', event => { if (event.target === node) node.close(); });
  node.addEventListener('keydown', event => {
    const by = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1}[event.key];
    if (by) { event.preventDefault(); go(at + by); }
  });

  async function go(index) {
    if (index < 0 || index >= places.length) return;
    const mine = ++turn;
    at = index;
    back.disabled = at === 0;
    on.disabled = at === places.length - 1;
    try {
      const {state, row, step} = await load(places[at]);
      if (mine !== turn) return;
      problem.textContent = '';
      pair.show(state, row, step, places[at].sibling);
    } catch (error) {
      problem.textContent = error.message;
    }
  }

  return {
    node,
    /** `list` are places {row, step, sibling}, of which that at `index` is shown. */
    async open(list, index) {
      places = list;
      await go(index);
      if (!node.open) node.showModal();
    },
  };
}
