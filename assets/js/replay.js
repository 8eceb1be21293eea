// A session handed on as a zip, and checked: the lab computes it once more and says where, if anywhere, it parts.
import {api} from './api.js';
import {h, fill} from './dom.js';
import {atRest, exportLink} from './export.js';
import {sentence} from './words.js';

const GOING = ['pending', 'running'], EVERY = 1500;
const MARKS = {identical: '\u2713', close: '\u2248', parted: '\u2260', nothing: '\u2013'};

/** Returns {buttons, node, draw({view})}: two buttons for the head of a session, and the line that says what came of a check. */
export function makeReplay() {
  const bundle = exportLink('this session');
  const check = h('button', {type: 'button', class: 'chip writes', title: 'Compute this session once more and compare every number that is stored of it', onclick: ask}, 'Check by computing again');
  const mark = h('span', {class: 'mark', 'aria-hidden': 'true'}), words = h('div', {class: 'words'});
  const node = h('div', {class: 'lab-replay', role: 'status', hidden: true}, mark, words);
  let id = null, known = null, timer = 0;

  async function ask() {
    check.disabled = true;
    await look(async () => {
      await api(`sessions/${encodeURIComponent(id)}/replay`, {});
      return api(`sessions/${encodeURIComponent(id)}/replay`);
    });
  }

  /** Show what `asked` answers, and ask again while the check goes on. */
  async function look(asked) {
    const mine = id;
    clearTimeout(timer);
    try {
      const {replay} = await asked();
      if (mine === id) show(replay);
    } catch (error) {
      if (mine === id) show({status: 'failed', error: error.message, sentences: []});
    }
  }

  function show(replay) {
    known = replay;
    const going = Boolean(replay) && GOING.includes(replay.status);
    node.hidden = !replay;
    check.disabled = going;
    if (!replay) return;
    node.dataset.verdict = replay.verdict || (going ? 'going' : 'failed');
    mark.textContent = MARKS[replay.verdict] || '';
    fill(words, told(replay).map(text => h('p', {}, text)));
    if (going) timer = setTimeout(() => look(() => api(`sessions/${encodeURIComponent(id)}/replay`)), EVERY);
  }

  function draw({view}) {
    const another = view.id !== id;
    bundle.labFor([view]);
    check.hidden = !atRest(view);
    if (another) {
      id = view.id;
      known = null;
      clearTimeout(timer);
    }
    const newer = view.replay && (!known || view.replay.number > known.number || (view.replay.number === known.number && !known.verdict));
    if (another || newer) show(view.replay || null);
  }

  return {buttons: [bundle, check], node, draw};
}

function told(replay) {
  if (replay.sentences.length) return replay.sentences;
  if (replay.status === 'pending') return ['The check waits for its turn.'];
  if (replay.status === 'running') return ['Computing it once more\u2026'];
  if (replay.status === 'cancelled') return ['The check was stopped.'];
  return [`It could not be checked: ${sentence(replay.error || 'the lab does not say why')}`];
}
