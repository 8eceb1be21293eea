// The filmstrip: a cell a timestep, from noise on the left to the picture on the right.
import {h, keyed, picture} from './dom.js';
import {LIVE, estimatorOf, number, optimisedTitle, position, stepTitle, total} from './words.js';
import {bestOf, detailed, isSearched, iterationsOf, stepRow, stepUnderWay, stepsOf} from './view.js';

export function makeFilm({select}) {
  const title = h('h3', {}, 'Timesteps'), note = h('p', {class: 'note'});
  const strip = h('ol', {class: 'film'});
  const node = h('section', {class: 'panel filmstrip', 'aria-label': 'Timesteps'}, h('div', {class: 'panel-head'}, title, note), strip);
  let shown = null;

  strip.addEventListener('keydown', event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by) return;
    event.preventDefault();
    select(shown + by);
    childOf(shown)?.querySelector('button').focus();
  });

  const childOf = step => [...strip.children].find(child => child.labKey === String(step));

  function draw({view, titles, cursor}) {
    const {window_min: low, window_max: high} = view.config;
    const any = view.searched.some(Boolean), first = stepsOf(view)[0] < 0;
    const kind = estimatorOf(view) === 'one_step' ? '' : ', in one step,';
    note.textContent = !view.sigmas.length ? '' : any
      ? `The model\u2019s guess${kind} of the final picture after each step, its ${optimisedTitle(view, titles)} below. Searched where the noise level \u03c3 is from ${number(low, 2)} to ${number(high, 2)}.`
      : `The model\u2019s guess${kind} of the final picture after each step, its ${optimisedTitle(view, titles)} below. ${first ? 'Only the starting noise x\u2081 is searched.' : 'No step is searched.'}`;
    strip.classList.toggle('dense', stepsOf(view).length > 10);
    keyed(strip, cells(view), cell => cell.step, cell => make(cell, select));
    mark(cursor);
  }

  function mark({step}) {
    for (const child of strip.children) {
      const button = child.firstElementChild, here = child.labKey === String(step);
      button.setAttribute('aria-pressed', String(here));
      button.tabIndex = here ? 0 : -1;
    }
    if (shown === step) return;
    reveal(strip, childOf(step), shown === null ? 'instant' : 'smooth');
    shown = step;
  }

  return {node, draw, mark};
}

/** What each cell shows: plain values, so that an unchanged cell is left alone. */
function cells(view) {
  const at = position(view), live = LIVE.includes(view.state);
  return stepsOf(view).map(step => {
    const row = stepRow(view, step), under = iterationsOf(view, step), searched = isSearched(view, step);
    const last = !row && under.length && detailed(under[under.length - 1]) ? under[under.length - 1] : null;
    return {
      step, searched,
      neighbours: [step > 0 && isSearched(view, step - 1), step >= 0 && isSearched(view, step + 1)],
      sigma: step < 0 ? 1 : view.sigmas[step], next: step < 0 ? null : view.sigmas[step + 1],
      image: row ? row.image : last ? last.images[bestOf(last)] : null,
      reward: row ? total(view, row.rewards) : last ? last.total[bestOf(last)] : undefined,
      progress: !row && searched && live && step === at.step ? `${under.length} of ${at.per}` : null,
      current: live && step === stepUnderWay(view),
    };
  });
}

function make(cell, select) {
  const level = cell.next === null ? number(cell.sigma) : `${number(cell.sigma)} to ${number(cell.next)}`;
  const label = `${stepTitle(cell.step)}, noise level ${level}, ${cell.searched ? 'searched' : 'not searched'}`;
  const classes = ['cell', cell.step < 0 && 'start', cell.searched && 'searched', cell.current && 'current', !cell.image && 'blank',
    cell.searched && !cell.neighbours[0] && 'first', cell.searched && !cell.neighbours[1] && 'last'];
  return h('li', {class: classes.filter(Boolean).join(' ')},
    h('button', {type: 'button', onclick: () => select(cell.step), 'aria-label': cell.reward === undefined ? label : `${label}, reward ${number(cell.reward)}`},
      h('span', {class: 'mark'}, cell.searched ? 'searched' : ''),
      h('span', {class: 'frame'}, cell.image ? picture(cell.image, '') : null, h('span', {class: cell.image ? 'which' : 'hole'}, cell.step < 0 ? 'x\u2081' : `Step ${cell.step + 1}`),
        cell.progress ? h('span', {class: 'badge live'}, cell.progress) : null),
      h('span', {class: 'reward'}, cell.reward === undefined ? '\u00a0' : number(cell.reward)),
      h('span', {class: 'sigma'}, cell.next === null ? 'x\u2081' : `\u03c3 ${number(cell.sigma, 2)}`, cell.next === null ? null : h('i', {}, ` \u2192 ${number(cell.next, 2)}`))));
}

/** Scroll sideways within the strip only; the page itself must not jump while a search is watched. */
function reveal(strip, child, behavior) {
  if (!child) return;
  const left = child.offsetLeft - strip.offsetLeft;
  if (left < strip.scrollLeft || left + child.offsetWidth > strip.scrollLeft + strip.clientWidth)
    strip.scrollTo({left: left - strip.clientWidth / 2 + child.offsetWidth / 2, behavior});
}
