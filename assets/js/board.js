// The candidate board of one timestep: a row an iteration, a picture a candidate.
import {h, svg, fill, keyed, picture} from './dom.js';
import {LIVE, RESULTS, highest, number, numElites, optimisedTitle, rewardNames, total} from './words.js';

const NUMBERS = [
  ['centre', 'How far from 0 the candidates\u2019 common centre lies, as a share of a real noise\u2019s size (its length over \u221ad): 0 at the start. A mean of several noises is shorter than each of them.'],
  ['spread', 'How far the candidates still differ: the median of the search\u2019s standard deviation, 1 at the start. Near 0 the search has settled.'],
  ['likeness', 'Mean cosine between the candidates: 0 for independent noises, 1 when all are the same.'],
  ['kurtosis', '3 for Gaussian noise. Higher means that a few large values carry it, though its size looks right.'],
];

export function makeBoard({select, enlarge}) {
  const title = h('h3'), note = h('p', {class: 'note'});
  const back = h('button', {type: 'button', class: 'arrow', 'aria-label': 'Step before'}, '\u2039');
  const on = h('button', {type: 'button', class: 'arrow', 'aria-label': 'Step after'}, '\u203a');
  const follow = h('button', {type: 'button', class: 'chip follow'}, 'Follow the search');
  const legend = h('p', {class: 'legend'}), rows = h('div', {class: 'rows'}), plain = h('div', {class: 'plain'});
  const help = h('details', {class: 'help'}, h('summary', {}, 'What the numbers mean'),
    h('dl', {}, NUMBERS.map(([name, text]) => [h('dt', {}, name), h('dd', {}, text)])));
  const node = h('section', {class: 'panel board', 'aria-label': 'Candidates'},
    h('div', {class: 'panel-head'}, h('div', {class: 'pager'}, back, title, on, follow), note), legend, plain, rows, help);
  let now = {selected: 0, newest: 0, items: () => []};
  const open = key => { const items = now.items(); enlarge(items, items.findIndex(item => item.key === key)); };
  back.addEventListener('click', () => select(now.selected - 1));
  on.addEventListener('click', () => select(now.selected + 1));
  follow.addEventListener('click', () => select(now.newest, false));

  function draw({view, titles, selected, pinned}) {
    const steps = view.searched.length, found = view.iterations.filter(row => row.step === selected);
    const last = view.iterations[view.iterations.length - 1];
    now = {selected, newest: last ? last.step : Math.min(view.steps.length, Math.max(steps - 1, 0)), items: gallery(view, titles, found)};
    node.hidden = !steps;
    if (!steps) return;
    title.textContent = `Step ${selected + 1}`;
    back.disabled = selected <= 0;
    on.disabled = selected >= steps - 1;
    follow.hidden = !(pinned && LIVE.includes(view.state));
    keyed(note, describe(view, selected).map((part, i) => ({...part, i})), part => part.i, part => h('span', {title: part.title, class: part.title ? 'hinted' : null}, part.text));
    help.hidden = legend.hidden = !found.length;
    fill(legend, h('span', {class: 'key elite'}, kept(view)),
      h('span', {class: 'key best'}, 'highest of its iteration'), h('span', {}, 'Numbers', h('span', {class: 'of-dots'}, ' and dots'), `: ${optimisedTitle(view, titles)}`),
      h('span', {class: 'key middle of-dots'}, 'line: mean'));
    drawPlain(plain, view, selected, found.length > 0);
    keyed(rows, [...found, ...toCome(view, selected, found.length), ...usedNoise(view, selected)], row => `${selected}/${row.iteration}`,
      row => row.used ? usedRow(row, () => open('used')) : row.empty ? emptyRow(row) : makeRow(row, index => open(`${row.iteration}/${index}`)));
    const values = found.flatMap(row => row.total).filter(value => value !== null);
    for (const child of rows.children) child.labScale?.(Math.min(...values), Math.max(...values));
    rows.classList.toggle('many', view.config.search.num_candidates > 8);
    const k = view.config.search.num_candidates;
    rows.style.setProperty('--columns', Math.ceil(k / Math.ceil(k / (k > 8 ? 10 : 8))));
  }

  return {node, draw};
}

