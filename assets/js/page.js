// What the lab's plain pages share: the head with its queue, and the facts that came with the document.
import {mount} from './masthead.js';

/** Draws the masthead; returns {root, facts, queue}: the page's element, the server's facts and the queue. */
export function openPage() {
  const queue = mount({element: document.body});
  return {root: document.getElementById('page'), facts: JSON.parse(document.getElementById('facts').textContent), queue};
}
