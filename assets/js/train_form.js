// The form of page Train: what to train, what that will cost, and what is wrong with it beside each field.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {duration} from './reuse.js';
import {count, plural} from './words.js';
import {readLines, title} from './reliability_request.js';
import {makeField} from './train_fields.js';
import {fromConfig, fromSession, presetChanges, toBody} from './train_request.js';
import {captionsOf} from './train_words.js';

const PAUSE = 250; // ms without a change before the server is asked
const PAIRS = [['epochs', 'max_seconds'], ['prompts_per_epoch', 'group_size']];

/** `run(body)` starts a fine-tune and may throw an Error with `problems` by field. */
export function makeForm({facts, run}) {
  const {presets, searches, sets, models, rewards} = facts, fields = {};
  const cost = h('p', {class: 'cost', 'aria-live': 'polite'}), general = h('p', {class: 'problem', role: 'alert'}), from = h('p', {class: 'note from', role: 'status'});
  const go = h('button', {type: 'submit', class: 'primary run'}, 'Train');
  const inside = h('details', {class: 'inside'}, h('summary', {}, 'Show some of them'), h('ol'));
  const offered = list => list.map(one => [one.name, one.usable ? one.title : `${one.title} (not usable here)`, !one.usable]);
  const offers = {model: offered(models), rewards, prompt_set: [...sets.map(one => [one.name, title(one.name)]), ['', 'My own lines']]};
  let waiting = 0, asked = 0, preset = presets[0].name;

  for (const spec of facts.fields) fields[spec.name] = makeField(spec, offers[spec.name] || spec.choices);
  const groups = Object.fromEntries(Object.entries(facts.groups).map(([name, words]) =>
    [name, h('details', {class: 'more', data: {group: name}}, h('summary', {}, words), nodesOf(name))]));
  const node = h('form', {class: 'train-form lab-asked lab-form', novalidate: true, 'aria-label': 'What to train'}, from,
    nodesOf(''), Object.values(groups), h('div', {class: 'foot'}, general, cost, go));
  fields.prompts.node.after(inside);

  function nodesOf(group) {
    const names = facts.fields.filter(spec => spec.group === group).map(spec => spec.name), pair = name => PAIRS.find(one => one.includes(name));
    return names.filter(name => !pair(name) || pair(name)[0] === name).map(name => (pair(name) ? h('div', {class: 'pair-of'}, pair(name).map(one => fields[one].node)) : fields[name].node));
  }

  const filled = () => Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.read()]));

  function set(values) {
    for (const [name, value] of Object.entries(values)) if (name in fields && value !== undefined) fields[name].write(value);
    preset = fields.preset.read();
    changed();
  }

  /** What follows from the choices: which fields there are, and their help. */
  function dress() {
    const {preset: chosen, model, prompt_set: set, noise_source: source, 'search.preset': search} = filled(), one = sets.find(other => other.name === set);
    fields.preset.hint.textContent = helpOf(presets, chosen);
    fields.model.hint.textContent = helpOf(models, model);
    fields['search.preset'].hint.textContent = helpOf(searches, search);
    fields.prompt_set.hint.textContent = one ? `${one.help}: ${setOf(one)}` : 'Or a set that came with the lab.';
    fields.prompt_set.hint.classList.toggle('warned', Boolean(one) && !one.judged.unseen);
    const lines = readLines(fields.prompts.read()).length, few = !one && lines > 0 && lines < facts.fewest;
    fields.prompts.hint.textContent = few ? `${plural(lines, 'line')}: with fewer than ${facts.fewest} all are trained and judged on, so that what it learned cannot be told from what it knows by heart.` : hintOf('prompts');
    fields.prompts.hint.classList.toggle('warned', few);
    fields.prompts.node.hidden = Boolean(one);
    inside.hidden = !one;
    if (one) fill(inside.querySelector('ol'), one.some.map(prompt => h('li', {}, prompt)));
    fields.searched_fraction.node.hidden = groups.search.hidden = source === 'random';
    for (const [name, field] of Object.entries(fields)) if (name.startsWith('search.')) field.node.hidden = source === 'best_of_k' && name !== 'search.num_candidates';
  }

  /** Say beside each field what is wrong with it, and below of those that are out of sight. */
  function mark(problems, detail = '') {
    for (const [name, one] of Object.entries(fields)) {
      const words = worded(problems[name] || '');
      if (one.problem.textContent !== words) one.problem.textContent = words; // else it would be read out again
      one.node.classList.toggle('bad', name in problems);
    }
    const elsewhere = Object.entries(problems).filter(([name]) => !(name in fields) || !fields[name].node.checkVisibility());
    general.textContent = elsewhere.length ? elsewhere.map(([name, words]) => `${labelOf(name)}: ${worded(words)}`).join('; ') : Object.keys(problems).length ? '' : detail;
  }

  /** The same of what was sent, and lead there. */
  function tell(problems, detail = '') {
    for (const group of Object.values(groups)) if ([...group.querySelectorAll('[data-field]')].some(one => one.dataset.field in problems)) group.open = true;
    mark(problems, detail);
    node.querySelector('.bad :is(input, select, textarea)')?.focus();
  }

  const specOf = name => facts.fields.find(one => one.name === name), hintOf = name => specOf(name).help;
  const labelOf = name => (specOf(name) || specOf(`search.${name}`) || {label: name}).label;
  const worded = text => text.replace('got None', 'got nothing').replace(/\b[a-z]+(?:_[a-z]+)+\b/g, name => labelOf(name)); // as the form calls them

  function changed() {
    dress();
    clearTimeout(waiting);
    waiting = setTimeout(estimate, PAUSE);
  }

  async function estimate() {
    const mine = ++asked, {body, problems: own} = toBody(filled(), facts);
    const refused = error => ({problems: error.problems || {}, message: error.message});
    const told = Object.keys(own).length ? {problems: own} : await api('train/estimate', body).catch(refused);
    if (mine !== asked) return;
    const wrong = 'problems' in told;
    mark(told.problems || {}, told.message);
    cost.classList.toggle('unknown', wrong);
    fill(cost, !wrong ? costOf(told) : Object.keys(told.problems).length ? 'What it costs is told once what is marked is right.' : '');
  }

  node.addEventListener('input', event => {
    const field = event.target.closest('[data-field]'), name = field && field.dataset.field;
    if (name === 'preset') return set(presetChanges(preset, fields.preset.read(), facts));
    if (name === 'search.preset') return set((searches.find(one => one.name === fields[name].read()) || {values: {}}).values);
    changed();
  });
  node.addEventListener('submit', async event => {
    event.preventDefault();
    const {body, problems} = toBody(filled(), facts);
    tell(problems);
    if (Object.keys(problems).length) return;
    go.disabled = true;
    try {
      await run(body);
      from.textContent = '';
    } catch (error) {
      tell(error.problems || {}, error.message);
    }
    go.disabled = false;
  });
  set({...presets[0].values, name: ''});

  return {
    node,
    /** Fill it as a run was asked for. */
    use(view) {
      set(fromConfig(view.config, facts));
      from.textContent = 'Filled with the settings of the run beside this.';
      tell({});
    },
    /** Fill it with a stored search's settings. */
    async useSession(id) {
      const told = await api(`sessions/${encodeURIComponent(id)}/config`);
      set(fromSession(told, facts));
      from.textContent = `Filled from the search \u201c${told.config.prompt}\u201d: its model, steps, guidance, search and rewards. Prompts and budget are the usual ones.`;
    },
  };
}

