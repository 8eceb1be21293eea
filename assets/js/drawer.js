// The queue as a panel beside any page: what runs, what waits and in which order, and what has just ended.
import {h, address, fill, picture} from './dom.js';
import {icon} from './icons.js';
import {livingList} from './living.js';
import {pointAt, stateWord, timeLeft, whereShown} from './states.js';

const NOW = ['running', 'paused'];
const KINDS = {finish: 'finishing candidates', measure: 'measuring', train: 'fine-tuning', evaluate: 'evaluating a fine-tune', replay: 'computing it once more'};
const AGAIN = ['failed', 'cancelled'];

export function makeDrawer({queue}) {
  const problem = h('p', {class: 'problem', role: 'alert'}), empty = h('div', {class: 'nothing'});
  const close = h('button', {type: 'button', class: 'tool', 'aria-label': 'Close the queue', onclick: () => shut()}, icon('close'));
  const told = async (job, what, body) => { problem.textContent = await queue.act(job, what, body); };
  const drag = makeDrag((job, to) => told(job, 'move', {to}));
  const parts = {
    now: section('Running', told, drag),
    waiting: section('Waiting', told, drag),
    ended: section('Recently ended', told, drag),
  };
  const node = h('aside', {class: 'lab-drawer', role: 'dialog', 'aria-label': 'Queue', hidden: true},
    h('header', {}, h('h2', {}, 'Queue'), close), problem, empty, Object.values(parts).map(part => part.node));
  let opener = null;

  node.addEventListener('keydown', event => { if (event.key === 'Escape') { event.stopPropagation(); shut(); } });
  fill(empty, h('p', {}, 'Nothing runs and nothing waits.'),
    h('p', {}, 'A search that you start on ', h('a', {href: address('.')}, 'Explore'), ' shows here. It goes on when you close the page.'));

  queue.watch(({jobs, finished, problem: unreachable, known}) => {
    parts.now.draw(jobs.filter(job => NOW.includes(job.state)));
    parts.waiting.draw(jobs.filter(job => job.state === 'pending'));
    parts.ended.draw(finished);
    empty.hidden = jobs.length > 0 || !known;
    if (unreachable || problem.dataset.lost) problem.textContent = unreachable;
    problem.dataset.lost = unreachable ? 'yes' : '';
  });

  function shut() {
    node.hidden = true;
    opener.setAttribute('aria-expanded', 'false');
    opener.focus();
  }

  return {
    node,
    toggle(button) {
      opener = button;
      if (!node.hidden) return shut();
      node.hidden = false;
      problem.textContent = '';
      button.setAttribute('aria-expanded', 'true');
      close.focus();
      queue.look();
    },
  };
}

function section(title, told, drag) {
  const list = h('ol'), node = h('section', {hidden: true, 'aria-label': title}, h('h3', {}, title), list);
  let count = 0;
  const draw = livingList(list, job => job.job_id, () => makeJob(told, drag, () => count));
  return {node, draw: jobs => { count = jobs.length; node.hidden = !jobs.length; draw(jobs); }};
}

/** One job. Its buttons work on what it was when last drawn. */
function makeJob(told, drag, count) {
  let job = null;
  const thumb = h('a', {class: 'thumb', tabindex: '-1', 'aria-hidden': 'true'}), title = h('a', {class: 'title'}), line = h('p', {class: 'line'});
  const bar = h('span', {class: 'bar'}), progress = h('div', {class: 'progress', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100}, bar);
  const error = h('p', {class: 'error'});
  const tool = (name, label, onclick) => h('button', {type: 'button', class: 'tool', title: label, 'aria-label': label, onclick}, icon(name));
  const up = tool('up', 'Earlier', () => told(job, 'move', {to: job.position - 1}));
  const down = tool('down', 'Later', () => told(job, 'move', {to: job.position + 1}));
  const cancel = h('button', {type: 'button', class: 'small', onclick: () => { cancel.disabled = true; told(job, 'cancel'); }});
  const again = h('button', {type: 'button', class: 'small', onclick: () => { again.disabled = true; told(job, 'retry'); }}, 'Try again');
  const node = h('li', {class: 'job'}, thumb,
    h('div', {class: 'about'}, title, line, progress, error), h('div', {class: 'tools'}, up, down, cancel, again));
  drag(node, () => job);
  let shownPicture;

  function draw(next) {
    job = next;
    const name = job.name || job.prompt, waits = job.state === 'pending', lives = waits || NOW.includes(job.state);
    node.dataset.state = job.state;
    node.dataset.kind = job.kind;
    node.draggable = waits && count() > 1;
    for (const link of [thumb, title]) pointAt(link, whereShown(job.kind, job.record_id));
    if (shownPicture !== job.picture) fill(thumb, job.picture ? picture(job.picture, '') : null);
    shownPicture = job.picture;
    title.textContent = name;
    line.textContent = lineOf(job);
    progress.hidden = !(NOW.includes(job.state)) || job.progress === null || job.progress === undefined;
    bar.style.width = `${100 * (job.progress || 0)}%`;
    progress.setAttribute('aria-valuenow', Math.round(100 * (job.progress || 0)));
    progress.setAttribute('aria-label', `Progress of ${name}`);
    error.textContent = job.error || '';
    up.hidden = down.hidden = !waits || count() < 2;
    up.disabled = job.position === 1;
    down.disabled = job.position === count();
    cancel.hidden = !lives;
    if (!lives || cancel.dataset.state !== job.state) cancel.disabled = false;
    cancel.dataset.state = job.state;
    cancel.textContent = waits ? 'Cancel' : 'Stop';
    again.hidden = !AGAIN.includes(job.state);
  }

  return {node, draw};
}

/** What a job does, and how long it will. */
function lineOf(job) {
  const parts = [job.state === 'pending' ? (job.position === 1 ? 'Next' : `Number ${job.position}`) : stateWord(job.state, job.mode)];
  if (job.kind in KINDS) parts.push(KINDS[job.kind]);
  if (job.state === 'running' && typeof job.progress === 'number') parts.push(`${Math.round(100 * job.progress)}%`);
  if (['running', 'pending'].includes(job.state)) parts.push(timeLeft(job.seconds_left));
  return parts.filter(Boolean).join(' \u00b7 ');
}

/** Waiting jobs can be dragged to another place; `move(job, to)` says which. */
function makeDrag(move) {
  let held = null;
  return (node, job) => {
    node.addEventListener('dragstart', event => { held = job(); event.dataTransfer.effectAllowed = 'move'; });
    node.addEventListener('dragend', () => { held = null; node.classList.remove('target'); });
    node.addEventListener('dragover', event => {
      if (!held || job().state !== 'pending' || job().job_id === held.job_id) return;
      event.preventDefault();
      node.classList.add('target');
    });
    node.addEventListener('dragleave', () => node.classList.remove('target'));
    node.addEventListener('drop', event => {
      event.preventDefault();
      node.classList.remove('target');
      if (held) move(held, job().position);
      held = null;
    });
  };
}
