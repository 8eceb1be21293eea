// Lists whose rows live on: a row is made once and then redrawn, so what is typed or focused in it stays.

/** Returns draw(items): `parent` then holds one row an item, in order. `make(item)` returns {node, draw(item)}. */
export function livingList(parent, key, make) {
  let rows = new Map();
  return items => {
    const next = new Map(), focused = document.activeElement;
    for (const item of items) {
      const name = String(key(item)), row = rows.get(name) || make(item);
      row.draw(item);
      next.set(name, row);
    }
    for (const [name, row] of rows) if (!next.has(name)) row.node.remove();
    let place = parent.firstElementChild;
    for (const {node} of next.values()) {
      if (node === place) place = place.nextElementSibling;
      else parent.insertBefore(node, place);
    }
    rows = next;
    if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({preventScroll: true}); // moving a row takes its focus
  };
}
