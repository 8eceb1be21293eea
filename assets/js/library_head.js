// The head of the library: how much there is, what can be done with all of it, and in the trash what emptying it frees.
import {h, address, fill} from './dom.js';
import {api} from './api.js';
import {asQuery, forLab} from './filters.js';
import {icon} from './icons.js';
import {size} from './train_words.js';
import {plural} from './words.js';

/** Returns {node, draw({total, filters})}. `backup` says what a copy holds, or why there is none; `more` stands beside. */
export function makeHead({backup, more}) {
  const many = h('span', {class: 'many', role: 'status'});
  const parallel = h('a', {class: 'plain'}, icon('lines'), 'Parallel coordinates');
  const copy = h('button', {type: 'button', class: 'plain writes', onclick: () => explainBackup(backup)}, icon('download'), 'Back up');
  const node = h('header', {class: 'page-head-library'}, h('h1', {}, 'Library'), many, h('span', {class: 'gap'}), parallel, more, copy);
  return {
    node,
    draw({total, filters}) {
      many.textContent = total === null ? '' : plural(total, 'record');
      parallel.href = address(`sweep?across=library&${asQuery({...forLab(filters), trash: '', sort: ''})}`);
      parallel.hidden = Boolean(filters.trash) || !total;
    },
  };
}

/** What a backup is and is not, before it is downloaded. */
function explainBackup({whole, why_not: whyNot}) {
  const close = h('button', {type: 'button', class: 'plain', onclick: () => dialog.close()}, 'Close');
  const go = h('a', {class: 'primary', href: address('lab/api/backup'), download: '', onclick: () => dialog.close()}, 'Download the copy');
  const dialog = h('dialog', {class: 'lab-confirm', 'aria-label': 'Back up the database'}, h('h2', {}, 'Back up the database'),
    whyNot ? h('p', {}, `${whyNot}.`) : [
      h('p', {}, 'One file with every record: settings, rewards, names, notes and tags, as they are at this moment. What runs may go on meanwhile.'),
      h('p', {}, `It is not all that the lab keeps: ${whole}.`)],
    h('div', {class: 'choices'}, close, whyNot ? null : go));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** The line above the trash: how much lies there, what that frees, and the way to empty it. */
export function makeTrashLine({empty}) {
  let told = null;
  const words = h('p', {role: 'status'});
  const button = h('button', {type: 'button', class: 'danger writes', onclick: () => empty(told)}, 'Empty the trash');
  const node = h('div', {class: 'trash-line', hidden: true}, words, button);
  return {
    node,
    /** Sizes by id, as far as they are known. */
    sizes: () => (told ? told.sizes : {}),
    /** Ask how much there is while the trash is shown; `then()` once it is known. */
    async look(shown, then) {
      node.hidden = !shown;
      if (!shown) return;
      told = await api('trash').catch(() => null);
      node.hidden = !told || !told.count;
      if (!told) return;
      const locked = told.locked ? `, ${told.locked === told.count ? 'all' : told.locked} locked against deletion` : '';
      fill(words, `${plural(told.count, 'record')}${locked}. `, told.locked < told.count ? `Deleting them frees up to ${size(told.bytes)}: pictures that other records show as well stay.` : '');
      button.disabled = told.locked === told.count;
      then();
    },
  };
}
