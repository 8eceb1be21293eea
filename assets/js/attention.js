// A form that cannot be sent yet: how many of its fields are meant, said where one has pressed, and the way to the first.
import {plural} from './words.js';

export function attention(count) {
  return `${plural(count, 'field')} ${count === 1 ? 'needs' : 'need'} attention.`;
}

/** Bring a field into the middle of whatever scrolls, and put the keyboard into it. */
export function showField(node) {
  node.scrollIntoView({block: 'center'});
  [...node.querySelectorAll('input, select, textarea')].find(one => !one.disabled)?.focus({preventScroll: true});
}
