// Keeping candidates by hand: while a session stands at an iteration, the reader ticks the ones that steer the next.
import {h} from './dom.js';
import {LIVE, plural, stepTitle} from './words.js';
import {newestRow, stepRow} from './view.js';

/** The iteration whose kept ones can still be changed; null where there is none. */
export function choosable(view) {
  const row = newestRow(view);
  return row && LIVE.includes(view.state) && view.state !== 'pending' && !stepRow(view, row.step) ? row : null;
}

/** Why nothing can be chosen where a session stands between two steps. */
export function pastWords(view) {
  const row = newestRow(view);
  if (!row || view.state !== 'paused' || choosable(view)) return '';
  return `${stepTitle(row.step)} is taken with what was kept; press Step, and the next candidates can be chosen.`;
}

/** `choosing` is {step, iteration, chosen: Set} or null; `send(then)` sends the choice, `leave` drops it. */
export function makeChooser({send, leave}) {
  const text = h('p');
  const on = h('button', {type: 'button', class: 'drive continue', onclick: () => send('continue')}, 'Keep these and go on');
  const one = h('button', {type: 'button', class: 'drive', onclick: () => send('step')}, 'Keep these, then pause again');
  const away = h('button', {type: 'button', class: 'link', onclick: leave}, 'Leave it to the search');
  const node = h('div', {class: 'chooser', role: 'group', 'aria-label': 'Choose the kept ones', hidden: true}, text, h('div', {class: 'chooser-acts'}, on, one, away));

  function draw({view, choosing, asked}) {
    node.hidden = !choosing;
    if (!choosing) return;
    const row = choosable(view), ready = isReady(view, choosing), count = choosing.chosen.size;
    const {num_iterations: n, result} = view.config.search;
    const goal = row && row.iteration + 1 < n ? 'that should steer the next ones'
      : result === 'best' ? 'to be kept (the noise of this step is the one with the highest score all the same)' : 'of which the noise of this step should be made';
    text.textContent = ready ? `${stepTitle(row.step)}, iteration ${row.iteration + 1}: tick the candidates ${goal}. ${count ? `${plural(count, 'candidate')} ticked` : 'Tick at least one'}${row.elites.length ? `; the search itself would keep ${row.elites.length}` : ''}.`
      : view.state === 'paused' ? 'The session stands between two steps, where nothing can be kept. Press Step for the next candidates.'
      : 'Pausing after what is being scored now\u2026';
    on.disabled = one.disabled = !ready || !count || Boolean(asked);
  }

  return {node, draw};
}

/** Whether the ticks are those of the iteration at which the session now stands. */
export function isReady(view, choosing) {
  const row = choosable(view);
  return Boolean(row && choosing && view.state === 'paused' && row.step === choosing.step && row.iteration === choosing.iteration);
}

/** The choice to begin with once the session stands: what the search would keep. An earlier iteration's ticks are gone. */
export function begun(view, choosing) {
  const row = choosable(view);
  if (!choosing) return null;
  if (!LIVE.includes(view.state)) return null;
  if (!row || row.step === choosing.step && row.iteration === choosing.iteration) return choosing;
  return {step: row.step, iteration: row.iteration, chosen: new Set(row.elites)};
}
