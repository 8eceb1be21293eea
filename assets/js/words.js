// Numbers and sentences: how a session is told to people. Pure functions of the session's JSON.
import {highest, iterationsOf, searchesStart, stepUnderWay} from './view.js';

const MINUS = '\u2212';

/** A number for a table: three significant places after the point at most, a true minus; null is "not a number". */
export function number(value, places = 3) {
  if (value === null || value === undefined) return 'n/a';
  const size = Math.abs(value);
  const text = size.toFixed(size >= 100 ? 0 : size >= 10 ? Math.min(places, 1) : size < 0.01 && size > 0 && places < 3 ? places + 1 : places);
  return (value < 0 && Number(text) !== 0 ? MINUS : '') + text;
}

/** A number as `number` shows it, so that a difference agrees with what stands beside it. */
export function asShown(value) {
  return Number(number(value).replace(MINUS, '-'));
}

export function count(value) {
  return Math.round(value).toLocaleString('en-US');
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function seconds(value) {
  if (value < 0.95) return `${value.toFixed(1)} s`;
  return value < 100 ? `${value.toFixed(value < 10 ? 1 : 0)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

export const LIVE = ['pending', 'running', 'paused'];

/** Names of the rewards that the search climbs, and of those that are only watched. */
export function rewardNames(view) {
  const weights = view.config.rewards;
  const names = Object.keys(weights);
  return {optimised: names.filter(name => weights[name] !== 0), watched: names.filter(name => weights[name] === 0)};
}

/** The optimised sum of some rewards; null when a part of it is not a number. */
export function total(view, rewards) {
  let sum = 0;
  for (const name of rewardNames(view).optimised) {
    const value = rewards[name];
    if (value === null || value === undefined) return null;
    sum += view.config.rewards[name] * value;
  }
  return sum;
}

export function optimisedTitle(view, titles) {
  const {optimised} = rewardNames(view);
  return optimised.length === 1 && view.config.rewards[optimised[0]] === 1
    ? titles[optimised[0]] || optimised[0]
    : 'weighted sum';
}

/** A model's title; one that was trained here and has none is called by what it was made of. */
export function modelTitle(model, titles) {
  const [base, made = ''] = model.split('+'), [, epoch] = made.match(/@(\d+)/) || [];
  return titles[model] || (made ? `${titles[base] || base}, fine-tuned${epoch ? ` for ${plural(Number(epoch), 'epoch')}` : ''}` : model);
}

export function numElites(view) {
  const search = view.config.search;
  return Math.floor(search.elite_fraction * search.num_candidates + 1e-9);
}

/** A step as people count, from 1; step -1 is the search of the starting noise. */
export function stepTitle(step) {
  return step < 0 ? 'Starting noise x\u2081' : `Step ${step + 1}`;
}

/** Where a session stands: step and iteration (from 0), the phase, and how much of it is done. */
export function position(view) {
  const steps = view.searched.length, step = stepUnderWay(view);
  const per = view.config.search.num_iterations, first = searchesStart(view) ? 1 : 0;
  const arms = view.config.arms.length + 1;
  const here = iterationsOf(view, step).length;
  const searchedSteps = view.searched.filter(Boolean).length + first;
  const units = steps + first + searchedSteps * per + 2 * arms;
  const done = view.steps.length + view.iterations.length + 2 * view.arms.length;
  const ended = view.state === 'succeeded';
  return {
    steps, step, per, arms,
    iteration: here,
    phase: ended ? 'finished' : !steps ? 'starting' : step < steps ? 'search' : 'arms',
    searching: step < 0 || step < steps && view.searched[step],
    fraction: ended ? 1 : steps ? Math.min(done / units, 0.99) : 0,
  };
}

/** What is happening, in a sentence. */
export function status(view, ahead = []) {
  const at = position(view), job = view.job, spent = plural(view.cost.nfe, 'velocity evaluation');
  if (view.state === 'failed') return `Stopped by an error: ${view.error || (job && job.error) || 'unknown'}`;
  if (view.state === 'cancelled') return `Stopped ${where(at)}. What was found until then is kept.`;
  if (view.state === 'succeeded') return `Finished in ${seconds(view.cost.seconds)}: ${spent}, ${plural(view.cost.decodes, 'picture')} decoded.`;
  if (view.state === 'pending') {
    const before = job && job.queue_position ? job.queue_position - 1 : 0;
    if (ahead.length) return `Waiting behind ${listed(ahead.map(one => (one.state === 'running' ? `${one.title}, which runs now` : one.title)))}.`;
    if (before > 0) return `Waiting: ${plural(before, 'session')} ahead.`;
    if (at.steps) return `Waiting for the worker to go on ${where(at)}.`;
    return job && job.queue_position === 1 ? 'Waiting for the worker: one session runs at a time.' : 'Waiting for the worker.';
  }
  const doing = at.phase === 'starting' ? 'Reading the prompt' : at.phase === 'arms'
    ? `Comparing: arm ${Math.min(view.arms.length + 1, at.arms)} of ${at.arms}`
    : at.searching ? `${place(at)}, iteration ${Math.min(at.iteration + 1, at.per)} of ${at.per}`
    : `${place(at)}, outside the search window`;
  if (view.state === 'paused') return `Paused ${where(at)}, ${spent}.`;
  const mode = job && job.mode;
  const tail = mode === 'pausing' ? '; pausing as soon as this is done' : '';
  return `${doing}, ${spent}${tail}.`;
}

/** Some names in a sentence; more than three are counted. */
function listed(names) {
  const told = names.length > 3 ? [...names.slice(0, 2), `${names.length - 2} more`] : names;
  return told.length > 1 ? `${told.slice(0, -1).join(', ')} and ${told[told.length - 1]}` : told[0];
}

function place(at) {
  return at.step < 0 ? stepTitle(at.step) : `${stepTitle(at.step)} of ${at.steps}`;
}

function where(at) {
  if (at.phase === 'starting') return 'before the first step';
  if (at.phase === 'arms') return 'among the arms';
  if (at.iteration > 0) return `in ${at.step < 0 ? 'the search of the starting noise' : `step ${at.step + 1} of ${at.steps}`}, after iteration ${at.iteration} of ${at.per}`;
  return at.step > 0 ? `after step ${at.step} of ${at.steps}` : 'before the first step';
}

/** For someone who has not read the paper: what this session does. */
export function explanation(view) {
  const {search} = view.config, k = search.num_candidates, n = search.num_iterations, t = numElites(view);
  const start = `The model turns noise into a picture in ${plural(view.config.num_steps, 'step')}, and a little new noise enters at each.`;
  if (!n) return `${start} Here it is left to chance.`;
  const steps = view.searched.length ? view.searched.some(Boolean) : view.config.window_max > 0;
  const at = !searchesStart(view) ? 'At the marked steps' : steps ? 'For the starting noise, and at the marked steps,' : 'That is left to chance, but the starting noise is not: for it';
  const guess = {
    one_step: 'guesses the finished picture that each would lead to, and scores the guesses',
    k_step: `guesses in ${plural(view.config.estimator_steps, 'step')} the finished picture that each would lead to, and scores the guesses`,
    full: 'follows each to the picture that it leads to without further noise, and scores these pictures',
  }[estimatorOf(view)];
  const noisy = estimatorOf(view) === 'full' && view.config.step_kind !== 'ode'
    ? ' The session\u2019s own steps do add noise, so it may end elsewhere than the picture that was chosen, and lower.' : '';
  const scored = !steps ? '' : search.reading === 'sde' ? ' Each noise is scored where the sampler would really go with it.'
    : ' For its score a noise is added to the present picture without moving on, as the paper prints it.';
  if (search.selection === 'random')
    return `${start} ${at} the lab tries ${plural(k, 'noise')} and ${guess}, but which ${t > 1 ? `${t} are` : 'one is'} kept is drawn blindly: a control without a signal. `
      + 'The scores are shown for the eye; they steer nothing and are not charged.';
  const end = search.selection === 'bottom' ? 'worst' : 'best';
  if (n === 1)
    return `${start} ${at} the lab tries ${plural(k, 'noise')}, ${guess}, and goes on with the ${end}${t > 1 ? ` ${t}` : ''}.${scored}${noisy}`;
  return `${start} ${at} the lab ${steps ? 'does not leave that noise to chance: it ' : ''}tries ${plural(k, 'noise')}, ${guess}, `
    + `and lets the ${end} ${t > 1 ? t : 'one'} steer the next ${k}: ${plural(n, 'iteration')} in all.${scored}${noisy}`;
}

/** How candidates are judged: whether by a guess in `one_step`, as the pictures after each step are, or by another. */
export function estimatorOf(view) {
  return view.config.estimator || 'one_step';
}

/** The kind of picture that a candidate is shown as. */
export function guessWords(view) {
  return {one_step: 'a guess made in one go', k_step: `a guess made in ${plural(view.config.estimator_steps, 'step')}`, full: 'where it ends without further noise'}[estimatorOf(view)];
}

/** How a reward that is not merely watched is called in this session: where nothing follows it, it is not optimised. */
export function climbedWord(view) {
  return follows(view) ? 'optimised' : 'not followed';
}

export const ARMS = {
  search: {title: 'Noise search', line: () => 'The noise found above, step by step.'},
  no_search: {title: 'No search', line: () => 'Same start, ordinary random noise at every step.'},
  ode: {title: 'ODE', line: () => 'Same start, no noise at any step.'},
  random_elites: {title: 'Random elites', line: () => 'The same rounds, but what is kept is drawn at random: same sizes, no signal.'},
  best_of_sde: {title: 'Best of many, same start', line: n => `The best of ${n ? plural(n, 'whole run') : 'as many whole runs'} from the same start, for the search\u2019s cost.`},
  best_of_seed: {title: 'Best of many, fresh starts', line: n => `The best of ${n ? plural(n, 'whole run') : 'as many whole runs'} from fresh starts, for the search\u2019s cost.`},
};

/** Title and line of an arm in this session: one that searched nothing, or blindly, is not called a search. */
export function armWords(view, name) {
  const {num_iterations: n, selection} = view.config.search;
  if (name === 'search' && !n) return {title: 'This session', line: () => 'Nothing was searched: ordinary random noise.'};
  if (name === 'search' && selection === 'random') return {title: 'This session', line: () => 'Blind rounds: what was kept was drawn at random.'};
  return ARMS[name] || {title: name, line: () => ''};
}

/** Whether the session's own arm follows its reward. */
export function follows(view) {
  return view.config.search.num_iterations > 0 && view.config.search.selection !== 'random';
}

/** What the noise of a step was made of. */
export const RESULTS = {
  mean: 'the mean of the kept ones',
  sample: 'a new one, drawn as a next iteration would draw it',
  best: 'the one with the highest score',
  mean_on_shell: 'the mean of the kept ones, brought to a real noise\u2019s size',
};

function quoted(text) {
  return `\u201c${text}\u201d`;
}

/** The outcome in two honest sentences. */
export function verdict(view, titles) {
  if (view.state !== 'succeeded' || view.arms.length < 2) return '';
  const search = view.arms.findIndex(arm => arm.arm === 'search');
  if (search < 0) return '';
  const parts = [], own = follows(view) ? 'the search' : 'this session';
  const tell = (title, values, kind) => {
    const best = highest(values), mine = values[search];
    if (mine === null || !best.length) return;
    const rank = values.filter(value => value !== null && value > mine).length + 1;
    const even = number(values[best[0]]) === number(mine) ? ', by less than 0.001' : '';
    const winner = best.map(i => armWords(view, view.arms[i].arm).title).map(quoted).join(' and ');
    parts.push(best.length > 1 && best.length === values.length ? `On ${kind}, ${title}, all are equal: ${number(mine)}.`
      : rank === 1 && best.length === 1 ? `On ${kind}, ${title}, ${own} is highest: ${number(mine)}.`
      : rank === 1 ? `On ${kind}, ${title}, ${winner} are equal at the top: ${number(mine)}.`
      : `On ${kind}, ${title}, ${winner} ${best.length > 1 ? 'are' : 'is'} highest: ${number(values[best[0]])}${even}; ${own}, ${number(mine)}, is number ${rank} of ${values.length}.`);
  };
  tell(optimisedTitle(view, titles), view.arms.map(arm => total(view, arm.rewards)), follows(view) ? 'the reward it climbed' : 'the main reward');
  for (const name of rewardNames(view).watched)
    tell(titles[name] || name, view.arms.map(arm => arm.rewards[name] ?? null), 'a reward it only watched');
  return `${parts.join(' ')} One prompt and one seed show how it works, not how well.`;
}

/** [title, value] of every reward, the optimised ones first; `value` gives a reward's number by its name. */
export function rewardFacts(view, titles, value) {
  const {optimised, watched} = rewardNames(view), word = climbedWord(view);
  const facts = [...optimised.map(name => [`${titles[name] || name} (${word})`, told(value(name))]),
    ...watched.map(name => [`${titles[name] || name} (watched)`, told(value(name))])];
  if (optimised.length > 1) facts.unshift(['Weighted sum', told(total(view, Object.fromEntries(optimised.map(name => [name, value(name)]))))]);
  return facts;
}

/** A reward for people: null is one that is not a number. */
export function told(value) {
  return value === null ? 'no number' : number(value);
}

/** A message as a sentence. */
export function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.') : '';
}

/** A text as far as there is room for it. */
export function short(text, length = 80) {
  const letters = [...text];
  return letters.length > length ? `${letters.slice(0, length - 1).join('').trimEnd()}\u2026` : text;
}
