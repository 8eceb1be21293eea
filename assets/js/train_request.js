// What the form of page Train holds, as the interface's body and back. Pure functions. A filled form is an object by
// field; a search's settings are "search.name" in it, and of one's own prompts `prompt_set` is ''.
import {readLines, title} from './reliability_request.js';

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const named = (list, name) => list.find(one => one.name === name);

/** {body, problems}: of a filled form only what differs from its preset. */
export function toBody(filled, facts) {
  const base = named(facts.presets, filled.preset).values, body = {preset: filled.preset}, problems = {};
  const wanted = {...filled, prompts: filled.prompt_set === '' ? readLines(filled.prompts) : []};
  if (wanted.prompt_set === '') {
    wanted.prompt_set = base.prompt_set;
    if (!wanted.prompts.length) problems.prompts = 'expected a prompt a line';
  }
  for (const [name, value] of Object.entries(wanted)) if (!name.startsWith('search.') && name in base && !same(value, base[name])) body[name] = value;
  const search = searchOf(wanted, base, facts);
  if (Object.keys(search).length) body.search = search;
  body.name = filled.name.trim() || `${filled.preset}: ${filled.prompt_set === '' ? 'own prompts' : title(filled.prompt_set).toLowerCase()}`;
  return {body, problems};
}

/** A search as the interface takes it: its preset, where that is not the base's, and what was changed of it. */
function searchOf(wanted, base, {searches, changed}) {
  const fields = Object.keys(base).filter(name => name.startsWith('search.') && name !== 'search.preset');
  const own = named(searches, wanted['search.preset']), pure = Boolean(own) && fields.every(name => same(wanted[name], own.values[name]));
  const label = pure ? own.name : `${wanted['search.preset']}${changed}`, start = pure ? own.values : base;
  const search = Object.fromEntries(fields.filter(name => !same(wanted[name], start[name])).map(name => [name.slice('search.'.length), wanted[name]]));
  return label === base['search.preset'] ? search : {preset: label, ...search};
}

/** The form filled as a run was asked for. */
export function fromConfig(config, facts) {
  const {search, ...plain} = config, known = named(facts.presets, plain.preset) ? plain.preset : facts.presets[0].name;
  return {...plain, ...flatSearch(search, facts), preset: known, name: '', prompts: config.prompts.join('\n'), prompt_set: config.prompts.length ? '' : config.prompt_set};
}

/** The form filled so that a fine-tune searches as a session did. */
export function fromSession({config}, facts) {
  const {search} = config, searches = search.num_iterations > 0 && config.window_max > 0;
  const {values} = named(facts.presets, searches ? 'smart-grpo' : 'flow-grpo') || facts.presets[0];
  const taken = ['num_steps', 'guidance_scale', 'noise_level', 'rewards', 'seed', ...(searches ? ['window_min', 'window_max'] : [])];
  const filled = {...values, ...Object.fromEntries(taken.map(name => [name, config[name]])), model: config.model.split('+')[0], name: '', prompts: ''};
  if (config.step_kind !== 'ode') filled.step_kind = config.step_kind;
  return searches ? {...filled, ...flatSearch(search, facts)} : filled;
}

function flatSearch(search, {changed}) {
  const preset = search.preset.endsWith(changed) ? search.preset.slice(0, -changed.length) : search.preset;
  return Object.fromEntries(Object.entries({...search, preset}).map(([name, value]) => [`search.${name}`, value]));
}

/** What choosing another preset changes in a form: the fields in which the two presets differ. */
export function presetChanges(before, after, facts) {
  const [one, other] = [before, after].map(name => named(facts.presets, name).values);
  return Object.fromEntries(Object.entries(other).filter(([name, value]) => name !== 'preset' && !same(value, one[name])));
}