function describe(view, step) {
  const sigma = `\u03c3 ${number(view.sigmas[step])} \u2192 ${number(view.sigmas[step + 1])}`;
  const taken = view.steps[step], used = taken && view.step_std[step] > 0
    ? ` The noise it used has ${number(taken.noise_norm, 2)} of a real noise\u2019s size.` : '';
  const scored = view.iterations.find(row => row.step === step), over = scored && scored.over_noise > 1.0005
    ? ` Candidates are scored as the paper prints it: with ${number(scored.over_noise, 2)} times the noise that \u03c3 stands for (so the guess is blurrier than it need be).` : '';
  const excess = {text: `leaves ${number(view.excess_std[step], 2)} more than the next step expects`, title: view.excess_std[step] > 0 ? 'Noise that nobody removes later; it ends as grain.' : null};
  return [{text: `${sigma}. The step adds noise of standard deviation ${number(view.step_std[step], 2)} and `}, excess, {text: `.${over}${used}`}];
}

/** What the frame around a candidate means. */
function kept(view) {
  const {selection, num_iterations: n} = view.config.search, t = numElites(view);
  const which = selection === 'random' ? `${t} drawn at random` : t === 1 ? 'the best one' : `the best ${t}`;
  return n > 1 ? `kept: ${which}, from which the next iteration is drawn` : `kept: ${which}, from which the step\u2019s noise is made`;
}

/** For a step without candidates: why there are none, and the estimate large. */
function drawPlain(parent, view, step, searched) {
  parent.hidden = searched;
  if (searched) return;
  const row = view.steps[step], {window_min: low, window_max: high, search} = view.config, sigma = view.sigmas[step];
  const why = view.searched[step] ? (LIVE.includes(view.state) ? 'This step will be searched; its candidates appear here as they are scored.' : 'The session ended before this step was searched.')
    : !search.num_iterations ? 'This session searches nowhere: ordinary random noise enters at every step.'
    : sigma > high ? `Not searched: at \u03c3 ${number(sigma, 2)}, above ${number(high, 2)}, a guess of the final picture says little yet. Ordinary random noise enters here.`
    : `Not searched: \u03c3 ${number(sigma, 2)} is below ${number(low, 2)}. A search here would mostly choose the grain of the picture. Ordinary random noise enters.`;
  keyed(parent, [{why, image: row ? row.image : null}], () => step, one => h('div', {class: 'plain-row'},
    one.image ? picture(one.image, 'The guess after this step') : null, h('p', {}, one.why)));
}

/** Rows that are still to come in the step under way: they hold the place, so that nothing jumps while one watches. */
function toCome(view, step, found) {
  const {num_iterations: n, num_candidates: k} = view.config.search;
  if (!found || step !== view.steps.length || !LIVE.includes(view.state) || n * k > 100) return [];
  return Array.from({length: Math.max(n - found, 0)}, (_, i) => ({empty: k, iteration: found + i}));
}

/** The last row: what the step led to; while the step is under way it holds the place. */
function usedNoise(view, step) {
  const taken = view.steps[step], found = view.iterations.some(row => row.step === step);
  if (!found || !taken && !toCome(view, step, -1).length) return [];
  return [{used: true, iteration: 'used', image: taken ? taken.image : null, reward: taken ? total(view, taken.rewards) : null, text: usedText(view)}];
}

function usedText(view) {
  const {result} = view.config.search;
  return `What the step led to with the noise that was chosen${RESULTS[result] ? ` (${RESULTS[result]})` : ''}.`;
}

function usedRow(row, open) {
  const told = row.reward === null ? 'no number' : number(row.reward);
  return h('div', {class: `row used${row.image ? '' : ' to-come'}`, 'aria-hidden': row.image ? null : 'true'},
    h('div', {class: 'row-name'}, h('b', {}, 'used')),
    h('div', {class: 'candidates'}, row.image
      ? h('button', {type: 'button', class: 'candidate', 'aria-label': `The guess after the step, with the noise that was used, reward ${told}`, onclick: open},
        h('span', {class: 'frame'}, picture(row.image, '')), h('span', {class: 'reward'}, told))
      : h('span', {class: 'candidate'}, h('span', {class: 'frame'}), h('span', {class: 'reward'}, '\u00a0')),
    h('p', {class: 'used-text'}, row.image ? row.text : '')));
}

function emptyRow(row) {
  return h('div', {class: 'row to-come', 'aria-hidden': 'true'},
    h('div', {class: 'row-name'}, h('b', {}, String(row.iteration + 1)), h('span', {}, 'iteration')),
    h('div', {class: 'candidates'}, Array.from({length: row.empty}, () => h('span', {class: 'candidate'}, h('span', {class: 'frame'}), h('span', {class: 'reward'}, '\u00a0')))));
}

