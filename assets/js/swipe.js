// Two pictures over one another with a line between them that can be dragged.
import {h} from './dom.js';

/** `under` and `over` are elements as large as the swipe. `names(left, right)` says what lies on which side. */
export function makeSwipe(under, over) {
  const slider = h('input', {type: 'range', min: 0, max: 100, value: 50, step: 1, 'aria-label': 'How much of the first picture is shown', oninput: cut});
  const sides = [h('span', {class: 'side'}), h('span', {class: 'side'})], edge = h('span', {class: 'edge', 'aria-hidden': 'true'});
  const node = h('div', {class: 'swipe'}, edge, sides, slider);

  function cut() {
    over.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    edge.style.left = `${slider.value}%`;
    slider.setAttribute('aria-valuetext', `${slider.value}% of ${sides[0].textContent}`);
  }

  return {
    node,
    names(...words) {
      if (!under.isConnected) node.prepend(under, over); // not before there is something in them
      sides.forEach((side, i) => { side.textContent = words[i]; });
      cut();
    },
  };
}
