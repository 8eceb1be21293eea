// The trained model against what it came from, with and without a search at test time.
import {h, fill} from './dom.js';
import {count, plural, sentence} from './words.js';
import {stateWord} from './states.js';
import {ARMS, DRAWN, MODELS, captionsOf, judgedOn, withInterval} from './train_words.js';

/** `facts` are the page's; `ask(body)` has the trial queued and throws where it is refused. */
export function makeTrials({facts, titles, ask}) {
  const prompts = h('input', {type: 'number', min: 1, max: 200, value: 24, id: 'trial-prompts'});
  const search = h('select', {id: 'trial-search'}, h('option', {value: ''}, 'no search'), facts.searches.filter(one => one.name !== 'no-search').map(one => h('option', {value: one.name}, one.name)));
  const epoch = h('select', {id: 'trial-epoch'}), problem = h('p', {class: 'problem', role: 'alert'}), list = h('div', {class: 'trials'}), about = h('span');
  const go = h('button', {type: 'submit', class: 'plain'}, 'Evaluate');
  const labelled = (words, control) => h('label', {for: control.id}, h('span', {}, words), control);
  const form = h('form', {class: 'trial-form', novalidate: true}, labelled('Prompts', prompts), labelled('Search at test time', search), labelled('Checkpoint of epoch', epoch), go);
  const node = h('section', {class: 'panel evaluation', 'aria-label': 'Evaluation', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Before against after'), h('p', {class: 'note'}, about)), form, problem, list);
  let listed = '', shown = '';

  form.addEventListener('submit', async event => {
    event.preventDefault();
    problem.textContent = '';
    go.disabled = true;
    try {
      await ask({prompts: prompts.value === '' ? null : Number(prompts.value), search: search.value || null, epoch: Number(epoch.value)});
    } catch (error) {
      const found = Object.entries(error.problems || {});
      problem.textContent = found.length ? found.map(([name, words]) => sentence(`${name}: ${words}`)).join(' ') : error.message;
    }
    go.disabled = false;
  });

  function draw({view}) {
    node.hidden = !view.checkpoints.length;
    if (node.hidden) return;
    about.textContent = `Model as it was and as it is now, on ${judgedOn(view.judged)}, of which there are ${captionsOf(view.judged)}, and from the same starting noises, so that differences are paired. Several wait for one another.`;
    const epochs = view.checkpoints.map(one => one.epoch).reverse(), known = JSON.stringify(epochs);
    if (known !== listed) {
      const newest = !listed || epoch.value === String(JSON.parse(listed)[0]), chosen = epoch.value;
      listed = known;
      fill(epoch, epochs.map(one => h('option', {value: one}, String(one))));
      if (!newest && epochs.map(String).includes(chosen)) epoch.value = chosen;
    }
    const signature = JSON.stringify([view.id, view.evaluations]);
    if (shown === signature) return;
    shown = signature;
    fill(list, [...view.evaluations].reverse().map(one => trial(one, view, titles)));
  }

  return {node, draw};
}

function trial(one, view, titles) {
  const {asked, result} = one, about = `Epoch ${asked.epoch}, ${plural(asked.prompts.length, 'prompt')}, ${asked.search ? `search ${asked.search}` : 'without a search'}`;
  if (!result) return h('p', {class: 'trial', data: {state: one.state || ''}}, h('b', {}, about), `: ${one.error ? `failed: ${one.error}` : stateWord(one.state || 'pending').toLowerCase()}.`);
  const names = Object.keys(result.arms[0].rewards), single = names.filter(name => name !== 'total'), measures = single.length > 1 && Object.values(view.config.rewards).filter(Boolean).length > 1 ? ['total', ...single] : single;
  const headings = measures.map(name => `${name === 'total' ? 'Weighted sum' : titles[name] || name}${view.config.rewards[name] === 0 ? ' (watched)' : ''}`);
  const gained = ({model, arm, against}) => (against.model === model ? `The search, ${MODELS[model]} training` : `Training, ${DRAWN[arm]}`);
  const order = [...result.arms].sort((a, b) => Object.keys(ARMS).indexOf(a.arm) - Object.keys(ARMS).indexOf(b.arm) || (a.model === 'base' ? -1 : 1));
  const row = (words, rewards, last, sign) => h('tr', {}, h('th', {scope: 'row'}, words), measures.map(name => h('td', {class: sign ? surely(rewards[name]) : null}, withInterval(rewards[name], sign))), h('td', {}, last));
  const head = (first, last) => h('thead', {}, h('tr', {}, [first, ...headings, last].map(text => h('th', {scope: 'col'}, text))));
  return h('article', {class: 'trial'}, h('h4', {}, about), h('div', {class: 'scroll'},
    h('table', {class: 'numbers'}, head('Mean', 'Evaluations'), h('tbody', {}, order.map(arm => row(`${ARMS[arm.arm]}, ${MODELS[arm.model]}`, arm.rewards, count(arm.nfe), false)))),
    h('table', {class: 'numbers gains'}, head('Gain of', ''), h('tbody', {}, result.gains.map(gain => row(gained(gain), gain.rewards, '', true))))),
  h('p', {class: 'note'}, `95% intervals over ${plural(result.different ?? result.prompts, result.different === undefined ? 'prompt' : 'different caption')}; a gain whose interval has 0 in it cannot be told from none.`));
}

function surely(one) {
  if (!one || one.low === null || one.low === undefined) return null;
  return one.low > 0 ? 'up' : one.high < 0 ? 'down' : 'even';
}
