// Brings a file of prompts into a form: lines of text, or JSON lines such as GenEval's metadata. The lab reads it.
import {h} from './dom.js';
import {api} from './api.js';

const MOST = 1_500_000; // characters; the lab takes no more either

/** A button that asks for a file; `use(prompts)` gets what is in it, `tell(words)` what is wrong with it (or ''). */
export function promptFile({use, tell}) {
  const input = h('input', {type: 'file', accept: '.txt,.jsonl,.json,text/plain', hidden: true, tabIndex: -1, 'aria-hidden': 'true'});
  input.addEventListener('change', async () => {
    const [file] = input.files;
    input.value = '';
    if (!file) return;
    tell('');
    try {
      if (file.size > MOST) throw new Error(`expected a file of prompts, got ${Math.round(file.size / 1e6)} MB`);
      use((await api('prompts', await file.text())).prompts);
    } catch (error) {
      tell((error.problems || {}).prompts || error.message);
    }
  });
  return h('p', {class: 'lab-examples'}, input, h('button', {type: 'button', class: 'chip', title: 'A prompt a line, or JSON lines with a prompt each', onclick: () => input.click()}, 'Read a file'));
}
