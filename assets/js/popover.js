// A small card beside a candidate with everything known of it: shown under the mouse, or at the cursor by key.
import {h, fill} from './dom.js';

const WAIT = 140;

/** `tell` makes {title, facts: [[name, value]], note} for a cell, with pictures `above` them if it likes, or null for none. */
export function makePopover(tell) {
  const title = h('b'), above = h('div'), facts = h('dl'), note = h('p');
  const node = h('div', {class: 'lab-popover', popover: 'manual', role: 'tooltip', id: 'candidate-numbers'}, title, above, facts, note);
  let timer = null, over = null;

  function show(cell) {
    const told = cell && cell.isConnected && tell(cell);
    if (!told) return hide();
    title.textContent = told.title;
    fill(facts, told.facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
    fill(above, told.above || null);
    note.textContent = told.note;
    note.hidden = !told.note;
    if (!node.matches(':popover-open')) node.showPopover();
    place(node, cell.getBoundingClientRect());
  }
  function hide() {
    clearTimeout(timer);
    over = null;
    if (node.matches(':popover-open')) node.hidePopover();
  }
  /** Hide it until the mouse is over another cell. */
  function dismiss() {
    const still = over;
    hide();
    over = still;
  }
  /** Follow the mouse over the cells within `area`. */
  function watch(area, selector) {
    area.addEventListener('pointerover', event => {
      const cell = event.pointerType === 'mouse' ? event.target.closest(selector) : null;
      if (cell === over) return;
      hide();
      over = cell;
      if (cell) timer = setTimeout(() => show(cell), WAIT);
    });
    area.addEventListener('pointerleave', hide);
    addEventListener('scroll', hide, {passive: true, capture: true});
  }

  return {node, show, hide, dismiss, watch};
}

/** Below the cell, or above it where there is no room; never outside the window. */
function place(node, cell) {
  const {offsetWidth: wide, offsetHeight: high} = node, gap = 8;
  const below = cell.bottom + gap + high <= innerHeight, left = cell.left + cell.width / 2 - wide / 2;
  node.style.left = `${Math.max(gap, Math.min(left, innerWidth - wide - gap))}px`;
  node.style.top = `${Math.max(gap, below ? cell.bottom + gap : cell.top - gap - high)}px`;
}
