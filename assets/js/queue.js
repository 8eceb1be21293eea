// What runs and waits, asked for while it matters, and what a person may do about it.
import {api} from './api.js';

const SOON = 1000, LATER = 5000;
const LIVES = ['pending', 'running'];

/**
 * Asks every second while a job runs or waits, else every five; a hidden page asks only while something lives, so
 * that its title can tell the end. `watch(draw)` is called with {jobs, finished, problem, known} after every answer.
 */
export function makeQueue() {
  const state = {jobs: [], finished: [], problem: '', known: false};
  const watchers = [];
  let timer = 0, asked = 0;

  const lives = () => state.jobs.some(job => LIVES.includes(job.state));
  const tell = () => { for (const draw of watchers) draw(state); };

  async function look() {
    const mine = ++asked;
    clearTimeout(timer);
    try {
      const {jobs, finished} = await api('queue');
      if (mine !== asked) return;
      Object.assign(state, {jobs, finished, problem: '', known: true});
    } catch (error) {
      if (mine !== asked) return;
      state.problem = error.message;
    }
    tell();
    plan();
  }

  function plan() {
    clearTimeout(timer);
    const wait = document.hidden ? (lives() ? LATER : null) : lives() && !state.problem ? SOON : LATER;
    if (wait !== null) timer = setTimeout(look, wait);
  }

  /** POST to one job, then look at once; returns the refusal's words, or '' when it was done. */
  async function act(job, what, body = {}) {
    let problem = '';
    try {
      await api(`queue/${encodeURIComponent(job.job_id)}/${what}`, body);
    } catch (error) {
      problem = error.message;
    }
    await look();
    return problem;
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? plan() : look()));
  // The session shown on this page tells of its own steps sooner than the next look would.
  let shown = '';
  window.addEventListener('lab:view', event => {
    const {view} = event.detail, now = `${view.id} ${view.state}`;
    if (now === shown) return;
    const first = !shown;
    shown = now;
    if (!first) look();
  });

  return {watch: draw => { watchers.push(draw); if (state.known || state.problem) draw(state); }, look, act};
}

/** Running and waiting: what the number on the button counts. */
export function alive(jobs) {
  return jobs.filter(job => LIVES.includes(job.state));
}
