// Reading a session's view: its rows by step, iteration and candidate; and putting a part that came later into it.

/** Index of every highest value; none where nothing is a number. */
export function highest(values) {
  const known = values.filter(value => value !== null && value !== undefined);
  const top = Math.max(...known);
  return known.length ? values.flatMap((value, i) => (value === top ? [i] : [])) : [];
}

/** Whether the session searches its starting noise: such candidates stand at step -1. */
export function searchesStart(view) {
  return Boolean(view.config.search_initial) && view.config.search.num_iterations > 0;
}

/** Every step that has a place on the page, in order. */
export function stepsOf(view) {
  const steps = view.searched.map((_, step) => step);
  return steps.length && searchesStart(view) ? [-1, ...steps] : steps;
}

/** What a step led to; undefined before it is taken. */
export function stepRow(view, step) {
  return view.steps.find(row => row.step === step);
}

export function iterationsOf(view, step) {
  return view.iterations.filter(row => row.step === step);
}

export function iterationRow(view, step, iteration) {
  return view.iterations.find(row => row.step === step && row.iteration === iteration);
}

export function isSearched(view, step) {
  return step < 0 ? searchesStart(view) : Boolean(view.searched[step]);
}

/** The step under way: -1 while the starting noise is searched, the number of steps once all are taken. */
export function stepUnderWay(view) {
  if (searchesStart(view) && !stepRow(view, -1)) return -1;
  return view.steps.filter(row => row.step >= 0).length;
}

/** The iteration scored last. */
export function newestRow(view) {
  return view.iterations[view.iterations.length - 1];
}

/** Whether a row's pictures and numbers are here; else they must be asked for. */
export function detailed(row) {
  return Array.isArray(row.images);
}

export function sizeOf(row) {
  return row.num_candidates ?? row.total.length;
}

/** How many candidates have been scored so far. */
export function scoredCount(view) {
  return view.iterations.reduce((sum, row) => sum + sizeOf(row), 0);
}

/** Candidates of a row as they are shown: by index, or by reward with those without one last. */
export function orderOf(row, sort) {
  const order = Array.from({length: sizeOf(row)}, (_, i) => i);
  if (sort !== 'reward' || !detailed(row)) return order;
  const value = i => row.total[i] ?? -Infinity;
  return order.sort((a, b) => (value(a) === value(b) ? a - b : value(b) - value(a)));
}

/** Place of a candidate within its iteration, 1 for the highest reward; null without a reward. */
export function rankOf(row, candidate) {
  const mine = row.total[candidate];
  return mine === null || mine === undefined ? null : row.total.filter(one => one !== null && one > mine).length + 1;
}

/** The candidate of a row to look at first. */
export function bestOf(row) {
  return detailed(row) ? highest(row.total)[0] ?? row.elites[0] ?? 0 : row.elites[0] ?? 0;
}

/** Whether the kept ones are not those that the search itself would have kept. */
export function keptByHand(view, row) {
  if (view.config.search.selection !== 'top' || !detailed(row) || !row.elites.length) return false;
  const first = orderOf(row, 'reward').slice(0, row.elites.length);
  return row.elites.some(i => !first.includes(i));
}

const KEYS = {
  iterations: row => `${row.step}/${row.iteration}`,
  steps: row => row.step,
  arms: row => row.arm,
  finishes: row => `${row.step}/${row.iteration}/${row.candidate}`,
};
const RANKS = {
  iterations: (a, b) => a.step - b.step || a.iteration - b.iteration,
  steps: (a, b) => a.step - b.step,
  arms: (a, b, view) => armPlace(view, a.arm) - armPlace(view, b.arm),
  finishes: (a, b) => a.step - b.step || a.iteration - b.iteration || a.candidate - b.candidate,
};

function armPlace(view, name) {
  return name === 'search' ? -1 : view.config.arms.indexOf(name);
}

/**
 * The view after a message: a whole one replaces the old; of a partial one the rows replace those of the same key.
 * Pictures and numbers of candidates that are here stay here, since a large session sends them only once.
 */
export function merged(old, next) {
  if (!old || old.id !== next.id) return next;
  const view = {...next, partial: false};
  for (const [name, key] of Object.entries(KEYS)) {
    const known = new Map((old[name] || []).map(row => [key(row), row]));
    const come = (next[name] || []).map(row => (name === 'iterations' ? {...arraysOf(known.get(key(row))), ...row} : row));
    if (!next.partial) { view[name] = come; continue; }
    for (const row of come) known.set(key(row), row);
    view[name] = [...known.values()].sort((a, b) => RANKS[name](a, b, next));
  }
  return view;
}

/** The view with the arrays of one step's iterations, asked for apart. */
export function withDetail(view, rows) {
  const found = new Map(rows.map(row => [KEYS.iterations(row), arraysOf(row)]));
  return {...view, iterations: view.iterations.map(row => ({...row, ...found.get(KEYS.iterations(row))}))};
}

function arraysOf(row) {
  if (!row || !detailed(row)) return {};
  return Object.fromEntries(['images', 'rewards', 'total', 'norms', 'kurtosis'].map(name => [name, row[name]]));
}
