// The outcome: the picture that the search led to beside those of the arms, at what each cost.
import {h, keyed, picture} from './dom.js';
import {LIVE, armWords, climbedWord, count, number, optimisedTitle, rewardFacts, rewardNames, seconds, total, verdict} from './words.js';
import {highest} from './view.js';
import {makeCompare} from './compare.js';

export function makeOutcome({enlarge}) {
  const cards = h('ul', {class: 'cards'}), words = h('p', {class: 'note verdict'}), compare = makeCompare();
  const node = h('section', {class: 'panel outcome', 'aria-label': 'Outcome'},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Outcome'), words), cards, compare.node);
  let large = () => [];
  const open = key => enlarge(large(), key);

  function draw({view, titles}) {
    const live = LIVE.includes(view.state);
    const list = ['search', ...view.config.arms].map(name => view.arms.find(arm => arm.arm === name) || {arm: name, missing: true});
    node.hidden = !view.arms.length && !live || !view.sigmas.length;
    const rows = rewardRows(view, titles, list);
    const items = list.map((arm, i) => ({arm, live, word: climbedWord(view), about: aboutArm(armWords(view, arm.arm), arm), rewards: rows.map(row => ({...row, value: row.values[i], top: row.top.includes(i), values: undefined}))}));
    large = () => list.filter(arm => !arm.missing).map(arm => largeItem(view, titles, arm));
    keyed(cards, items, item => item.arm.arm, item => card(item, () => open(item.arm.arm)));
    words.textContent = verdict(view, titles) || 'What the search leads to, beside other ways to a picture.';
    compare.draw(view, titles, rows, list);
  }

  return {node, draw};
}

/** A row a reward: title, whether it was climbed, its value in every arm, and which of them are highest. */
function rewardRows(view, titles, list) {
  const {optimised, watched} = rewardNames(view);
  const row = (title, climbed, value) => {
    const values = list.map(arm => (arm.missing ? undefined : value(arm.rewards) ?? null));
    const told = new Set(values.filter(one => one !== null && one !== undefined));
    return {title, climbed, values, top: told.size > 1 ? highest(values) : []};
  };
  const rows = optimised.length > 1 ? [row('Weighted sum', true, rewards => total(view, rewards))] : [];
  for (const name of optimised) rows.push(row(titles[name] || name, optimised.length === 1, rewards => rewards[name]));
  for (const name of watched) rows.push(row(titles[name] || name, false, rewards => rewards[name]));
  return rows;
}

function aboutArm(about, arm) {
  return {title: about.title, line: about.line(arm.missing ? 0 : arm.trajectories)};
}

function card({arm, live, word, about, rewards}, open) {
  const top = rewards[0] && rewards[0].top;
  const classes = ['arm', arm.arm === 'search' && 'own', arm.missing && 'missing', top && 'top'];
  return h('li', {class: classes.filter(Boolean).join(' '), data: {arm: arm.arm}},
    h('button', {type: 'button', class: 'frame', disabled: Boolean(arm.missing), 'aria-label': `${about.title}, large`, onclick: open},
      arm.missing ? h('span', {class: 'hole'}, live ? 'to come' : 'not run') : picture(arm.image, '')),
    h('h4', {}, about.title),
    h('p', {class: 'line'}, about.line),
    h('dl', {class: 'scores'}, rewards.map(one => h('div', {class: one.climbed ? 'climbed' : 'watched'},
      h('dt', {}, one.title, one.climbed ? h('small', {}, ` ${word}`) : null),
      h('dd', {}, arm.missing ? '\u2013' : one.value === null ? 'no number' : number(one.value), one.top ? h('span', {class: 'crown'}, 'highest') : null)))),
    arm.missing ? null : h('p', {class: 'cost', title: `${count(arm.decodes)} pictures decoded, ${count(arm.reward_calls)} scored`},
      [`${count(arm.nfe)} evaluations`, `${count(arm.decodes)} decoded`, seconds(arm.seconds)].map(part => part.replaceAll(' ', '\u00a0')).join(', ')));
}

function largeItem(view, titles, arm) {
  const about = aboutArm(armWords(view, arm.arm), arm);
  return {
    key: arm.arm, image: arm.image, title: about.title, note: about.line,
    facts: [...rewardFacts(view, titles, name => arm.rewards[name] ?? null), ['Velocity evaluations', count(arm.nfe)],
      ['Pictures decoded', count(arm.decodes)], ['Reward calls', count(arm.reward_calls)], ['Time', seconds(arm.seconds)]],
  };
}
