// One record that a page shows, kept up to date while it lives: asked for, asked again, commanded. What the page makes of
// its view is its own.
import {api} from './api.js';
import {LIVE} from './words.js';

const POLL = 1000, UNSEEN = 5; // ms from one look to the next, and how many times as long in a tab that nobody sees

/**
 * `path` is where the lab tells of records of a `kind`; `state` has the `view` that is shown, what was `asked` of it,
 * and whether the first one was `lost`. `does` are opened(view, place, still), another record, where `still()` says whether
 * it is yet the one wanted; heard(view), what is new of the one shown; draw(); waits(view), whether it may change; and
 * whole(view), whether only all of it tells how.
 */
export function makeFollow({kind, path, state, notices, others, queue, does}) {
  const {opened, heard, draw, waits = view => LIVE.includes(view.state), whole = () => false} = does;
  const at = (id, more = '') => `${path}/${encodeURIComponent(id)}${more}`;
  let timer = 0, turn = 0, silent = false, refusal = '';

  /** What the lab says of why a job that waits will not run: told while it is so. */
  function tellRefusal({state: now, job}) {
    const told = LIVE.includes(now) && job && job.refusal || '';
    if (told !== refusal) notices.note(told);
    refusal = told;
  }

  /** Show a record at a place of it, or where it opens by itself. */
  async function open(id, place = {}) {
    const mine = ++turn, still = () => mine === turn;
    clearTimeout(timer);
    try {
      const view = await api(at(id));
      if (!still()) return;
      notices.note(refusal = '');
      tellRefusal(view);
      state.lost = false;
      await opened(view, place, still);
    } catch (error) {
      if (!still()) return;
      notices.note(error.message);
      state.lost = !state.view;
      if (state.lost) { await others.list(null, true); draw(); }
      await notices.astray(id, kind);
    }
    if (!still()) return;
    if (state.view) others.list(state.view);
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (state.view && waits(state.view)) timer = setTimeout(poll, document.hidden ? UNSEEN * POLL : POLL);
  }

  async function poll() {
    const {view} = state, mine = turn;
    try {
      const newer = await api(at(view.id, whole(view) ? '' : `?after=${view.seq}`));
      if (mine !== turn) return;
      if (silent) notices.note(refusal = '');
      silent = false;
      if (newer) {
        tellRefusal(newer);
        await heard(newer);
        draw();
        if (newer.state !== view.state) others.list(state.view);
      }
    } catch (error) {
      if (mine !== turn) return;
      silent = true;
      notices.note(error.message);
    }
    plan();
  }

  /** Ask for a record to be made, and show it. */
  async function run(body) {
    const {id} = await api(path, body);
    queue.look();
    await open(id);
    if (matchMedia('(max-width: 820px)').matches) document.querySelector('.lab-session').scrollIntoView({block: 'start'});
  }

  /** Ask something of the record that is shown: pause, continue and the like. */
  async function send(command) {
    state.asked = command;
    draw();
    try {
      await api(at(state.view.id, '/command'), {kind: command});
      queue.look();
    } catch (error) {
      state.asked = null;
      notices.note(error.message);
      draw();
    }
    poll();
  }

  document.addEventListener('visibilitychange', () => { if (!document.hidden) plan(); });
  return {open, plan, run, send, at};
}
