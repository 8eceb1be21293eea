// Drawing without moving what is being looked at: whatever grows or shrinks above it is made up for by scrolling.

/** Run `draw`, and keep the candidate under the cursor, or else the topmost visible part of `root`, where it was in the window. */
export function steadily(root, draw) {
  const before = lookedAt(root) || topmost(root), top = before && before.getBoundingClientRect().top, key = before && (before.id || before.labKey);
  draw();
  if (!before || window.scrollY === 0) return;
  const after = isHere(before) ? before : [...root.querySelectorAll('.row, .candidate')].find(one => (one.id || one.labKey) === key && isHere(one));
  const by = after ? after.getBoundingClientRect().top - top : 0;
  if (Math.abs(by) >= 1) window.scrollBy({top: by, behavior: 'instant'});
}

/** In the page and not among the rows of a step that is kept unseen. */
function isHere(one) {
  return one.isConnected && !one.closest('.of-step.away');
}

function lookedAt(root) {
  const one = root.querySelector('.candidate.at'), box = one && one.getBoundingClientRect();
  return box && box.bottom > 0 && box.top < innerHeight ? one : null;
}

function topmost(root) {
  for (const one of root.querySelectorAll('.head, .filmstrip, .board .of-step:not(.away) > .row, .outcome, .cards .arm')) {
    const {top, bottom, height} = one.getBoundingClientRect();
    if (height && bottom > 0 && top >= -height / 2 && top < innerHeight) return one;
  }
  return null;
}
