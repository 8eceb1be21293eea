import {h} from './dom.js';

/** Text in which what stands between backticks is code: a command that can be copied. */
export function ticked(text) {
  return text.split('`').map((part, i) => (i % 2 ? h('code', {}, part) : part));
}
