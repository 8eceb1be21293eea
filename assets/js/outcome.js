// The outcome: the picture that the search led to beside those of the arms, at what each cost.
import {h, svg, fill, keyed, picture} from './dom.js';
import {LIVE, armWords, climbedWord, count, number, optimisedTitle, rewardFacts, rewardNames, seconds, total, verdict} from './words.js';
import {highest} from './view.js';
import {makeCompare} from './compare.js';

export function makeOutcome({enlarge}) {
  const cards = h('ul', {class: 'cards'}), words = h('p', {class: 'note verdict'}), trail = h('figure', {class: 'trail'}), compare = makeCompare();
  const node = h('section', {class: 'panel outcome', 'aria-label': 'Outcome'},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Outcome'), words), cards, compare.node, trail);
  const chart = {arms: [], title: '', caption: '', drawn: ''};
  let large = () => [];
  const open = key => enlarge(large(), large().findIndex(one => one.key === key));

  function drawChart() {
    const width = Math.min(trail.clientWidth, 820);
    const signature = JSON.stringify([chart.caption, width, chart.arms.map(arm => [arm.arm, arm.name, arm.trail])]);
    if (!width || signature === chart.drawn) return;
    chart.drawn = signature;
    drawTrail(trail, chart, width);
  }
  new ResizeObserver(drawChart).observe(trail);

  function draw({view, titles}) {
    const live = LIVE.includes(view.state);
    const list = ['search', ...view.config.arms].map(name => view.arms.find(arm => arm.arm === name) || {arm: name, missing: true});
    node.hidden = !view.arms.length && !live || !view.sigmas.length;
    const rows = rewardRows(view, titles, list);
    const items = list.map((arm, i) => ({arm, live, word: climbedWord(view), about: told(armWords(view, arm.arm), arm), rewards: rows.map(row => ({...row, value: row.values[i], top: row.top.includes(i), values: undefined}))}));
    large = () => list.filter(arm => !arm.missing).map(arm => largeItem(view, titles, arm));
    keyed(cards, items, item => item.arm.arm, item => card(item, () => open(item.arm.arm)));
    words.textContent = verdict(view, titles) || 'What the search leads to, beside other ways to a picture.';
    chart.arms = view.arms.filter(arm => arm.trail && arm.trail.length > 1).map(arm => ({...arm, name: armWords(view, arm.arm).title}));
    chart.title = optimisedTitle(view, titles);
    chart.caption = `${chart.title} of the guess after each step. Compare the lines within a step; along a line the guesses themselves change.`
      + (view.config.arms.some(arm => arm.startsWith('best_of')) ? ' Best-of arms are not followed step by step.' : '');
    trail.hidden = chart.arms.length < 2;
    compare.draw(view, titles, rows, list);
    drawChart();
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

function told(about, arm) {
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
  const about = told(armWords(view, arm.arm), arm);
  return {
    key: arm.arm, image: arm.image, title: about.title, note: about.line,
    facts: [...rewardFacts(view, titles, name => arm.rewards[name] ?? null), ['Velocity evaluations', count(arm.nfe)],
      ['Pictures decoded', count(arm.decodes)], ['Reward calls', count(arm.reward_calls)], ['Time', seconds(arm.seconds)]],
  };
}

const H = 190, LEFT = 40, TOP = 10, BOTTOM = 28;

/** The optimised reward of the estimate after each step, a line an arm, named at its end. */
function drawTrail(figure, {arms, title, caption}, W) {
  const all = arms.flatMap(arm => arm.trail).filter(value => value !== null);
  if (arms.length < 2 || !all.length) return fill(figure);
  const low = Math.min(...all), high = Math.max(...all), room = (high - low || 1) * 0.06, steps = Math.max(...arms.map(arm => arm.trail.length));
  const RIGHT = 22 + 6 * Math.max(...arms.map(arm => arm.name.length));
  const x = i => LEFT + (W - LEFT - RIGHT) * (steps > 1 ? i / (steps - 1) : 0);
  const y = v => TOP + (H - TOP - BOTTOM) * (1 - (v - low + room) / (high - low + 2 * room));
  const text = (props, words) => { const node = svg('text', props); node.textContent = words; return node; };
  const ends = spaced(arms.map(arm => y(arm.trail[arm.trail.length - 1] ?? low)), 15, H - BOTTOM);
  fill(figure, h('figcaption', {}, caption),
    svg('svg', {viewBox: `0 0 ${W} ${H}`, width: W, height: H, role: 'img', 'aria-label': `${title} after each step, by arm`},
      [low, (low + high) / 2, high].map(v => [svg('line', {class: 'grid', x1: LEFT, x2: W - RIGHT, y1: y(v), y2: y(v)}), text({class: 'tick', x: LEFT - 6, y: y(v) + 4, 'text-anchor': 'end'}, number(v, 2))]),
      Array.from({length: steps}, (_, i) => text({class: 'tick', x: x(i), y: H - 8, 'text-anchor': 'middle'}, String(i + 1))),
      arms.map((arm, i) => svg('g', {class: `line-${arm.arm}`},
        svg('path', {d: path(arm.trail, x, y)}),
        text({x: W - RIGHT + 8, y: ends[i] + 4}, arm.name)))));
}

/** A line through the finite values, broken at the others. */
function path(values, x, y) {
  let pen = 'M';
  return values.map((value, i) => {
    if (value === null) { pen = 'M'; return ''; }
    const part = `${pen}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = 'L';
    return part;
  }).join('');
}

/** Heights of labels, pushed apart to `gap` and kept above `floor`. */
function spaced(heights, gap, floor) {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]), placed = [...heights];
  order.forEach((i, n) => { if (n) placed[i] = Math.max(placed[i], placed[order[n - 1]] + gap); });
  const over = Math.max(...placed) - floor;
  return over > 0 ? placed.map(value => value - over) : placed;
}
