// Who is ahead of a waiting session, by name.
import {api} from './api.js';

const EVERY = 2000;

/** `came` gets [{title, state}] of the jobs ahead whenever they have changed. */
export function makeQueueWatch(came) {
  let told = '[]', last = 0, watched = '';

  async function look(id) {
    last = Date.now();
    const {jobs} = await api('queue').catch(() => ({jobs: []}));
    const mine = jobs.findIndex(job => job.record_id === id && job.kind === 'explore');
    const ahead = jobs.slice(0, Math.max(mine, 0)).filter(job => job.state !== 'paused').map(titled);
    if (watched === id && JSON.stringify(ahead) !== told) { told = JSON.stringify(ahead); came(ahead); }
  }

  return {
    watch(view) {
      const waits = view.state === 'pending';
      if (waits && (watched !== view.id || Date.now() - last > EVERY)) { watched = view.id; look(view.id); }
      if (!waits && watched) { watched = ''; told = '[]'; came([]); }
    },
  };
}

function titled(job) {
  const name = job.name || job.prompt, short = name.length > 60 ? `${name.slice(0, 57)}\u2026` : name;
  return {title: `\u201c${short}\u201d`, state: job.state};
}
