// The form of page Sweep: which settings of searches or fine-tunes take which values, over what, and what it will cost.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {attention, showField} from './attention.js';
import {promptFile} from './prompt_file.js';
import {duration} from './reuse.js';
import {plural} from './words.js';

const PAUSE = 250; // ms without a change before the server is asked
const LISTED = 12; // fine-tunes whose settings can be taken
// Where a problem of a setting that the server names is shown.
const SHOWN_AT = {'search.preset': 'preset', rewards: 'reward', set: 'prompts', prompt_set: 'learned'};
// Fields that only one kind of runs has.
const ONLY = {session: ['set', 'prompts', 'arms'], train: ['learned', 'epochs', 'like']};

/** `run(body)` starts a sweep and may throw an Error with `problems` by field. */
export function makeForm({facts, run}) {
  const {kinds} = facts, fields = {};
  const cost = h('p', {class: 'cost', 'aria-live': 'polite'}), general = h('p', {class: 'problem', role: 'alert'});
  const go = h('button', {type: 'submit', class: 'primary run'}, 'Run');
  let of = '', known = new Map(), waiting = 0, asked = 0, base = {};

  function add(name, label, control, text = '') {
    const id = `sweep-${name}`, problem = h('span', {class: 'wrong', id: `${id}-wrong`, role: 'alert'}), hint = h('span', {class: 'hint', id: `${id}-help`}, text);
    control.id = id;
    control.setAttribute('aria-describedby', `${id}-help ${id}-wrong`);
    const node = h('div', {class: 'field', data: {field: name}}, control.matches('fieldset') ? null : h('label', {for: id}, label), control, problem, hint);
    fields[name] = {node, hint, problem, control};
    return node;
  }
  const choices = (node, options, value) => {
    fill(node, options.map(([key, words, off]) => h('option', {value: key, disabled: off}, words)));
    node.value = value;
    return node;
  };
  const select = (options = [], value = '') => choices(h('select'), options, value);
  const offered = list => list.map(one => [one.name, one.usable === false ? `${one.title} (not usable here)` : one.title || one.name, one.usable === false]);

  const which = h('div', {class: 'lab-examples', role: 'group', 'aria-label': 'What is swept'}, Object.entries(kinds).map(([name, {title}]) => h('button', {type: 'button', class: 'chip', data: {of: name}, onclick: () => choose(name)}, title)));
  const axes = [0, 1].map(at => {
    const setting = select(), values = h('input', {type: 'text', autocomplete: 'off', 'aria-label': at ? 'Values of the second setting' : 'Values of the first setting', placeholder: 'values, with commas between'});
    const chips = h('div', {class: 'lab-examples'});
    return {which: setting, values, choices: chips, node: h('div', {class: 'axis'}, add(`setting-${at}`, at ? 'And' : 'Vary', setting), add(`axis-${at}`, 'Values', values), chips)};
  });
  const lines = h('textarea', {rows: 5, spellcheck: 'false', placeholder: 'A prompt a line'}, kinds.session.usual.prompts.join('\n'));
  const sets = select([['', 'My own lines'], ...facts.sets.map(one => [one.name, `Set: ${one.name}`])]);
  const file = promptFile({use: prompts => { lines.value = prompts.join('\n'); changed(); }, tell: words => tell(words ? {prompts: words} : {})});
  const seeds = h('input', {type: 'text', autocomplete: 'off'});
  const preset = select(), model = select(), reward = select(), learned = select(), like = select();
  const epochs = h('input', {type: 'text', inputmode: 'numeric', autocomplete: 'off', placeholder: 'as the preset has it'});
  const ticks = facts.arms.map(one => h('input', {type: 'checkbox', value: one.name, checked: kinds.session.usual.arms.includes(one.name)}));
  const arms = h('fieldset', {}, h('legend', {}, 'Compare with'), h('div', {class: 'ticks'}, facts.arms.map((one, at) => h('label', {class: 'tick'}, ticks[at], h('span', {}, one.title)))));
  const named = h('input', {type: 'text', maxlength: 200, autocomplete: 'off', placeholder: 'after what is varied'});
  const kept = h('p', {class: 'hint', hidden: true});
  const node = h('form', {class: 'sweep-form lab-asked lab-form', novalidate: true, 'aria-label': 'What to sweep'},
    which, axes.map(axis => axis.node), add('set', 'Prompts', sets), add('prompts', 'Lines', lines), file, add('seeds', 'Seeds', seeds),
    add('preset', 'Preset', preset), add('model', 'Model', model), add('reward', 'Reward', reward), add('learned', 'Prompts', learned, 'Learned from; some are kept for judging, the same for every run.'), add('epochs', 'Epochs', epochs),
    h('details', {class: 'more'}, h('summary', {}, 'Advanced'), add('arms', 'Compare with', arms, 'No search is needed to tell a gain; each costs its own evaluations.'), add('like', 'Other settings', like), add('name', 'Name', named), kept),
    h('div', {class: 'foot'}, general, cost, go));

  /** Turn to searches or fine-tunes, with what is usual of them. */
  function choose(name) {
    of = name;
    base = {};
    kept.hidden = true;
    const {settings, presets, first, usual} = kinds[of], tunes = of === 'train', rewards = offered(facts.rewards);
    known = new Map(settings.map(one => [one.name, one]));
    for (const button of which.children) button.setAttribute('aria-pressed', String(button.dataset.of === of));
    for (const [at, axis] of axes.entries()) {
      choices(axis.which, [...(at ? [['', 'Nothing else']] : []), ...settings.map(one => [one.name, one.label])], at ? '' : first.setting);
      axis.values.value = at ? '' : first.values;
    }
    choices(preset, offered(presets), usual.preset);
    choices(model, offered(facts.models.filter(one => !tunes || !one.name.includes('+'))), usual.model);
    choices(reward, tunes ? [['', 'As the preset has it'], ...rewards] : rewards, usual.reward || '');
    fields.reward.hint.textContent = tunes ? 'Another is trained alone; the preset\u2019s own are then watched.' : 'The score that the search climbs.';
    fields.seeds.hint.textContent = `How many ${tunes ? 'fine-tunes every cell gets' : 'each prompt gets in every cell'}; or a list such as 0, 7, 12.`;
    seeds.value = String(usual.seeds);
    epochs.value = '';
    if (tunes) {
      choices(learned, kinds.train.learned.map(one => [one.name, one.title]), usual.prompt_set);
      choices(like, [['', 'As the preset has them']], '');
      listTunes();
    }
    for (const [kind, names] of Object.entries(ONLY)) for (const one of names) fields[one].node.hidden = kind !== of;
    tell({});
    changed();
  }

  /** Fine-tunes whose settings a sweep can begin from. */
  async function listTunes() {
    const {records} = await api(`records?kind=train&limit=${LISTED}`).catch(() => ({records: []}));
    choices(like, [['', 'As the preset has them'], ...records.map(one => [one.id, `Those of ${one.name || one.preset} (${one.id})`])], like.value);
  }

  like.addEventListener('change', async () => {
    if (like.value) await keepTune(like.value).catch(error => tell({like: error.message}));
    else { base = {}; kept.hidden = true; changed(); }
  });

  const listed = text => text.split(',').map(one => one.trim()).filter(Boolean);

  /** What is asked for, as the server reads it. */
  function toBody() {
    const chosen = axes.filter(axis => axis.which.value).map(axis => ({setting: axis.which.value, values: listed(axis.values.value)}));
    const count = seeds.value.trim(), whole = /^\d{1,6}$/;
    const told = count.includes(',') ? listed(count).map(one => (whole.test(one) ? Number(one) : one)) : whole.test(count) ? Number(count) : count;
    const body = {of, axes: chosen, seeds: told, base: {...base, preset: preset.value, model: model.value, ...(of === 'train' ? tuneBase() : searchBase())}};
    if (named.value.trim()) body.name = named.value.trim();
    if (of === 'train') return body;
    return sets.value ? {...body, set: sets.value} : {...body, prompts: lines.value.split('\n').map(one => one.trim()).filter(Boolean)};
  }

  const climbing = () => ({[reward.value]: 1, ...Object.fromEntries(kinds[of].usual.watched.filter(name => name !== reward.value).map(name => [name, 0]))});
  const searchBase = () => ({rewards: climbing(), arms: ticks.filter(box => box.checked).map(box => box.value)});

  /** Of a fine-tune what is not left to its preset, or to the fine-tune whose settings are taken. */
  function tuneBase() {
    const told = epochs.value.trim(), own = {};
    if (told) own.epochs = /^\d{1,7}$/.test(told) ? Number(told) : told;
    if (reward.value) own.rewards = climbing();
    if (learned.value) Object.assign(own, {prompt_set: learned.value, prompts: []});
    return own;
  }

  /** What follows from the choices: help, and which fields there are. */
  function dress() {
    for (const [at, axis] of axes.entries()) {
      const one = known.get(axis.which.value), room = one && one.choices.length;
      fields[`setting-${at}`].hint.textContent = one ? one.help : 'Leave it at one setting, or take a second: every value of one with every value of the other.';
      fields[`axis-${at}`].node.hidden = axis.choices.hidden = !one;
      fields[`axis-${at}`].hint.textContent = one ? `Usually ${one.usual}. Commas between, at most ${facts.most.values}.` : '';
      fill(axis.choices, room ? one.choices.map(value => h('button', {type: 'button', class: 'chip', 'aria-pressed': String(listed(axis.values.value).includes(value)), onclick: () => turn(axis, value)}, value)) : null);
    }
    const {presets} = kinds[of], varied = axes.map(axis => axis.which.value), set = facts.sets.find(one => one.name === sets.value);
    for (const name of ['preset', 'model', 'reward']) fields[name].node.hidden = varied.includes(name);
    fields.epochs.node.hidden = of !== 'train' || varied.includes('epochs');
    fields.prompts.node.hidden = file.hidden = of !== 'session' || Boolean(set);
    fields.set.hint.textContent = set ? `${set.help}: ${set.prompts.length}.` : '';
    fields.preset.hint.textContent = (presets.find(one => one.name === preset.value) || {help: ''}).help;
  }

  /** Put a choice into an axis' values, or take it out. */
  function turn(axis, value) {
    const now = listed(axis.values.value);
    axis.values.value = (now.includes(value) ? now.filter(one => one !== value) : [...now, value]).join(', ');
    changed();
  }

  function tell(problems, detail = '') {
    const at = Object.fromEntries(Object.entries(problems).map(([name, words]) => [name in fields ? name : SHOWN_AT[name] || (name === 'axes' ? 'axis-0' : name), words]));
    for (const [name, one] of Object.entries(fields)) {
      one.problem.textContent = inWords(at[name] || '').replace('got None', 'got nothing');
      one.node.classList.toggle('bad', name in at);
    }
    const bad = [...node.querySelectorAll('.field.bad')].filter(one => !one.hidden), others = Object.entries(at).filter(([name]) => !(name in fields) || fields[name].node.hidden);
    if (node.querySelector('.more .bad')) node.querySelector('.more').open = true;
    const told = others.map(([name, words]) => `${label(name)}: ${inWords(words)}.`);
    general.textContent = [bad.length ? attention(bad.length) : '', ...told, Object.keys(problems).length ? '' : detail].filter(Boolean).join(' ');
    if (bad.length) showField(bad[0]);
  }

  const label = name => (known.get(name) || {label: name}).label;
  const inWords = text => text.replace(/\b(search\.)?([a-z]+(?:_[a-z]+)+)\b/g, (name, _, own) => label(known.has(own) ? own : `search.${own}`).replace(/^search\..*/, name));

  function changed() {
    dress();
    cost.classList.add('unknown');
    clearTimeout(waiting);
    waiting = setTimeout(estimate, PAUSE);
  }

  async function estimate() {
    const mine = ++asked, told = await api('sweep/estimate', toBody()).catch(() => null);
    if (mine !== asked) return;
    cost.classList.toggle('unknown', !told);
    if (!told) { fill(cost, null); return; }
    const left = told.runs - told.known, done = told.known ? `, ${told.known} of them known already` : '';
    fill(cost, h('b', {}, plural(told.runs, 'run')), ` in ${plural(told.cells, 'cell')}${done}. `,
      left ? `${plural(told.nfe, 'velocity evaluation')}${told.seconds === null ? '.' : `; about ${duration(told.seconds)} here.`}` : 'Nothing is left to run.');
  }

  node.addEventListener('input', event => {
    const field = event.target.closest('.bad');
    if (field) { field.classList.remove('bad'); field.querySelector('.wrong').textContent = ''; }
    const left = node.querySelectorAll('.field.bad').length;
    general.textContent = left ? attention(left) : '';
    const axis = axes.find(one => one.which === event.target);
    if (axis) axis.values.value = (known.get(axis.which.value) || {choices: []}).choices.slice(0, 3).join(', ');
    changed();
  });
  node.addEventListener('submit', async event => {
    event.preventDefault();
    tell({});
    go.disabled = true;
    try {
      await run(toBody());
    } catch (error) {
      tell(error.problems || {}, error.message);
    }
    go.disabled = false;
  });
  choose('session');

  /** What is kept of settings from elsewhere goes when another preset is chosen. */
  function keeping(settings, words) {
    base = settings;
    kept.textContent = words;
    kept.hidden = false;
    preset.addEventListener('change', () => { base = {}; kept.hidden = true; like.value = ''; }, {once: true});
    changed();
  }

  /** Settings of a session that go with the form's own: what is varied is over them. */
  function keep(config, words) {
    const {prompt, seed, model: its, rewards, arms: compared, search, ...rest} = config, climbed = Object.keys(rewards).filter(name => rewards[name]);
    model.value = its;
    if (climbed.length === 1) [reward.value] = climbed;
    preset.value = search.preset.replace(/, changed$/, '');
    if (prompt && prompt !== '-') lines.value = prompt;
    for (const box of ticks) box.checked = compared.includes(box.value);
    keeping({...rest, search}, words);
  }

  /** The same of a fine-tune, or of what a sweep of such has in common. */
  function keepTuned(config, words) {
    const {seed, model: its, preset: way, prompts = [], prompt_set: set, epochs: many, ...rest} = config;
    if (its) model.value = its;
    if (way) preset.value = way;
    choices(learned, [...(prompts.length ? [['', `${plural(prompts.length, 'prompt')} of its own`]] : []), ...kinds.train.learned.map(one => [one.name, one.title])], prompts.length ? '' : set);
    epochs.value = many === undefined ? '' : String(many);
    reward.value = '';
    keeping({...rest, prompts, prompt_set: set}, words);
  }

  async function keepTune(id) {
    const config = await api(`train/${encodeURIComponent(id)}/config.json`);
    keepTuned(config, 'Other settings are those of that fine-tune; another preset takes them away.');
  }

  return {
    node,
    /** Settings of a search, or of a fine-tune, that somebody comes from. */
    async from(id, kind) {
      choose(kind);
      if (kind === 'train') await keepTune(id);
      else keep((await api(`sessions/${encodeURIComponent(id)}/config`)).config, 'Other settings are those of the session that you came from; another preset takes them away.');
    },
    /** Fill it as a sweep was asked for. */
    use(view) {
      choose(view.of);
      const words = 'Other settings are those of the sweep shown; another preset takes them away.';
      if (of === 'train') keepTuned(view.base, words);
      else keep({...view.base, prompt: ''}, words);
      for (const [at, axis] of axes.entries()) {
        const one = view.axes[at];
        axis.which.value = one ? one.setting : '';
        axis.values.value = one ? one.texts.join(', ') : '';
      }
      sets.value = '';
      if (view.prompts.length) lines.value = view.prompts.join('\n');
      seeds.value = view.seeds.every((seed, at) => seed === at) ? String(view.seeds.length) : view.seeds.join(', ');
      tell({});
      changed();
    },
  };
}
