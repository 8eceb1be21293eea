// The way back to a running session for a reader who has moved away: how much is new, and a click to follow again.
import {h} from './dom.js';
import {LIVE, plural} from './words.js';
import {scoredCount} from './view.js';

export function makePill({follow}) {
  const node = h('button', {type: 'button', class: 'pill', hidden: true, title: 'Go to the newest iteration and follow the search', onclick: follow});

  function draw({view, following, known, choosing}) {
    node.hidden = !view || following || Boolean(choosing) || !LIVE.includes(view.state);
    if (node.hidden) return;
    const fresh = scoredCount(view) - known;
    node.textContent = fresh > 0 ? `\u2193 ${plural(fresh, 'new candidate')}` : 'Follow live';
    node.classList.toggle('fresh', fresh > 0);
  }

  return {node, draw};
}
