// Two tables that every kind of comparison has: which is better, and which settings differ.
import {h, svg, fill} from './dom.js';
import {number} from './words.js';

const WIDE = 132, HIGH = 18, FEW = 4; // rows on one sample that need no folding

export function letterOf(letter) {
  return h('span', {class: 'side-letter', data: {side: letter}}, letter);
}

/** What can be said of who is better: a row a pair and a measure, the sure ones first. */
export function makeVerdicts() {
  const body = h('tbody'), single = h('tbody', {class: 'single'}), beside = h('div', {class: 'beside'}), none = h('p', {class: 'note'});
  const table = h('table', {class: 'side-verdicts'}, h('caption', {class: 'unseen'}, 'Differences with their intervals'),
    h('thead', {}, h('tr', {}, ['', 'Measured on', 'Values', 'Difference, 95%', '', 'Verdict'].map(text => h('th', {scope: 'col'}, text)))), body, single);
  const unfold = h('button', {type: 'button', class: 'link', onclick: () => { single.hidden = !single.hidden; tell(); }});
  const node = h('section', {class: 'panel side-better', 'aria-label': 'Which is better'}, h('div', {class: 'panel-head'}, h('h3', {}, 'Which is better')),
    h('div', {class: 'scroll'}, table), unfold, none, beside);
  let drawn = '';

  function tell() {
    const many = single.children.length;
    unfold.textContent = single.hidden ? `Show ${many} on one sample each, without a verdict` : 'Fold those on one sample';
  }

  function draw({verdicts, beside: words, letters, families}) {
    const signature = JSON.stringify([verdicts, words]);
    if (signature === drawn) return;
    drawn = signature;
    const shown = verdicts.filter(one => one.pairs), lost = verdicts.length - shown.length;
    table.hidden = !shown.length;
    node.hidden = letters.length < 2;
    const rank = one => (one.better ? 0 : one.low !== null ? 1 : 2);
    const reach = reaches(shown);
    const [ones, more] = [shown.filter(one => one.pairs === 1), shown.filter(one => one.pairs > 1).sort((a, b) => rank(a) - rank(b))];
    fill(body, more.map(one => row(one, reach.get(one.title))));
    fill(single, ones.map(one => row(one, reach.get(one.title))));
    single.hidden = ones.length > FEW;
    unfold.hidden = !single.hidden;
    tell();
    none.textContent = shown.length ? lost ? `${lost} further comparisons share no prompt and seed.` : ''
      : families.length < 2 ? '' : 'These records share no prompt and seed, and neither do others with their settings: which is better cannot be said. Run them on the same prompts and seeds.';
    none.hidden = !none.textContent;
    fill(beside, words.map(text => h('p', {class: 'note'}, text)));
  }

  return {node, draw};
}

/** How far from 0 each measure's intervals go, so that those of one measure share a scale. */
function reaches(verdicts) {
  const found = new Map();
  for (const one of verdicts) {
    const far = Math.max(...[one.mean, one.low, one.high].map(value => Math.abs(value ?? 0)));
    found.set(one.title, Math.max(found.get(one.title) || 0, far));
  }
  return found;
}

function row(one, reach) {
  const winner = one.better && one[one.better], signed = value => (value > 0 ? '+' : '') + number(value);
  const several = name => h('span', {class: 'letters'}, one[name].map(letterOf));
  return h('tr', {class: one.better ? 'sure' : null, title: one.sentence},
    h('th', {scope: 'row'}, several('one'), h('span', {class: 'less'}, '\u2212'), several('other')),
    h('td', {class: 'on'}, h('b', {}, one.title), h('small', {}, one.about)),
    h('td', {class: 'values'}, one.values.map(value => number(value)).join(' \u2212 ')),
    h('td', {class: 'by'}, signed(one.mean), one.low === null ? null : h('small', {}, `[${signed(one.low)}, ${signed(one.high)}]`)),
    h('td', {class: 'plot'}, interval(one, reach)),
    h('td', {class: 'verdict-of'}, winner ? [h('span', {class: 'letters'}, winner.map(letterOf)), ' is higher'] : one.verdict, h('small', {}, pairs(one))));
}

function pairs(one) {
  return one.pairs > 1 ? ` ${one.pairs} pairs${one.over === 'prompts' && one.prompts > 1 ? `, ${one.prompts} prompts` : ''}` : '';
}

/** The difference as a dot and its interval as a line, about 0. */
function interval({mean, low, high, better, one, other}, reach) {
  if (!reach) return null;
  const at = value => WIDE / 2 + (WIDE / 2 - 6) * (value / reach), middle = HIGH / 2;
  const side = better ? (better === 'one' ? one : other)[0] : null;
  return svg('svg', {class: 'interval', width: WIDE, height: HIGH, viewBox: `0 0 ${WIDE} ${HIGH}`, 'aria-hidden': 'true', data: side ? {side} : {}},
    svg('line', {class: 'zero', x1: WIDE / 2, x2: WIDE / 2, y1: 1, y2: HIGH - 1}),
    low === null ? null : svg('line', {class: 'range', x1: at(low), x2: at(high), y1: middle, y2: middle}),
    svg('circle', {class: low === null ? 'dot hollow' : 'dot', cx: at(mean), cy: middle, r: 4}));
}

/** Settings: a row each, those that differ first and open, the others folded. */
export function makeSettings() {
  const differing = h('table', {class: 'side-settings'}), same = h('table', {class: 'side-settings'}), summary = h('summary'), folded = h('details', {}, summary, h('div', {class: 'scroll'}, same));
  const none = h('p', {class: 'note'}, 'No setting differs.');
  const node = h('section', {class: 'panel side-config', 'aria-label': 'Settings'}, h('div', {class: 'panel-head'}, h('h3', {}, 'Settings')), none, h('div', {class: 'scroll'}, differing), folded);
  let drawn = '';

  function draw({settings, letters}) {
    const signature = JSON.stringify([settings, letters]);
    if (signature === drawn) return;
    drawn = signature;
    const apart = settings.filter(one => one.differs), alike = settings.filter(one => !one.differs);
    none.hidden = apart.length > 0 || letters.length < 2;
    differing.hidden = !apart.length;
    folded.hidden = !alike.length;
    summary.textContent = letters.length > 1 ? `${alike.length} settings are the same` : `${alike.length} settings`;
    const head = names => h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, h('span', {class: 'unseen'}, 'Setting')), names));
    const name = one => h('th', {scope: 'row', title: one.help}, one.label);
    fill(differing, head(letters.map(letter => h('th', {scope: 'col'}, letterOf(letter)))),
      h('tbody', {}, apart.map(one => h('tr', {}, name(one), letters.map(letter => h('td', {}, h('bdi', {}, one.values[letter])))))));
    fill(same, h('tbody', {}, alike.map(one => h('tr', {}, name(one), h('td', {}, h('bdi', {}, one.values[letters[0]]))))));
  }

  return {node, draw};
}
