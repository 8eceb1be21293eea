// Records handed on as one zip, which another lab takes in on its page Library: one control for every head.
import {h, address} from './dom.js';
import {icon} from './icons.js';

/** Whether a record is at rest: only then it can be handed on, or computed again. */
export function atRest({state}) {
  return !['pending', 'running'].includes(state);
}

/** Where some records, with what belongs to them, come from as a zip. */
export function whereExported(ids) {
  return address(`lab/api/export?ids=${ids.map(encodeURIComponent).join(',')}`);
}

/** A link that downloads records, called `what`, as a zip; `node.labFor(records)` says which, and it is there once all are at rest. */
export function exportLink(what) {
  const title = `One zip with everything of ${what}; another lab takes it in on its page Library`;
  const node = h('a', {class: 'chip', download: '', title, hidden: true}, icon('download'), 'Export');
  node.labFor = records => {
    node.hidden = !records.length || !records.every(atRest);
    node.href = whereExported(records.map(one => one.id));
  };
  return node;
}
