// The controls of page Train's form: each with its label, a place for what is wrong with it, and one sentence of help.
import {h, fill} from './dom.js';

/** A field of `spec` {name, label, kind, help, choices, empty}: {node, hint, problem, read(), write(value)}. */
export function makeField(spec, offers) {
  const id = `train-${spec.name.replace('.', '-')}`, {control, read, write} = KINDS[spec.kind](spec, offers);
  const problem = h('span', {class: 'wrong', id: `${id}-wrong`, role: 'alert'}), hint = h('span', {class: 'hint', id: `${id}-help`}, spec.help);
  control.id = id;
  control.setAttribute('aria-describedby', `${id}-help ${id}-wrong`);
  const label = h('label', {for: id}, spec.label);
  const inside = control.matches('fieldset') ? [control] : spec.kind === 'flag' ? [h('span', {class: 'tick'}, control, label)] : [label, control];
  return {node: h('div', {class: 'field', data: {field: spec.name}}, inside, problem, hint), hint, problem, read, write};
}

const KINDS = {
  number({empty}) {
    const control = h('input', {type: 'number', step: 'any', placeholder: empty, autocomplete: 'off'});
    return {control, read: () => (control.value === '' ? null : Number(control.value)), write: value => { control.value = value ?? ''; }};
  },
  flag() {
    const control = h('input', {type: 'checkbox'});
    return {control, read: () => control.checked, write: value => { control.checked = value; }};
  },
  text() {
    const control = h('input', {type: 'text', maxlength: 200, autocomplete: 'off', placeholder: 'the preset and the prompts'});
    return {control, read: () => control.value, write: value => { control.value = value ?? ''; }};
  },
  lines() {
    const control = h('textarea', {rows: 6, spellcheck: 'false', placeholder: 'A prompt a line'});
    return {control, read: () => control.value, write: value => { control.value = Array.isArray(value) ? value.join('\n') : value ?? ''; }};
  },
  choice(spec, offers) {
    const options = offers.map(([value, words, off]) => h('option', {value, disabled: off}, words)), control = h('select', {}, options);
    function write(value) {
      if (![...control.options].some(one => one.value === value)) control.append(h('option', {value}, `${value} (not known here)`)); // the lab says what is wrong with it
      control.value = value;
    }
    return {control, read: () => control.value, write};
  },
  weights: (spec, offers) => weights(spec, offers),
};

/** Rewards with their weights, a line each; others can be added. `offers` are the lab's rewards. */
function weights({label}, offers) {
  const rows = h('div', {class: 'weights'}), more = h('select', {class: 'another', 'aria-label': 'Add a reward'});
  const control = h('fieldset', {}, h('legend', {}, label), rows, more);
  const title = name => (offers.find(one => one.name === name) || {title: name}).title;
  let chosen = new Map();

  function row(name) {
    const input = h('input', {type: 'number', step: 'any', value: chosen.get(name) ?? '', 'aria-label': `Weight of ${title(name)}`});
    const role = h('small', {}, told(chosen.get(name)));
    input.addEventListener('input', () => { chosen.set(name, input.value === '' ? null : Number(input.value)); role.textContent = told(chosen.get(name)); });
    const gone = h('button', {type: 'button', class: 'close', 'aria-label': `Leave out ${title(name)}`, onclick: () => { chosen.delete(name); draw(); changed(); }}, '\u00d7');
    return h('div', {class: 'weight', data: {reward: name}}, h('span', {}, title(name), role), input, gone);
  }
  function draw() {
    fill(rows, [...chosen.keys()].map(row));
    const left = offers.filter(one => !chosen.has(one.name));
    fill(more, h('option', {value: ''}, 'Add a reward\u2026'), left.map(one => h('option', {value: one.name, disabled: !one.usable}, one.usable ? one.title : `${one.title} (not usable here)`)));
    more.hidden = !left.length;
  }
  const changed = () => control.dispatchEvent(new Event('input', {bubbles: true}));
  more.addEventListener('input', event => {
    event.stopPropagation();
    if (!more.value) return;
    chosen.set(more.value, [...chosen.values()].some(Boolean) ? 0 : 1);
    draw();
    changed();
  });
  return {control, read: () => Object.fromEntries(chosen), write: value => { chosen = new Map(Object.entries(value)); draw(); }};
}

function told(weight) {
  return weight ? 'trained' : weight === 0 ? 'only watched' : 'no weight';
}
