// A sheet that says which keys do what while the board has the focus.
import {h} from './dom.js';

const KEYS = [
  [['\u2190', '\u2192'], 'the candidate before, the next one'],
  [['\u2191', '\u2193'], 'the iteration before, the next one'],
  [['[', ']'], 'the timestep before, the next one'],
  [['Home', 'End'], 'the first and the last candidate of the iteration'],
  [['Enter'], 'open the candidate large'],
  [['i'], 'its numbers in a card beside it'],
  [['Space'], 'tick it, while you choose what is kept'],
  [['f'], 'follow the running search again'],
  [['?'], 'this sheet'],
];

export function makeHelp() {
  const close = h('button', {type: 'button', class: 'close', 'aria-label': 'Close', onclick: () => node.close()}, '\u00d7');
  const node = h('dialog', {class: 'sheet', 'aria-label': 'Keys'}, close, h('h3', {}, 'Keys on the board'),
    h('dl', {}, KEYS.map(([keys, text]) => h('div', {}, h('dt', {}, keys.map(key => h('kbd', {}, key))), h('dd', {}, text)))),
    h('p', {class: 'note'}, 'They work while the board has the focus: click a candidate, or reach the board with Tab. Everything on the page follows the same place, and the address keeps it: copy it to show someone else this very candidate.'));
  node.addEventListener('click', event => { if (event.target === node) node.close(); });
  return {node, open: () => node.showModal()};
}
