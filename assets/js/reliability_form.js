// The form of page Reliability: what to measure, what that will cost, and what is wrong with it beside each field.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {attention, showField} from './attention.js';
import {promptFile} from './prompt_file.js';
import {duration} from './reuse.js';
import {plural} from './words.js';
import {fromRequest, title, toBody} from './reliability_request.js';

const PAUSE = 250; // ms without a change before the server is asked
const PAPER = {prompts: 'A steaming cup of coffee', set: '', start_sigma: 0.6, num_steps: 10, seeds: '1'};
const FIRST = 8; // prompts of a set at first: a whole set takes long

/** `run(body)` starts a measurement and may throw an Error with `problems` by field. */
export function makeForm({facts, run}) {
  const {sets, help, defaults} = facts, fields = {};
  const cost = h('p', {class: 'cost', 'aria-live': 'polite'}), general = h('p', {class: 'problem', role: 'alert'});
  const go = h('button', {type: 'submit', class: 'primary run'}, 'Run');
  let waiting = 0, asked = 0, touched = 0, heldOutTouched = false, others = [];

  const add = (name, label, control, read, write, text = help[name] || '') => {
    const id = `rel-${name}`, problem = h('span', {class: 'wrong', id: `${id}-wrong`, role: 'alert'});
    const group = control.matches('fieldset, textarea, select, input') ? control : control.querySelector('input, select');
    group.id = id;
    group.setAttribute('aria-describedby', `${id}-help ${id}-wrong`);
    const hint = h('span', {class: 'hint', id: `${id}-help`}, text);
    const node = h('div', {class: 'field', data: {field: name}}, control.matches('fieldset') ? null : h('label', {for: id}, label), control, problem, hint);
    fields[name] = {node, hint, problem, read, write};
    return node;
  };
  const text = (name, label, value, props = {}) => {
    const input = h('input', {type: 'text', value, autocomplete: 'off', ...props});
    return add(name, label, input, () => input.value, now => { input.value = now ?? ''; });
  };
  const whole = (name, label, value, props = {}) => {
    const input = h('input', {type: 'number', value, ...props});
    return add(name, label, input, () => (input.value === '' ? null : Number(input.value)), now => { input.value = now ?? ''; });
  };
  const choice = (name, label, options, value, told) => {
    const select = h('select', {}, options.map(([key, words, off]) => h('option', {value: key, disabled: off}, words)));
    select.value = value;
    return add(name, label, select, () => select.value, now => { select.value = now; }, told);
  };
  const many = (name, label, options, chosen) => {
    const boxes = options.map(one => h('input', {type: 'checkbox', value: one.name, checked: chosen.includes(one.name), disabled: one.usable === false}));
    const set = h('fieldset', {}, h('legend', {}, label), h('div', {class: 'ticks'}, options.map((one, i) => h('label', {class: 'tick', title: one.why_not || one.help}, boxes[i], h('span', {}, one.title || one.name)))),
      h('details', {class: 'what'}, h('summary', {}, 'What they are'), h('dl', {}, options.map(one => [h('dt', {}, one.title || one.name), h('dd', {}, one.why_not || one.help)]))));
    return add(name, label, set, () => boxes.filter(box => box.checked).map(box => box.value), now => { for (const box of boxes) box.checked = now.includes(box.value); });
  };
  const offered = list => list.map(one => [one.name, one.usable ? one.title : `${one.title} (not usable here)`, !one.usable]);

  const lines = h('textarea', {rows: 6, spellcheck: 'false', placeholder: 'A prompt a line'});
  const file = promptFile({use: prompts => set({prompts: prompts.join('\n')}), tell: words => tell(words ? {prompts: words} : {})});
  const inside = h('details', {class: 'inside'}, h('summary', {}, 'Show the prompts'), h('ol'));
  const level = h('input', {type: 'range', min: 0.05, max: 1, step: 0.05, value: 1}), shownLevel = h('output');
  const node = h('form', {class: 'rel-form lab-asked lab-form', novalidate: true, 'aria-label': 'What to measure'},
    choice('set', 'Prompts', [...sets.map(one => [one.name, title(one.name)]), ['', 'My own lines']], sets.length ? sets[0].name : '', ''),
    add('prompts', 'Your prompts', lines, () => lines.value, now => { lines.value = now; }, 'One a line. Intervals are over prompts: a handful says little.'), file,
    whole('count', 'How many of them', Math.min(FIRST, sets.length ? sets[0].prompts.length : 1), {min: 1}), inside,
    choice('model', 'Model', offered(facts.models), defaults.model),
    choice('reward', 'Reward', offered(facts.rewards), defaults.reward),
    h('div', {class: 'pair-of'}, whole('num_siblings', 'Siblings (K)', defaults.num_siblings, {min: 2, max: facts.most.num_siblings}), text('seeds', 'Seeds', '1')),
    many('estimates', 'Estimates', facts.estimates, defaults.estimates),
    text('steps', 'Timesteps', '', {placeholder: 'all but the last'}),
    add('start_sigma', 'Start at noise level', h('span', {class: 'slider'}, level, shownLevel), () => Number(level.value), now => { level.value = now; }),
    h('p', {class: 'lab-examples'}, h('button', {type: 'button', class: 'chip', title: 'A steaming cup of coffee, from noise level 0.6, in 10 steps', onclick: () => set(PAPER)}, 'As in the paper\u2019s figure 3')),
    h('details', {class: 'more'}, h('summary', {}, 'Advanced'), text('name', 'Name', '', {placeholder: 'the set, or the first prompt', maxlength: 200}),
      many('held_out', 'Watched rewards', facts.rewards, defaults.held_out),
      whole('num_steps', 'Steps', defaults.num_steps, {min: 1}), choice('step_kind', 'Step kind', facts.step_kinds.map(kind => [kind, kind]), defaults.step_kind),
      whole('noise_level', 'Noise level', '', {step: 'any', placeholder: 'usual'}), whole('guidance_scale', 'Guidance', '', {step: 'any', placeholder: 'the model\u2019s own'}),
      whole('num_elites', 'Kept', defaults.num_elites, {min: 1})),
    h('div', {class: 'foot'}, general, cost, go));

  const filled = () => ({...Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.read()])), held_out: heldOutTouched ? fields.held_out.read() : null});

  function set(values) {
    for (const [name, value] of Object.entries(values)) if (name in fields && value !== undefined) fields[name].write(value);
    changed();
  }

  /** What follows from the choices: which fields there are, and their help. */
  function dress() {
    const {set: name, model, reward, start_sigma: start} = filled(), named = sets.find(one => one.name === name);
    fields.set.hint.textContent = named ? `${named.help}: ${named.prompts.length}.` : 'Or a set that came with the lab.';
    fields.prompts.node.hidden = file.hidden = Boolean(named);
    fields.count.node.hidden = inside.hidden = !named;
    if (named) fill(inside.querySelector('ol'), named.prompts.map(prompt => h('li', {}, prompt)));
    fields.model.hint.textContent = helpOf(facts.models, model);
    fields.reward.hint.textContent = helpOf(facts.rewards, reward);
    shownLevel.textContent = start >= 1 ? 'noise alone' : `\u03c3 ${start.toFixed(2)}`;
  }

  function tell(problems, detail = '') {
    for (const [name, one] of Object.entries(fields)) {
      one.problem.textContent = (problems[name] || '').replace('got None', 'got nothing');
      one.node.classList.toggle('bad', name in problems);
    }
    const elsewhere = Object.entries(problems).filter(([name]) => !(name in fields) || fields[name].node.hidden);
    const advanced = node.querySelector('.more');
    if (advanced.querySelector('.bad')) advanced.open = true;
    others = Object.keys(problems).length ? elsewhere.map(([name, words]) => `${name}: ${words}`) : detail ? [detail] : [];
    sum();
    const [first] = badOnes();
    if (first) showField(first);
  }

  /** Of problems those of fields that can be seen: what could not be read here leaves others empty. */
  const shown = problems => Object.fromEntries(Object.entries(problems).filter(([name]) => name in fields && !fields[name].node.hidden));

  const badOnes = () => [...node.querySelectorAll('.field.bad')].filter(one => !one.hidden);

  /** Beside Run: how many fields are marked, and what belongs to no field. */
  function sum() {
    const count = badOnes().length;
    general.textContent = [count ? attention(count) : '', ...others].filter(Boolean).join(' ');
  }

  function changed() {
    dress();
    clearTimeout(waiting);
    waiting = setTimeout(estimate, PAUSE);
  }

  async function estimate() {
    const mine = ++asked, {body, problems} = toBody(filled(), sets);
    const told = Object.keys(problems).length ? null : await api('reliability/estimate', body).catch(() => null);
    if (mine !== asked) return;
    cost.classList.toggle('unknown', !told);
    if (told) fill(cost, h('b', {}, plural(told.nfe, 'velocity evaluation')), ` in ${plural(told.rows, 'row')}`, told.seconds === null ? '.' : `; about ${duration(told.seconds)} here.`);
  }

  node.addEventListener('input', event => {
    const field = event.target.closest('[data-field]');
    touched += 1;
    if (field && field.classList.contains('bad')) { field.classList.remove('bad'); field.querySelector('.wrong').textContent = ''; others = []; sum(); }
    if (field && field.dataset.field === 'held_out') heldOutTouched = true;
    if (field && field.dataset.field === 'set') {
      const named = sets.find(one => one.name === fields.set.read());
      if (named) fields.count.write(Math.min(FIRST, named.prompts.length));
    }
    changed();
  });
  node.addEventListener('submit', async event => {
    event.preventDefault();
    const {body, problems} = toBody(filled(), sets), unread = Object.keys(problems).length, before = touched;
    tell(problems);
    go.disabled = true;
    try {
      if (unread) {
        // the lab says what is wrong with the other fields, so that nothing is told in two goes: unless a hand is at it already
        const rest = await api('reliability/estimate', body).then(() => ({}), error => error.problems || {});
        if (touched === before) tell({...shown(rest), ...problems});
      } else await run(body);
    } catch (error) {
      tell(error.problems || {}, error.message);
    }
    go.disabled = false;
  });
  changed();

  return {
    node,
    /** Fill it as a measurement was asked for. */
    use(view) {
      heldOutTouched = true;
      set(fromRequest(view.request, sets, view.optimised, view.held_out));
      tell({});
    },
  };
}

function helpOf(list, name) {
  const one = list.find(other => other.name === name);
  return one ? [one.help, one.why_not].filter(Boolean).join(' ') : '';
}
