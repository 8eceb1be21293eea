// The form's own script: fills its fields, and says before a run what it will cost.
//
// The server fills the form a moment after it is drawn. A field that no longer holds what it was drawn with has been
// touched by then and stays as it is, with what follows from it. A person's own wish to fill it fills all of it.
import {api} from './api.js';
import {h, fill} from './dom.js';
import {duration, makeDrop, useConfig} from './reuse.js';

const PAUSE = 250; // ms without a change before the server is asked

export function mount({element, props, watch, trigger}) {
  const root = element.querySelector('.lab-form');
  const line = h('p', {class: 'cost', 'aria-live': 'polite'});
  fill(root, line, makeDrop().node);
  const {names, initial, follows} = JSON.parse(props.value);
  let filling = null, waiting = null, asked = 0, filled;
  const first = new Promise(resolve => { filled = resolve; });

  const written = writtenFields(names, initial);
  window.labFill = now => {
    filled();
    const {values, info, choices, force} = filling, seen = names.map((name, i) => written(name, now[i] ?? null));
    const kept = force ? new Set() : touched(names, initial, follows, seen), missed = i => JSON.stringify(seen[i]) !== JSON.stringify(now[i] ?? null);
    return names.map((name, i) => kept.has(name) && missed(i) ? {__type__: 'update', value: seen[i]} : kept.has(name) || !(name in values) ? undefined
      : {__type__: 'update', value: values[name], ...(name in info ? {info: info[name]} : {}), ...(name in choices ? {choices: choices[name]} : {})});
  };
  window.labChanged = now => {
    clearTimeout(waiting);
    waiting = setTimeout(() => estimate(Object.fromEntries(names.map((name, i) => [name, now[i] ?? null]))), PAUSE);
  };
  window.addEventListener('lab:fill', event => {
    filling = {...event.detail, force: true};
    trigger('choose', {});
  });

  async function estimate(values) {
    const mine = ++asked;
    const told = await api('form/estimate', values).catch(() => null);
    if (mine !== asked) return;
    show(told && !told.problem ? told : null);
    if (told) window.dispatchEvent(new CustomEvent('lab:checked', {detail: told.problems || []}));
  }

  /** A form that cannot run yet has no cost; what is wrong with it is told when it is sent. */
  function show(told) {
    line.classList.toggle('unknown', !told);
    if (!told) return;
    const count = told.nfe.toLocaleString('en-GB'), search = told.search_nfe.toLocaleString('en-GB');
    fill(line, h('b', {}, `${count} velocity evaluations`),
      told.nfe === told.search_nfe ? '' : `, ${search} of them the search`,
      told.seconds === null ? '.' : `; about ${duration(told.seconds)} here.`);
  }

  const read = () => {
    const sent = JSON.parse(props.value);
    if (sent.kind !== 'fill') return;
    filling = sent;
    trigger('choose', {});
  };
  read();
  watch('value', read);
  fromAddress(first);
  trigger('wake', {});
}

/**
 * What a hand wrote into a field that gradio still believes as it was drawn, else what gradio knows. Gradio misses what is
 * written in the moment in which it draws a field, and may draw over it.
 */
function writtenFields(names, initial) {
  const wrote = new Map(), byId = new Map(names.map(name => [`field-${name.replaceAll('.', '-')}`, name])), asText = value => JSON.stringify(value ?? null);
  document.addEventListener('input', ({target}) => {
    const name = byId.get(target.closest('[id^="field-"]')?.id);
    if (!name || !target.matches('textarea, input[type="number"], input[type="range"]')) return;
    wrote.set(name, target.matches('textarea') ? target.value : target.value === '' ? null : Number(target.value));
  }, true);
  return (name, known) => (wrote.has(name) && asText(known) === asText(initial[name]) ? wrote.get(name) : known);
}

/** The fields that hold something else than they were drawn with, and those that follow from them. */
function touched(names, initial, follows, now) {
  const changed = names.filter((name, i) => JSON.stringify(now[i] ?? null) !== JSON.stringify(initial[name] ?? null));
  return new Set(changed.flatMap(name => [name, ...(follows[name] || [])]));
}

/** Fill the form with what the address names: the window that a measurement recommends, or a fine-tune's model. Once, so that going on is free. */
async function fromAddress(first) {
  const url = new URL(location.href), {from_window: window, trained, epoch} = Object.fromEntries(url.searchParams);
  if (!window && !trained) return;
  for (const name of ['from_window', 'trained', 'epoch']) url.searchParams.delete(name);
  history.replaceState(history.state, '', url);
  const told = window ? fromWindow(window) : fromTrained(trained, epoch);
  told.catch(() => {}); // told below
  await first;
  await useConfig(told.then(({config}) => config), told.then(({text}) => text));
}

async function fromWindow(record) {
  const {name, prompt, explore} = await api(`reliability/${encodeURIComponent(record)}`);
  if (!explore) throw new Error('This measurement recommends no window to search in.');
  return {config: explore, text: `The window that \u201c${name || prompt}\u201d recommends.`};
}

/** Settings that try what a fine-tune made, as it is now or was after an epoch, on a prompt that it is judged by. */
async function fromTrained(record, epoch) {
  const {config} = await api(`train/${encodeURIComponent(record)}/form${epoch ? `?epoch=${encodeURIComponent(epoch)}` : ''}`);
  return {config, text: `The trained model${epoch ? `, as it was after epoch ${epoch}` : ''}, on a prompt that it is judged by.`};
}
