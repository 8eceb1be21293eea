// The newest records of a page's kind, to go from one to another.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {moment, stateWord} from './states.js';
import {short} from './words.js';

const LISTED = 12, TITLE = 60;

/** `title` gives what a record is called; `open(id)` is asked for when one is chosen. */
export function makeOthers({kind, label, title, open}) {
  const node = h('select', {class: 'others', 'aria-label': label, hidden: true, onchange: () => open(node.value)});
  const words = (one, mode) => `${short(title(one), TITLE)} (${[stateWord(one.state, mode).toLowerCase(), moment(one.created)].join(', ')})`;

  return {
    node,
    any: () => node.options.length > 0,
    /** Ask for them, and choose the one that is seen, if any. Where another was asked for in vain, `lost`, even one is offered. */
    async list(view, lost = false) {
      const {records} = await api(`records?kind=${kind}&limit=${LISTED}`).catch(() => ({records: []}));
      const shown = view && !records.some(one => one.id === view.id) ? [view, ...records] : records;
      node.hidden = shown.length < (lost ? 1 : 2);
      fill(node, lost && shown.length ? h('option', {value: '', disabled: true}, 'Open one of these') : null, shown.map(one => h('option', {value: one.id}, words(one))));
      node.value = view ? view.id : '';
      return records;
    },
    /** The one that is seen stands among them as its head tells it. */
    retell(view) {
      const option = [...node.options].find(one => one.value === view.id), told = words(view, view.job && view.job.mode);
      if (option && option.textContent !== told) option.textContent = told;
    },
  };
}