function makeRow(row, open) {
  const best = highest(row.total)[0];
  const bad = row.total.filter(value => value === null).length;
  const facts = [['centre', row.mean_norm, 2], ['spread', row.std_quantiles[2], 2], ['likeness', row.cosine, 2], ['kurtosis', mean(row.kurtosis), 1]];
  const dots = svg('svg', {class: 'dots', 'aria-hidden': 'true'});
  const node = h('div', {class: 'row'},
    h('div', {class: 'row-name'}, h('b', {}, String(row.iteration + 1)), h('span', {}, 'iteration'),
      bad ? h('em', {class: 'bad'}, `${bad} without a score`) : null),
    h('div', {class: 'candidates'}, row.images.map((image, i) => candidate(row, image, i, i === best, () => open(i)))),
    dots,
    h('dl', {class: 'facts'}, facts.map(([name, value, places]) =>
      h('div', {title: NUMBERS.find(([one]) => one === name)[1]}, h('dt', {}, name), h('dd', {}, number(value, places))))),
    row.notes.map(text => h('p', {class: 'row-note'}, text)));
  node.labScale = (low, high) => drawDots(dots, row, low, high);
  return node;
}

/** The row's rewards on the scale of the whole step, so that one sees the rows climb (or not). */
function drawDots(parent, row, low, high) {
  const at = value => `${(6 + 88 * (high > low ? (value - low) / (high - low) : 0.5)).toFixed(2)}%`;
  const middle = mean(row.total);
  const dot = (value, i) => value === null ? null
    : svg('circle', {cx: at(value), cy: 14, r: row.elites.includes(i) ? 5 : 4, class: row.elites.includes(i) ? 'elite' : null});
  fill(parent, svg('line', {x1: '3%', x2: '97%', y1: 14, y2: 14}),
    middle === null ? null : svg('line', {class: 'mean', x1: at(middle), x2: at(middle), y1: 5, y2: 23}),
    row.total.map(dot),
    [[low, 'start', '3%'], [high, 'end', '97%']].map(([value, anchor, x]) => {
      const text = svg('text', {x, y: 38, 'text-anchor': anchor});
      text.textContent = Number.isFinite(value) ? number(value) : '';
      return text;
    }));
}

function candidate(row, image, index, best, open) {
  const elite = row.elites.includes(index), value = row.total[index], broken = value === null;
  const label = [`Candidate ${index + 1} of iteration ${row.iteration + 1}`, broken ? 'its reward is not a number' : `reward ${number(value)}`, elite && 'kept', best && 'highest'];
  return h('button', {type: 'button', class: ['candidate', elite && 'elite', best && 'best', broken && 'broken'].filter(Boolean).join(' '),
    'aria-label': label.filter(Boolean).join(', '), onclick: open},
  h('span', {class: 'frame'}, picture(image, ''), best ? h('span', {class: 'star', 'aria-hidden': 'true'}, '\u2605') : null),
  h('span', {class: 'reward'}, broken ? 'no number' : number(value)));
}

/** All candidates of a step for the large view, made when one is opened. */
function gallery(view, titles, found) {
  const taken = found.length ? view.steps[found[0].step] : null;
  return () => [...found.flatMap(row => row.images.map((image, i) => ({
    key: `${row.iteration}/${i}`, image,
    title: `Step ${row.step + 1}, iteration ${row.iteration + 1}, candidate ${i + 1}`,
    note: [row.elites.includes(i) ? 'Kept: it steers the next iteration.' : 'Not kept.',
      i === highest(row.total)[0] ? 'Highest of its iteration.' : '', row.total[i] === null ? 'Its reward is not a number, so it could not be kept.' : ''].filter(Boolean).join(' '),
    facts: [...rewardFacts(view, titles, name => row.rewards[name] && row.rewards[name][i]),
      ['Noise size, of \u221ad', number(row.norms[i])], ['Kurtosis', number(row.kurtosis[i], 2)]],
  }))), ...(taken ? [{
    key: 'used', image: taken.image, title: `Step ${taken.step + 1}, the noise that was used`, note: usedText(view),
    facts: [...rewardFacts(view, titles, name => taken.rewards[name]), ['Noise size, of \u221ad', number(taken.noise_norm)]],
  }] : [])];
}

/** [title, value] of every reward, the optimised ones first. */
export function rewardFacts(view, titles, value) {
  const {optimised, watched} = rewardNames(view);
  const facts = [...optimised.map(name => [`${titles[name] || name} (optimised)`, told(value(name))]),
    ...watched.map(name => [`${titles[name] || name} (watched)`, told(value(name))])];
  if (optimised.length > 1) facts.unshift(['Weighted sum', told(total(view, Object.fromEntries(optimised.map(name => [name, value(name)]))))]);
  return facts;
}

function told(value) {
  return value === null ? 'no number' : number(value);
}

function mean(values) {
  const known = values.filter(value => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}
