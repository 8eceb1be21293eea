// Files dropped anywhere on a page, which a browser would otherwise leave the page for.
import {h} from './dom.js';

/** `take(files)` hears of files that are dropped; `words` stand over the page while they hover above it. */
export function onDrop(words, take) {
  const veil = h('div', {class: 'lab-veil', hidden: true}, h('p', {}, words));
  let inside = 0;
  const leave = () => { inside = 0; veil.hidden = true; };
  const listen = (name, act) => window.addEventListener(name, event => { if (carriesFiles(event)) act(event); });
  listen('dragenter', event => { inside += 1; veil.hidden = false; event.preventDefault(); });
  listen('dragover', event => { event.dataTransfer.dropEffect = 'copy'; event.preventDefault(); });
  listen('dragleave', () => { if ((inside -= 1) <= 0) leave(); });
  listen('drop', event => {
    event.preventDefault();
    leave();
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
  document.body.append(veil);
}

function carriesFiles(event) {
  return Boolean(event.dataTransfer) && [...event.dataTransfer.types].includes('Files');
}
