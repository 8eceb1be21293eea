// Drawing without moving what is being looked at: whatever grows or shrinks above it is made up for by scrolling.

/** Run `draw`, and keep the topmost visible part of `root` where it was in the window. */
export function steadily(root, draw) {
  const before = anchorOf(root), top = before && before.getBoundingClientRect().top, key = before && before.labKey;
  draw();
  if (!before || window.scrollY === 0) return;
  const after = before.isConnected ? before : [...root.querySelectorAll('.row')].find(one => one.labKey === key);
  const by = after ? after.getBoundingClientRect().top - top : 0;
  if (Math.abs(by) >= 1) window.scrollBy({top: by, behavior: 'instant'});
}

function anchorOf(root) {
  for (const one of root.querySelectorAll('.head, .filmstrip, .board .row, .outcome, .cards .arm')) {
    const {top, bottom, height} = one.getBoundingClientRect();
    if (height && bottom > 0 && top >= -height / 2 && top < innerHeight) return one;
  }
  return null;
}
