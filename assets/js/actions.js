// What the session's buttons ask of the server: commands through the page's own channel, roll-outs over HTTP.
import {api} from './api.js';
import {sentence} from './words.js';
import {newestRow, searchesStart, stepRow, stepUnderWay} from './view.js';
import {placeKey} from './finish.js';
import {choosable} from './chooser.js';

/** `state` is the session's; `draw` shows a change of it, `wake` makes the page ask the server again, `go` puts the cursor at what is new. */
export function makeActions({state, draw, trigger, wake, go}) {
  function send(kind, more = {}) {
    Object.assign(state, {asked: kind, notice: ''});
    draw();
    trigger('command', {record: state.view.id, kind, ...(kind === 'step' ? lookedAt(state.view) : {}), ...more});
  }

  /** Roll candidates of one iteration out to their final pictures. */
  async function finish(places) {
    const {view} = state, [{step, iteration}] = places, keys = places.map(placeKey);
    for (const key of keys) state.finishAsked.add(key);
    state.notice = '';
    draw();
    try {
      await api(`sessions/${view.id}/finish`, {step, iteration, candidates: places.map(one => one.candidate)});
      state.finishTold.push(...keys);
      wake();
    } catch (error) {
      for (const key of keys) state.finishAsked.delete(key);
      state.notice = sentence(error.message);
      draw();
    }
  }

  function choose() {
    const {view} = state, row = choosable(view);
    if (!row) return;
    state.choosing = {step: row.step, iteration: row.iteration, chosen: new Set(row.elites)};
    go();
    if (view.state === 'paused') draw();
    else send('pause');
  }

  function tick(candidate) {
    const {chosen} = state.choosing;
    if (!chosen.delete(candidate)) chosen.add(candidate);
    draw();
  }

  /** Send the ticked ones as the kept ones of the iteration that was looked at, then go on. */
  function keep(then) {
    const {step, iteration, chosen} = state.choosing;
    state.choosing = null;
    send('elites', {step, iteration, payload: {elites: [...chosen].sort((a, b) => a - b)}, then});
  }

  function leave() {
    state.choosing = null;
    draw();
  }

  return {send, finish, choose, tick, keep, leave};
}

/** What the reader of a "step" has before the eyes: the newest iteration of the step under way, or the last one taken. */
function lookedAt(view) {
  const last = newestRow(view), step = stepUnderWay(view);
  if (last && last.step >= step) return {step: last.step, iteration: last.iteration};
  return step > (searchesStart(view) ? -1 : 0) && stepRow(view, step - 1) ? {step: step - 1} : {};
}
