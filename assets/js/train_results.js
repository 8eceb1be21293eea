// What a fine-tune made: the trained model, its checkpoints, and the searches that were recorded on the way.
import {h, fill, address} from './dom.js';
import {LIVE, plural} from './words.js';
import {size} from './train_words.js';

const WEIGHTS = 'pytorch_lora_weights.safetensors';

export function makeResults() {
  const model = h('div', {class: 'made-model'}), table = h('div', {class: 'scroll'}), watched = h('div', {class: 'watched'});
  const node = h('section', {class: 'panel results', 'aria-label': 'What it made', hidden: true}, h('div', {class: 'panel-head'}, h('h3', {}, 'What it made')), model, watched, table);
  let shown = '';

  function draw({view}) {
    const signature = JSON.stringify([view.id, view.trained_model, view.checkpoints, view.watched, view.config.watch_every, LIVE.includes(view.state)]);
    node.hidden = !view.checkpoints.length && !view.watched.length;
    if (node.hidden || shown === signature) return;
    shown = signature;
    fill(model, view.trained_model ? [
      h('a', {class: 'primary', href: address(`./?trained=${encodeURIComponent(view.id)}`)}, 'Open the trained model in Explore'),
      h('p', {class: 'note'}, 'It is in the model menus of Explore and Reliability too, as ', h('code', {}, view.trained_model), LIVE.includes(view.state) ? ': as far as it is trained by now.' : '.'),
    ] : null);
    fill(watched, watchedList(view));
    fill(table, view.checkpoints.length ? checkpoints(view) : null);
  }

  return {node, draw};
}

function watchedList(view) {
  if (!view.watched.length) return null;
  return [h('h4', {}, 'Searches recorded while it was trained'), h('p', {class: 'note'}, 'The same search, with the model as it was then; each opens in Explore.'),
    h('ul', {class: 'links'}, view.watched.map(one => h('li', {}, h('a', {class: 'chip', href: address(`./?session=${encodeURIComponent(one.session)}`)}, `Epoch ${one.epoch}`))))];
}

function checkpoints(view) {
  const link = (query, words, title) => h('a', {href: address(`lab/api/train/${encodeURIComponent(view.id)}/lora.safetensors?${query}`), download: '', title}, words);
  const row = one => {
    const averaged = one.files.some(file => file.name === `ema/${WEIGHTS}`), bytes = one.files.reduce((sum, file) => sum + file.bytes, 0);
    return h('tr', {}, h('th', {scope: 'row'}, String(one.epoch), one.kept ? h('small', {}, ' kept') : null),
      h('td', {}, size(bytes)), h('td', {}, h('code', {title: one.sha256}, (one.sha256 || '').slice(0, 12))),
      h('td', {}, averaged ? [link(`epoch=${one.epoch}`, 'averaged', 'The running average of the weights'), ', '] : null, link(`epoch=${one.epoch}&raw=1`, 'as trained', 'The weights as they were trained')),
      h('td', {}, h('a', {href: address(`./?trained=${encodeURIComponent(view.id)}&epoch=${one.epoch}`)}, 'Explore')));
  };
  return h('details', {class: 'stored', open: view.checkpoints.length < 4}, h('summary', {}, plural(view.checkpoints.length, 'checkpoint')),
    h('table', {class: 'numbers'}, h('thead', {}, h('tr', {}, ['Epoch', 'Size', 'SHA-256 of the LoRA', 'LoRA', ''].map(text => h('th', {scope: 'col'}, text)))), h('tbody', {}, [...view.checkpoints].reverse().map(row))));
}

/** The run's output, and what it ran on. */
export function makeLog({machineOf}) {
  const text = h('pre', {tabindex: '0', role: 'log', 'aria-label': 'Output'}), facts = h('dl', {class: 'machine'});
  const node = h('details', {class: 'panel log', hidden: true}, h('summary', {}, h('h3', {}, 'Log and machine')), text, facts);

  function draw({view}) {
    node.hidden = !view.log && !Object.keys(view.environment).length;
    const down = text.scrollHeight - text.scrollTop - text.clientHeight < 8;
    if (text.textContent !== view.log) text.textContent = view.log;
    if (down) text.scrollTop = text.scrollHeight; // as a terminal does, unless somebody reads further up
    fill(facts, machineOf(view).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  }

  return {node, draw};
}
