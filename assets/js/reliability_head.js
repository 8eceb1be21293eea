// The head of a measurement: what is seen, what it is, where it stands, and the buttons that drive it.
import {h, address} from './dom.js';
import {driveButton} from './drive.js';
import {exportLink} from './export.js';
import {moment, stateWord, timeLeft} from './states.js';
import {LIVE, modelTitle, plural} from './words.js';
import {addButton} from './tray.js';
import {pathOf} from './reliability_source.js';
import {LEAD, NUMBERS, rewardTitle, statusOf} from './reliability_words.js';

/** `acts`: send(kind), use(). */
export function makeHead({titles, acts}) {
  const chip = h('span', {class: 'chip-state', role: 'status'}), name = h('h2', {class: 'name'});
  const said = h('p', {class: 'prompt said'}), meta = h('p', {class: 'meta'}), line = h('p', {class: 'status'}), bar = h('span', {class: 'bar'});
  const progress = h('div', {class: 'progress', role: 'progressbar', 'aria-label': 'Progress of the measurement', 'aria-valuemin': 0, 'aria-valuemax': 100}, bar);
  const buttons = {
    pause: driveButton('pause', 'Pause', 'Stop after what is being measured now', acts.send),
    continue: driveButton('continue', 'Continue', 'Go on to the end', acts.send),
    cancel: driveButton('cancel', 'Stop', 'End this measurement here; what was measured is kept', acts.send),
  };
  const transport = h('div', {class: 'transport', role: 'group', 'aria-label': 'Drive the measurement'}, Object.values(buttons));
  const link = (title, words) => h('a', {class: 'chip', download: '', title}, words);
  const arrays = link('Guesses and truths of the finished rows as NumPy arrays', 'Arrays .npz'), table = link('Every sibling, a line each', 'Table .csv');
  const beside = addButton(null), bundle = exportLink('this measurement');
  const tools = h('div', {class: 'reuse', role: 'group', 'aria-label': 'Reuse this measurement'},
    h('button', {type: 'button', class: 'chip', title: 'Fill the form with this measurement\u2019s settings', onclick: acts.use}, 'Use these settings'), arrays, table, beside, bundle);
  const help = h('details', {class: 'help'}, h('summary', {}, 'What the numbers mean'), h('dl', {}, NUMBERS.map(([word, text]) => [h('dt', {}, word), h('dd', {}, text)])));
  const node = h('header', {class: 'head'}, h('div', {class: 'head-row'}, h('div', {class: 'about'}, h('div', {class: 'chip-line'}, chip, name), said, meta, tools), transport),
    progress, line, h('p', {class: 'lead-in'}, LEAD), help);

  function draw({view, asked}) {
    const mode = view.job && view.job.mode, active = LIVE.includes(view.state), paused = view.state === 'paused', {config} = view;
    chip.textContent = stateWord(view.state, mode);
    name.textContent = view.name || view.prompt;
    said.textContent = view.sentence;
    said.hidden = !view.sentence;
    name.classList.toggle('alone', !view.sentence);
    const start = config.start_sigma === null ? null : `from \u03c3 ${config.start_sigma}`;
    const facts = [modelTitle(config.base.model, titles), plural(config.prompts.length, 'prompt'), plural(config.seeds.length, 'seed'), plural(config.num_siblings, 'sibling'),
      `scored by ${rewardTitle(titles, view.optimised)}`, start, moment(view.created)];
    meta.textContent = facts.filter(Boolean).map(fact => fact.replaceAll(' ', '\u00a0')).join(' \u00b7 ');
    bar.style.width = `${(100 * (view.progress || 0)).toFixed(1)}%`;
    progress.setAttribute('aria-valuenow', Math.round(100 * (view.progress || 0)));
    progress.classList.toggle('idle', !active);
    line.textContent = statusOf(view, timeLeft(view.seconds_left));
    beside.labFor(view.id);
    bundle.labFor([view]);
    for (const one of [arrays, table]) one.hidden = !view.rows_done;
    arrays.href = address(`lab/api/${pathOf(view)}/arrays.npz`);
    table.href = address(`lab/api/${pathOf(view)}/table.csv`);
    transport.hidden = !active;
    buttons.pause.hidden = paused;
    buttons.continue.hidden = !paused;
    buttons.pause.disabled = Boolean(asked) || Boolean(mode) && mode !== 'run';
    buttons.continue.disabled = Boolean(asked);
    buttons.cancel.disabled = asked === 'cancel';
  }

  return {node, draw};
}
