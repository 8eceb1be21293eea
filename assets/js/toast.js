// One short sentence at the foot of the page, with a way back where there is one.
import {h, fill} from './dom.js';

const SECONDS = 12;

/** Returns {node, tell(text, undo)}; a new sentence takes the place of the one before. */
export function makeToast() {
  const node = h('div', {class: 'lab-toast', role: 'status', hidden: true});
  let timer = 0;
  const hide = () => { node.hidden = true; };
  function tell(text, undo) {
    clearTimeout(timer);
    fill(node, h('span', {class: 'words'}, text),
      undo ? h('button', {type: 'button', class: 'undo', onclick: () => { hide(); undo(); }}, 'Undo') : null,
      h('button', {type: 'button', class: 'dismiss', 'aria-label': 'Dismiss', onclick: hide}, '\u00d7'));
    node.hidden = false;
    timer = setTimeout(hide, 1000 * SECONDS);
  }
  return {node, tell};
}

/** Ask before what cannot be undone; resolves to true when the person goes on. `more` promises a sentence to add. */
export function confirmed(title, text, label, more) {
  return new Promise(resolve => {
    const keep = h('button', {type: 'button', class: 'plain', onclick: () => dialog.close()}, 'Keep it');
    const go = h('button', {type: 'button', class: 'danger', onclick: () => dialog.close('yes')}, label);
    const added = h('span');
    const dialog = h('dialog', {class: 'lab-confirm', 'aria-label': title}, h('h2', {}, title), h('p', {}, text, added), h('div', {class: 'choices'}, keep, go));
    more.then(sentence => { added.textContent = sentence && ` ${sentence}`; });
    dialog.addEventListener('close', () => { dialog.remove(); resolve(dialog.returnValue === 'yes'); });
    document.body.append(dialog);
    dialog.showModal();
    keep.focus();
  });
}
