// The head of a fine-tune: what it is, where it stands, the buttons that drive it, and what can be taken away.
import {h, fill, address} from './dom.js';
import {driveButton} from './drive.js';
import {exportLink} from './export.js';
import {moment, stateWord, timeLeft} from './states.js';
import {LIVE, modelTitle, plural} from './words.js';
import {copyText} from './reuse.js';
import {addButton} from './tray.js';
import {LEAD, NUMBERS, awaited, explanation, goesOnFrom, headline, statusOf, titleOf} from './train_words.js';

/** `acts`: send(kind), use(), problem(text). */
export function makeHead({titles, acts}) {
  const chip = h('span', {class: 'chip-state', role: 'status'}), name = h('h2', {class: 'name alone'}), meta = h('p', {class: 'meta'});
  const said = h('p', {class: 'headline'}), line = h('p', {class: 'status'}), bar = h('span', {class: 'bar'}), soon = h('p', {class: 'note soon', role: 'status'});
  const progress = h('div', {class: 'progress', role: 'progressbar', 'aria-label': 'Progress of the fine-tune', 'aria-valuemin': 0, 'aria-valuemax': 100}, bar);
  const buttons = {
    pause: driveButton('pause', 'Pause', 'Rest at the end of this epoch, with a checkpoint: it keeps its place in the queue until Continue', acts.send),
    continue: driveButton('continue', 'Continue', 'Go on from the newest checkpoint, to the same weights as if it had never been left', acts.send),
    save: driveButton('save', 'Save now', 'Make a checkpoint at the end of this epoch, and keep it', acts.send),
    sample: driveButton('sample', 'Sample now', 'Draw the sample pictures at the end of this epoch', acts.send),
    cancel: driveButton('cancel', 'Stop', 'End it at the end of this epoch, with a checkpoint: what it made is then its result. Continue can still go on from there', acts.send),
  };
  const transport = h('div', {class: 'transport', role: 'group', 'aria-label': 'Drive the fine-tune'}, Object.values(buttons));
  const link = (title, words) => h('a', {class: 'chip', download: '', title}, words);
  const lora = link('The trained weights, averaged where they are: diffusers\u2019 load_lora_weights reads them', 'LoRA .safetensors');
  const table = link('Every number of every epoch, a line an epoch', 'Metrics .csv'), config = link('All settings', 'Settings .json');
  const command = h('button', {type: 'button', class: 'chip', title: 'Copy the command that repeats this run in a terminal', onclick: event => copy(event.currentTarget)}, 'Copy as command line');
  const beside = addButton(null), bundle = exportLink('this fine-tune and its watched searches');
  const tools = h('div', {class: 'reuse', role: 'group', 'aria-label': 'Take it away'},
    h('button', {type: 'button', class: 'chip', title: 'Fill the form with this run\u2019s settings', onclick: acts.use}, 'Use these settings'), lora, table, config, command, beside, bundle);
  const lead = h('p', {class: 'lead-in'});
  const help = h('details', {class: 'help'}, h('summary', {}, 'What this is, and what the numbers mean'), h('p', {}, LEAD), h('dl', {}, NUMBERS.map(([word, text]) => [h('dt', {}, word), h('dd', {}, text)])));
  const node = h('header', {class: 'head'}, h('div', {class: 'head-row'}, h('div', {class: 'about'}, chip, name, meta, tools), transport), progress, line, soon, said, lead, help);
  let now = null;

  async function copy(button) {
    try {
      await copyText(fetch(address(`lab/api/train/${encodeURIComponent(now.id)}/command`)).then(answer => answer.text()), button);
    } catch (error) {
      acts.problem(error.message);
    }
  }

  function draw({view, asked}) {
    now = view;
    beside.labFor(view.id);
    bundle.labFor([view]);
    const active = LIVE.includes(view.state), paused = view.state === 'paused', {config: c} = view;
    const mode = {cancel: 'stopping', pause: 'pausing'}[asked] || view.job && view.job.mode, stopping = mode === 'stopping', left = goesOnFrom(view) !== null;
    chip.textContent = stateWord(view.state, mode);
    name.textContent = titleOf(view);
    const trained = Object.keys(c.rewards).filter(one => c.rewards[one]).map(one => titles[one] || one).join(' + ');
    const facts = [view.name && view.preset, modelTitle(view.model, titles), plural(c.epochs, 'epoch'), `${c.prompts_per_epoch} \u00d7 ${c.group_size} pictures`, `trained on ${trained}`, `seed ${c.seed}`, moment(view.created)];
    meta.textContent = facts.filter(Boolean).map(fact => (fact.length > 40 ? fact : fact.replaceAll(' ', '\u00a0'))).join(' \u00b7 ');
    bar.style.width = `${(100 * (view.progress || 0)).toFixed(1)}%`;
    progress.setAttribute('aria-valuenow', Math.round(100 * (view.progress || 0)));
    progress.classList.toggle('idle', !active);
    line.textContent = statusOf(view, timeLeft(view.seconds_left));
    soon.textContent = awaited(view, {stopping: 'cancel', pausing: 'pause'}[mode] || asked);
    soon.hidden = !soon.textContent;
    said.textContent = headline(view);
    said.hidden = !said.textContent;
    lead.textContent = explanation(c, titles, view.judged);
    const path = `lab/api/train/${encodeURIComponent(view.id)}/`;
    for (const [one, file] of [[lora, 'lora.safetensors'], [table, 'metrics.csv'], [config, 'config.json']]) one.href = address(path + file);
    lora.hidden = !view.checkpoints.length;
    table.hidden = !view.epochs.length;
    transport.hidden = !active && !left;
    buttons.pause.hidden = paused || left;
    buttons.continue.hidden = !paused && !left;
    buttons.cancel.hidden = left;
    buttons.save.hidden = buttons.sample.hidden = view.state !== 'running';
    buttons.pause.disabled = active && Boolean(mode) && mode !== 'run';
    buttons.continue.disabled = asked === 'continue' || stopping;
    buttons.save.disabled = asked === 'save' || stopping;
    buttons.sample.disabled = asked === 'sample' || stopping;
    buttons.cancel.disabled = stopping;
  }

  return {node, draw};
}

/** What the numbers say, most important first. */
export function makeDiagnosis() {
  const list = h('ul'), note = h('p', {class: 'note'});
  const node = h('section', {class: 'panel diagnosis', 'aria-label': 'Diagnosis', hidden: true}, h('div', {class: 'panel-head'}, h('h3', {}, 'What the numbers say')), list, note);

  function draw({view}) {
    node.hidden = !view.epochs.length;
    fill(list, view.diagnosis.map((text, i) => h('li', {class: view.tones[i]}, text)));
    note.textContent = view.diagnosis.length ? '' : LIVE.includes(view.state) ? 'Nothing stands out so far.' : 'Nothing stands out.';
    note.hidden = !note.textContent;
  }

  return {node, draw};
}
