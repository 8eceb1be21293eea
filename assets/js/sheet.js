// One picture out of a sheet: many small ones in a single file, drawn as the background of an element.
import {h, address} from './dom.js';

/** `sheet` is {columns, cell}, `count` how many pictures there are. `alt` is plain text; empty for none. */
export function cellOf(name, sheet, count, index, alt) {
  const columns = Math.min(sheet.columns, count), rows = Math.ceil(count / columns);
  const at = (place, of) => (of > 1 ? `${(100 * place / (of - 1)).toFixed(4)}%` : '0%');
  const node = h('span', {class: 'face', role: alt ? 'img' : null, 'aria-label': alt || null, 'aria-hidden': alt ? null : 'true'});
  node.style.backgroundImage = `url("${address(`artifacts/${encodeURIComponent(name)}`)}")`;
  node.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
  node.style.backgroundPosition = `${at(index % columns, columns)} ${at(Math.floor(index / columns), rows)}`;
  return node;
}
