// The lab's name and the line under it.
import {h, fill, address} from './dom.js';

export function mount({element}) {
  const root = element.querySelector('.lab-masthead');
  fill(root,
    h('a', {class: 'brand', href: address('.')}, h('span', {class: 'mark', 'aria-hidden': 'true'}), h('span', {}, 'Noise Search Lab')),
    h('span', {class: 'tagline'}, 'Watch a search choose the noise inside a text-to-image model.'));
}
