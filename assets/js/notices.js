// The lines over what a page shows: what went wrong, that a record lies in the trash, or that the address names one which
// this page cannot show, and where it is shown.
import {h, address, keyed} from './dom.js';
import {api} from './api.js';
import {whereShown} from './states.js';
import {sentence} from './words.js';

const KINDS = {session: ['search', 'Explore'], reliability: ['measurement', 'Reliability'], train: ['fine-tune', 'Train'], sweep: ['sweep', 'Sweep']};
const TRASH = {key: 'trash', text: 'This lies in the trash. ', link: 'Restore it in the Library', href: 'library?trash=1'};

/** Returns {node, note(text), of(view), astray(id, kind)}: what went wrong, what is shown, and what was asked for in vain. */
export function makeNotices() {
  const node = h('div', {class: 'notices', role: 'status'});
  let said = [], trash = [];

  const draw = () => keyed(node, [...said, ...trash], one => one.key, noticeOf);

  return {
    node,
    note(text) {
      said = text ? [{key: 'bad', text: sentence(text)}] : [];
      draw();
    },
    of(view) {
      trash = trashOf(view);
      draw();
    },
    async astray(id, kind) {
      const before = said, found = await whatIs(id, kind);
      if (!found || said !== before) return;
      said = [found];
      draw();
    },
  };
}

export function noticeOf({key, text, link, href}) {
  return h('p', {class: `notice ${key === 'bad' ? 'bad' : 'hint'}`}, h('bdi', {}, text), link ? h('a', {href: address(href)}, link) : null);
}

export function trashOf(view) {
  return view && view.deleted ? [TRASH] : [];
}

/** What is to be said of an id that a page asked for as `kind` and did not get; null where the lab does not answer. */
export async function whatIs(id, kind) {
  const {records} = await api(`compare/heads?ids=${encodeURIComponent(id.replaceAll(',', ' '))}`).catch(() => ({records: []})), [found] = records;
  if (!found) return null;
  if (!KINDS[found.kind]) return {key: 'bad', text: `There is no record ${found.id} here: it was deleted for good, or is another lab\u2019s.`};
  const [word, page] = KINDS[found.kind];
  if (found.kind === kind) return null;
  return {key: 'bad', text: `\u201c${found.title}\u201d is a ${word}, not a ${KINDS[kind][0]}. `, link: `Open it on page ${page}`, href: whereShown(found.kind, found.id)};
}
