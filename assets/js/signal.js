// Whether a session's reward was measured to say anything at a timestep: a quiet line over its candidates, and grey rewards
// where a measurement found that it ranks them no better than chance.
import {h, fill, address} from './dom.js';
import {api} from './api.js';
import {rewardNames} from './words.js';

const REWARD = 'the guess\u2019s reward';

export function makeSignal() {
  const node = h('p', {class: 'note signal', hidden: true}), answers = new Map();
  let now = null, shown = '';

  /** `rows` is the element whose rewards are greyed; null where the step has no candidates. */
  function draw(view, step, rows) {
    now = {view, step, rows};
    node.hidden = !rows || step < 0;
    const asked = askedOf(view);
    if (!node.hidden && asked && !answers.has(asked)) look(asked);
    show(asked ? answers.get(asked) : {known: false, record: null, steps: {}});
  }

  async function look(asked) {
    answers.set(asked, null); // on its way; where it cannot be had nothing is said
    answers.set(asked, await api(`signal?${asked}`).catch(() => null));
    draw(now.view, now.step, now.rows);
  }

  function show(told) {
    const {step, rows} = now, word = !told ? '' : !told.known ? 'unknown' : told.steps[step] || 'unsure';
    if (rows) rows.classList.toggle('no-signal', word === 'none' && step >= 0);
    const signature = `${word} ${told && told.record}`;
    if (signature === shown) return;
    shown = signature;
    const where = told && told.record ? `reliability?record=${encodeURIComponent(told.record)}` : 'reliability';
    const link = text => h('a', {href: address(where)}, text);
    fill(node, {
      unknown: ['Whether ', REWARD, ' can be trusted here is not measured. ', link('Measure it')],
      unsure: ['Whether ', REWARD, ' can be trusted at this step is not measured well enough to say. ', link('What was measured')],
      none: ['Measured: at this step ', REWARD, ' ranks candidates no better than chance, so it is grey. ', link('See how')],
      signal: ['Measured: at this step ', REWARD, ' tells better candidates from worse. ', link('See how well')],
    }[word] || []);
  }

  return {node, draw};
}

/** What to ask for a session; null for one that climbs several rewards, of which none was measured together. */
function askedOf({config}) {
  const {optimised} = rewardNames({config});
  if (optimised.length !== 1 || config.step_kind === 'ode') return null;
  return new URLSearchParams({model: config.model, reward: optimised[0], num_steps: config.num_steps, step_kind: config.step_kind}).toString();
}
