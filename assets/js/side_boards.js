// The boards of several searches under one cursor: a timestep (aligned by its noise level), an iteration, a candidate.
import {h, fill, picture} from './dom.js';
import {api} from './api.js';
import {letterOf} from './side_tables.js';
import {number, plural, told} from './words.js';

const FOLD_OVER = 40, FOLDED = 20, KEPT = 60, ACROSS = 8; // candidates of a row; answers that are kept; candidates beside one another

/** `move({at, iteration, candidate})` puts the page elsewhere. */
export function makeBoards({move}) {
  const slider = h('input', {type: 'range', min: 0, step: 1, 'aria-label': 'Timestep', oninput: () => move({at: Number(slider.value), iteration: now.place.iteration})});
  const name = h('output', {class: 'at'}), about = h('p', {class: 'note'}), columns = h('div', {class: 'side-columns', role: 'group', 'aria-label': 'Boards under one cursor', tabindex: '0'});
  const node = h('section', {class: 'panel side-boards', 'aria-label': 'Boards', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Boards under one cursor'), about), h('label', {class: 'moments-slider'}, slider, name), columns,
    h('p', {class: 'note keys'}, 'Arrow keys go through candidates and iterations, [ and ] through timesteps. Framed candidates were kept.'));
  const source = makeSource();
  let now = null, drawn = '';

  columns.addEventListener('keydown', event => {
    const {place, section} = now, by = {ArrowLeft: ['candidate', -1], ArrowRight: ['candidate', 1], ArrowUp: ['iteration', -1], ArrowDown: ['iteration', 1], '[': ['at', -1], ']': ['at', 1]}[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const [what, step] = by, most = {candidate: counts(section, place.at).candidates, iteration: counts(section, place.at).iterations, at: section.moments.length}[what] - 1;
    move({at: place.at, iteration: place.iteration, [what]: Math.min(Math.max(place[what] + step, 0), Math.max(most, 0))});
  });

  function draw(section, place) {
    const moment = section.moments[place.at];
    now = {section, place};
    node.hidden = !moment;
    if (!moment) return;
    slider.max = section.moments.length - 1;
    slider.value = place.at;
    slider.disabled = section.moments.length < 2;
    name.textContent = moment.initial ? 'Starting noise' : `\u03c3 ${number(moment.sigma)}`;
    slider.setAttribute('aria-valuetext', name.textContent);
    about.textContent = section.same_schedule ? 'All go through the same noise levels.' : 'Their schedules differ: each shows the timestep that begins nearest to this noise level.';
    const signature = JSON.stringify([place.at, moment, section.letters.map(letter => [section.sides[letter].id, section.sides[letter].seq])]);
    if (signature !== drawn) {
      drawn = signature;
      fetchAll(section, moment, signature);
    } else mark();
  }

  /** The boards of a moment: what is known at once, and the others as they come. */
  async function fetchAll(section, moment, mine) {
    const held = columns.contains(document.activeElement);
    const wanted = section.letters.map(letter => ({letter, side: section.sides[letter], step: moment.steps[letter]}));
    const load = one => (one.step === undefined || !one.side.rounds.some(round => round.step === one.step) ? null : source.rows(one.side, one.step));
    if (!columns.children.length) fill(columns, wanted.map(one => column(one, null)));
    const rows = await Promise.all(wanted.map(one => Promise.resolve(load(one)).catch(error => ({problem: error.message}))));
    if (mine !== drawn) return;
    fill(columns, wanted.map((one, i) => column(one, rows[i])));
    columns.style.setProperty('--count', wanted.length);
    if (held) columns.focus({preventScroll: true});
    mark();
  }

  function column({letter, side, step}, rows) {
    const head = h('div', {class: 'side-column-head'}, letterOf(letter), h('b', {}, step === undefined ? (side.sigmas.length ? 'Not here' : 'Not begun') : step < 0 ? 'Starting noise' : `Step ${step + 1}`),
      step >= 0 ? h('span', {}, `\u03c3 ${number(side.sigmas[step])}`) : null);
    const taken = side.steps.find(one => one.step === step), large = h('div', {class: 'side-large'}), node = h('div', {class: 'side-column', role: 'group', 'aria-label': `Board of ${letter}`, data: {letter}}, head, large);
    const why = rows && rows.problem ? rows.problem : step === undefined ? (side.sigmas.length ? 'It did not search its starting noise.' : 'It has taken no step yet.') : !rows ? 'Not searched here: only the guess after the step.' : '';
    if (why) node.append(h('p', {class: 'note'}, why));
    if (Array.isArray(rows)) node.append(h('div', {class: 'side-rows'}, rows.map(row => line(letter, row))));
    if (taken) node.append(h('div', {class: 'side-taken'}, picture(taken.image, ''), h('span', {}, 'Guess after the step', now.section.rewards.filter(one => one.name in taken.rewards).map(one => h('small', {}, `${one.title} ${told(taken.rewards[one.name])}`)))));
    node.labRows = Array.isArray(rows) ? rows : [];
    return node;
  }

  function line(letter, row) {
    const order = row.images.map((_, i) => i), folded = order.length > FOLD_OVER;
    const shown = folded ? order.sort((a, b) => (row.total[b] ?? -Infinity) - (row.total[a] ?? -Infinity)).slice(0, FOLDED) : order;
    const node = h('div', {class: 'side-row', data: {iteration: row.iteration}}, h('span', {class: 'number'}, String(row.iteration + 1)),
      h('div', {class: 'side-cells'}, shown.map(i => h('button', {type: 'button', tabindex: -1, class: row.elites.includes(i) ? 'elite' : null, data: {candidate: i},
        'aria-label': `${letter}, iteration ${row.iteration + 1}, candidate ${i + 1}, reward ${told(row.total[i])}${row.elites.includes(i) ? ', kept' : ''}`,
        onclick: () => { move({at: now.place.at, iteration: row.iteration, candidate: i}); columns.focus({preventScroll: true}); }}, picture(row.images[i], '', {loading: 'lazy'}))),
      folded ? h('small', {}, `the ${FOLDED} highest of ${order.length}`) : null));
    node.style.setProperty('--across', Math.min(shown.length, ACROSS));
    return node;
  }

  /** Put the cursor on every board: at its iteration and candidate, or the nearest that the board has. */
  function mark() {
    const {place} = now;
    for (const board of columns.children) {
      const rows = board.labRows || [], row = rows[Math.min(place.iteration, rows.length - 1)];
      const index = row ? Math.min(place.candidate, row.images.length - 1) : -1;
      for (const cell of board.querySelectorAll('.at')) cell.classList.remove('at');
      const line = row && board.querySelector(`[data-iteration="${row.iteration}"]`), cell = line && line.querySelector(`[data-candidate="${index}"]`);
      for (const one of [line, cell]) if (one) one.classList.add('at');
      const large = board.querySelector('.side-large');
      fill(large, row ? [picture(row.images[index], `Candidate ${index + 1} of iteration ${row.iteration + 1}, ${board.dataset.letter}`), facts(row, index)] : null);
    }
  }

  return {node, draw};
}

function facts(row, index) {
  const value = row.total[index], rank = value === null ? null : row.total.filter(one => one !== null && one > value).length + 1;
  return h('div', {class: 'facts-of'}, h('b', {}, told(value)), h('span', {}, `candidate ${index + 1}, iteration ${row.iteration + 1}`),
    h('span', {}, [rank && `number ${rank} of ${plural(row.total.length, 'candidate')}`, row.elites.includes(index) && 'kept'].filter(Boolean).join(', ')),
    h('span', {title: 'How large the noise is: 1 is a real noise'}, `size ${number(row.norms[index], 2)}, likeness ${number(row.cosine, 2)}`));
}

/** How many iterations and candidates the largest board of a moment has. */
function counts({moments, sides}, at) {
  const rounds = Object.entries(moments[at].steps).map(([letter, step]) => sides[letter].rounds.find(one => one.step === step)).filter(Boolean);
  return {iterations: Math.max(0, ...rounds.map(one => one.iterations)), candidates: Math.max(0, ...rounds.map(one => one.candidates))};
}

/** Iterations of a timestep with their candidates; those of a search that goes on are asked for anew as it does. */
function makeSource() {
  const known = new Map();
  return {
    async rows(side, step) {
      const key = `${side.id} ${step} ${side.seq}`;
      if (!known.has(key)) {
        if (known.size >= KEPT) known.delete(known.keys().next().value);
        known.set(key, api(`sessions/${encodeURIComponent(side.id)}/steps/${step}`).then(told => told.iterations, error => { known.delete(key); throw error; }));
      }
      return known.get(key);
    },
  };
}
