// The filmstrip: a cell a timestep, from noise on the left to the picture on the right.
import {h, keyed, picture} from './dom.js';
import {LIVE, highest, number, optimisedTitle, position, total} from './words.js';

export function makeFilm({select}) {
  const title = h('h3', {}, 'Timesteps'), note = h('p', {class: 'note'});
  const strip = h('ol', {class: 'film'});
  const node = h('section', {class: 'panel filmstrip', 'aria-label': 'Timesteps'}, h('div', {class: 'panel-head'}, title, note), strip);
  let shown = -1;

  strip.addEventListener('keydown', event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by) return;
    event.preventDefault();
    const next = Math.min(Math.max(shown + by, 0), strip.children.length - 1);
    select(next);
    strip.children[next].querySelector('button').focus();
  });

  function draw({view, titles, selected}) {
    const {window_min: low, window_max: high} = view.config;
    const any = view.searched.some(Boolean);
    note.textContent = !view.sigmas.length ? '' : any
      ? `The model\u2019s guess of the final picture after each step, its ${optimisedTitle(view, titles)} below. Searched where the noise level \u03c3 is from ${number(low, 2)} to ${number(high, 2)}.`
      : `The model\u2019s guess of the final picture after each step, its ${optimisedTitle(view, titles)} below. No step is searched.`;
    keyed(strip, cells(view), cell => cell.step, cell => make(cell, select));
    [...strip.children].forEach((child, step) => {
      const button = child.querySelector('button');
      button.setAttribute('aria-pressed', String(step === selected));
      button.tabIndex = step === selected ? 0 : -1;
    });
    if (shown !== selected) {
      shown = selected;
      reveal(strip, strip.children[selected]);
    }
  }

  return {node, draw};
}

/** What each cell shows: plain values, so that an unchanged cell is left alone. */
function cells(view) {
  const at = position(view), live = LIVE.includes(view.state);
  return view.searched.map((searched, step) => {
    const row = view.steps[step], under = view.iterations.filter(one => one.step === step);
    const last = under[under.length - 1];
    const best = !row && last ? highest(last.total)[0] ?? 0 : null;
    return {
      step, searched,
      neighbours: [Boolean(view.searched[step - 1]), Boolean(view.searched[step + 1])],
      sigma: view.sigmas[step], next: view.sigmas[step + 1],
      image: row ? row.image : last ? last.images[best] : null,
      reward: row ? total(view, row.rewards) : last ? last.total[best] : undefined,
      progress: !row && searched && live && step === at.step ? `${under.length} of ${at.per}` : null,
      current: live && step === at.step,
    };
  });
}

function make(cell, select) {
  const label = `Step ${cell.step + 1}, noise level ${number(cell.sigma)} to ${number(cell.next)}, ${cell.searched ? 'searched' : 'not searched'}`;
  const classes = ['cell', cell.searched && 'searched', cell.current && 'current', !cell.image && 'blank',
    cell.searched && !cell.neighbours[0] && 'first', cell.searched && !cell.neighbours[1] && 'last'];
  return h('li', {class: classes.filter(Boolean).join(' ')},
    h('button', {type: 'button', onclick: () => select(cell.step), 'aria-label': cell.reward === undefined ? label : `${label}, reward ${number(cell.reward)}`},
      h('span', {class: 'mark'}, cell.searched ? 'searched' : ''),
      h('span', {class: 'frame'}, cell.image ? picture(cell.image, '') : h('span', {class: 'hole'}, String(cell.step + 1)),
        cell.progress ? h('span', {class: 'badge live'}, cell.progress) : null),
      h('span', {class: 'reward'}, cell.reward === undefined ? '\u00a0' : number(cell.reward)),
      h('span', {class: 'sigma'}, `\u03c3 ${number(cell.sigma, 2)}`, h('i', {}, ` \u2192 ${number(cell.next, 2)}`))));
}

/** Scroll sideways within the strip only; the page itself must not jump while a search is watched. */
function reveal(strip, child) {
  if (!child) return;
  const left = child.offsetLeft - strip.offsetLeft;
  if (left < strip.scrollLeft || left + child.offsetWidth > strip.scrollLeft + strip.clientWidth)
    strip.scrollTo({left: left - strip.clientWidth / 2 + child.offsetWidth / 2, behavior: 'smooth'});
}