/** A set's prompts, counted. */
function setOf({train, judged}) {
  return judged.unseen ? `${train} to learn from, ${captionsOf(judged)} kept for judging.` : `too few to keep any, so that all ${train} are trained and judged on.`;
}

/** What a run will take, in words, and what it will be judged on. */
function costOf({nfe, epochs, seconds, memory_mb: memory, per_epoch: each, judged}) {
  const never = 'demo' in document.documentElement.dataset;
  const took = seconds === null ? never ? '' : ' How long that takes is known once a run of this model has begun here.' : ` About ${duration(seconds)} here${each.seconds === null ? '' : `, ${duration(each.seconds)} an epoch`}.`;
  const room = memory === null ? '' : ` About ${(memory / 1000).toFixed(1)} GB of memory.`;
  return [h('b', {}, `${count(nfe)} velocity evaluations`), ` in ${plural(epochs, 'epoch')}${each.search ? `, ${Math.round(100 * each.search / each.nfe)}% of them the search` : ''}.`, took, room, ` Judged on ${captionsOf(judged)}${judged.unseen ? ', none of them trained' : ' that it is trained on'}.`];
}

function helpOf(list, name) {
  const one = list.find(other => other.name === name);
  return one ? [one.help, one.why_not].filter(Boolean).join(' ') : '';
}
