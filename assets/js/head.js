// The head of a session: its prompt, what it is, where it stands, and the buttons that drive it.
import {h} from './dom.js';
import {driveButton} from './drive.js';
import {makeReplay} from './replay.js';
import {makeReuse} from './reuse.js';
import {addButton} from './tray.js';
import {follows, modelTitle, optimisedTitle, position, status} from './words.js';

const STATES = {pending: 'Waiting', running: 'Running', paused: 'Paused', succeeded: 'Finished', failed: 'Failed', cancelled: 'Stopped'};

export function makeHead({send}) {
  const prompt = h('h2', {class: 'prompt'}), name = h('p', {class: 'name'}), meta = h('p', {class: 'meta'}), chip = h('span', {class: 'chip-state', role: 'status'});
  const bar = h('span', {class: 'bar'});
  const progress = h('div', {class: 'progress', role: 'progressbar', 'aria-label': 'Progress of the session', 'aria-valuemin': 0, 'aria-valuemax': 100}, bar);
  const line = h('p', {class: 'status'});
  const button = (kind, label, title) => driveButton(kind, label, title, send);
  const buttons = {
    pause: button('pause', 'Pause', 'Stop after what is being scored now'),
    continue: button('continue', 'Continue', 'Go on to the end'),
    step: button('step', 'Step', 'Go on by one iteration, then pause again'),
    cancel: button('cancel', 'Stop', 'End this session here; what was found is kept'),
  };
  const transport = h('div', {class: 'transport', role: 'group', 'aria-label': 'Drive the session'}, Object.values(buttons));
  const reuse = makeReuse(), beside = addButton(null), replay = makeReplay();
  reuse.node.append(beside, ...replay.buttons);
  const node = h('header', {class: 'head'},
    h('div', {class: 'head-row'}, h('div', {class: 'about'}, h('div', {class: 'chip-line'}, chip, name), prompt, meta, reuse.node), transport), progress, line, replay.node);

  function draw({view, titles, asked, ahead}) {
    const at = position(view), mode = view.job && view.job.mode;
    chip.textContent = view.state === 'running' && mode === 'pausing' ? 'Pausing' : view.state === 'running' && mode === 'stepping' ? 'Stepping' : STATES[view.state] || view.state;
    prompt.textContent = view.prompt;
    name.textContent = view.name || '';
    name.hidden = !view.name;
    const facts = [view.preset, modelTitle(view.model, titles), `seed ${view.config.seed}`, `${follows(view) ? 'climbs' : 'scored by'} ${optimisedTitle(view, titles)}`, moment(view.created)];
    meta.textContent = facts.map(fact => fact.replaceAll(' ', '\u00a0')).join(' \u00b7 ');
    bar.style.width = `${(100 * at.fraction).toFixed(1)}%`;
    progress.setAttribute('aria-valuenow', Math.round(100 * at.fraction));
    line.textContent = status(view, ahead);

    const active = ['pending', 'running', 'paused'].includes(view.state), paused = view.state === 'paused';
    const going = !paused && (mode === 'run' || !mode) && !asked;
    transport.hidden = !active;
    progress.classList.toggle('idle', !active);
    buttons.pause.hidden = paused;
    buttons.continue.hidden = !paused;
    buttons.pause.disabled = !going;
    buttons.continue.disabled = Boolean(asked);
    buttons.step.disabled = !paused || Boolean(asked);
    buttons.cancel.disabled = asked === 'cancel';
    reuse.draw({view});
    replay.draw({view});
    beside.labFor(view.id);
  }

  return {node, draw};
}

function moment(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleString('en-GB', {day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit'});
}
