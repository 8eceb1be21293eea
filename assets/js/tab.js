// The page's title and icon: how far the run is, and, on a page that was not looked at, how it ended.

const LIVES = ['pending', 'running'];
const ENDS = {succeeded: 'Finished', failed: 'Failed', cancelled: 'Stopped'};

/** Keep title and icon to what the queue tells. A title set by anyone else becomes the one that is kept behind it. */
export function makeTab(queue) {
  let own = '', base = document.title, living = new Set(), ended = [], running = null;
  const icon = document.createElement('link');
  icon.rel = 'icon';
  icon.type = 'image/svg+xml';

  function draw({jobs, finished}) {
    const now = new Set(jobs.filter(job => LIVES.includes(job.state)).map(job => job.job_id));
    if (document.hidden) ended.push(...finished.filter(job => living.has(job.job_id) && !now.has(job.job_id)));
    living = now;
    running = jobs.find(job => job.state === 'running') || null;
    paint();
  }

  function paint() {
    if (document.title !== own) base = document.title;
    own = [lead(running, ended), base].filter(Boolean).join(' - ');
    if (document.title !== own) document.title = own;
    const href = `data:image/svg+xml,${encodeURIComponent(drawing(running, ended))}`;
    if (icon.href !== href) icon.href = href;
    for (const other of document.querySelectorAll('link[rel~="icon"]')) if (other !== icon) other.remove();
    if (!icon.isConnected) document.head.append(icon);
  }

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    ended = [];
    paint();
  });
  paint();
  queue.watch(draw);
}

/** What comes before the title. An end outranks a run: it is what somebody waits for elsewhere. */
export function lead(running, ends) {
  if (ends.length > 1) return `${ends.length} ended`;
  if (ends.length) return ENDS[ends[0].state] || 'Ended';
  if (!running) return '';
  return running.progress === null || running.progress === undefined ? 'Running' : `${Math.round(100 * running.progress)}%`;
}

/** A ring that closes as the run goes on; a full dot when one has ended; the lab's mark otherwise. */
function drawing(running, ends) {
  const svg = inner => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none">${inner}</svg>`;
  if (ends.length) {
    const bad = ends.some(job => job.state === 'failed');
    const sign = bad ? 'M16 8v10M16 23v1.5' : 'M9.5 16.5l4.5 4.5 8.5-9.5';
    return svg(`<circle cx="16" cy="16" r="15" fill="${bad ? '#c2362d' : '#12877c'}"/>`
      + `<path d="${sign}" stroke="#fff" stroke-width="3.6" stroke-linecap="round" stroke-linejoin="round"/>`);
  }
  if (!running) return svg('<circle cx="16" cy="16" r="13.5" stroke="#8a9097" stroke-width="2"/><circle cx="16" cy="16" r="9.5" stroke="#8a9097" stroke-width="1.5"/><circle cx="16" cy="16" r="5" fill="#12877c"/>');
  const around = 2 * Math.PI * 12, done = Math.max(0.04, Math.min(1, running.progress || 0));
  return svg('<circle cx="16" cy="16" r="12" stroke="#8a909755" stroke-width="6"/>'
    + `<circle cx="16" cy="16" r="12" stroke="#16a394" stroke-width="6" stroke-dasharray="${(done * around).toFixed(2)} ${around.toFixed(2)}" transform="rotate(-90 16 16)"/>`);
}
