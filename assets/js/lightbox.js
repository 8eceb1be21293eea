// One picture large, with its numbers; the arrow keys go through its neighbours.
import {h, fill, picture} from './dom.js';
import {downloadLink} from './reuse.js';

export function makeLightbox() {
  const stage = h('div', {class: 'large'}), title = h('h3'), note = h('p', {class: 'note'}), facts = h('dl');
  const back = h('button', {type: 'button', class: 'arrow', 'aria-label': 'Picture before', onclick: () => show(at - 1)}, '\u2039');
  const on = h('button', {type: 'button', class: 'arrow', 'aria-label': 'Next picture', onclick: () => show(at + 1)}, '\u203a');
  const close = h('button', {type: 'button', class: 'close', 'aria-label': 'Close', onclick: () => node.close()}, '\u00d7');
  const download = downloadLink();
  const node = h('dialog', {class: 'lightbox', 'aria-label': 'Picture'},
    close, stage, h('div', {class: 'words'}, h('div', {class: 'pager'}, back, title, on), note, facts, download.node));
  let items = [], at = 0, shown = () => {};

  node.addEventListener('click', event => { if (event.target === node) node.close(); });
  node.addEventListener('keydown', event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (by) { event.preventDefault(); show(at + by); }
  });

  function show(index) {
    if (index < 0 || index >= items.length) return;
    at = index;
    const item = items[at];
    fill(stage, picture(item.image, item.title));
    title.textContent = item.title;
    note.textContent = item.note;
    download.show(item.image, item.place);
    fill(facts, item.facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
    back.disabled = at === 0;
    on.disabled = at === items.length - 1;
    shown(item);
  }

  return {
    node,
    /** `told` hears of every picture that is shown. */
    open(list, index, told = () => {}) {
      if (!list.length) return;
      items = list;
      shown = told;
      show(Math.max(index, 0));
      if (!node.open) node.showModal();
    },
  };
}
