// The candidate board of one timestep: a row an iteration, a picture a candidate, and the cursor among them.
//
// A move of the cursor draws nothing anew: it toggles classes. Rows are made again only when their own content changes.
import {h, fill, keyed} from './dom.js';
import {LIVE, estimatorOf, guessWords, number, numElites, optimisedTitle, plural, stepTitle, total} from './words.js';
import {detailed, isSearched, iterationsOf, keptByHand, sizeOf, stepRow, stepUnderWay, stepsOf} from './view.js';
import {moved} from './cursor.js';
import {FOLD_OVER, NUMBERS, emptyRow, makeRow, plainRow, rowItem, usedRow} from './rows.js';
import {finishesOf, placeKey, rowSentence, waitingOf} from './finish.js';
import {galleryItems, popoverFacts, usedText} from './gallery.js';
import {choosable, isReady, makeChooser, pastWords} from './chooser.js';
import {makeInspector} from './inspector.js';
import {makePopover} from './popover.js';
import {makeSignal} from './signal.js';

const IN_A_LINE = 8, IN_MANY_LINES = 10, KEPT = 80;
const idly = window.requestIdleCallback || (work => setTimeout(work, 200)), notIdly = window.cancelIdleCallback || clearTimeout;

/** `acts`: move(place), enlarge(items, key, moved), finish(places), follow(), choose(row), tick(candidate), keep(then), leave(), help(). */
export function makeBoard(acts) {
  const parts = frame(acts), {node, title, note, back, on, legend, rows, bench, sorts} = parts;
  const popover = makePopover(cell => (now.choosing && !pinned ? null : popoverFacts(now, placeOf(cell)))); // it would lie over what is ticked
  const chooser = makeChooser({send: acts.keep, leave: acts.leave});
  const inspector = makeInspector({
    enlarge: key => open(key === 'used' ? 'used' : placeKey(now.cursor)), enlargeFinish: () => open(`${placeKey(now.cursor)}/finished`),
    finish: () => acts.finish([now.cursor]),
  });
  const signal = makeSignal();
  bench.append(inspector.node);
  legend.after(signal.node);
  node.append(chooser.node, parts.help, popover.node);
  const opened = new Set(), groups = makeGroups(rows);
  let now = null, sort = 'index', marked = [], pinned = false, chosen = '', idle = 0;

  const open = key => acts.enlarge(galleryItems(now, sort), key);
  const step = by => acts.move({step: now.cursor.step + by});
  back.addEventListener('click', () => step(-1));
  on.addEventListener('click', () => step(1));
  popover.watch(rows, '.candidate[data-candidate]');
  for (const button of sorts) button.addEventListener('click', () => { sort = button.dataset.sort; draw(now); });
  rows.addEventListener('click', clicked);
  node.addEventListener('keydown', pressed);
  document.addEventListener('keydown', event => {
    if (event.target === document.body && (event.key === '?' || event.key === 'Escape')) pressed(event); // nothing else has the focus
  });

  function clicked({target, clientX}) {
    const row = target.closest('.row[data-iteration]'), one = target.closest('.candidate[data-candidate]'), onDots = target.closest('.dots');
    if (!row || !one && !onDots && !target.closest('.row-name')) return;
    const candidate = one ? Number(one.dataset.candidate) : onDots ? row.labDots.nearest(clientX) : now.cursor.candidate;
    if (candidate === null) return;
    const place = {...now.cursor, iteration: Number(row.dataset.iteration), candidate};
    const again = one && one.classList.contains('at'), ticking = (one || onDots) && canTick(place);
    rows.focus({preventScroll: true});
    popover.dismiss();
    acts.move(place);
    if (ticking) acts.tick(candidate);
    else if (one && (again || matchMedia('(max-width: 820px)').matches)) open(placeKey(now.cursor));
  }

  function pressed(event) {
    if (!now || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea')) return;
    const onGrid = event.target === rows, place = moved(now.view, now.cursor, event.key, sort);
    if (place) acts.move(place);
    else if (event.key === '?') acts.help();
    else if (event.key === 'f') acts.follow();
    else if (event.key === 'i') { pinned = !pinned; told(); }
    else if (event.key === 'Escape' && pinned) { pinned = false; told(); }
    else if (event.key === 'Enter' && onGrid) open(placeKey(now.cursor));
    else if (event.key === ' ' && onGrid && canTick(now.cursor)) acts.tick(now.cursor.candidate);
    else return;
    event.preventDefault();
    if (place) told();
  }

  function told() {
    const cell = marked.find(one => one.matches('.candidate'));
    if (pinned && cell) popover.show(cell);
    else popover.hide();
  }

  function canTick(place) {
    const {choosing, view} = now;
    return isReady(view, choosing) && place.step === choosing.step && place.iteration === choosing.iteration;
  }

  function placeOf(cell) {
    return {step: now.cursor.step, iteration: Number(cell.closest('.row').dataset.iteration), candidate: Number(cell.dataset.candidate)};
  }

  function draw(state) {
    now = state;
    const {view, titles, cursor} = state, steps = stepsOf(view), found = iterationsOf(view, cursor.step);
    node.hidden = !steps.length;
    if (!steps.length) return;
    title.textContent = stepTitle(cursor.step);
    back.disabled = cursor.step <= steps[0];
    on.disabled = cursor.step >= steps[steps.length - 1];
    describe(note, view, cursor.step);
    parts.help.hidden = legend.hidden = parts.tools.hidden = !found.length;
    bench.classList.toggle('bare', !found.length);
    explain(legend, view, titles, found.some(row => keptByHand(view, row)));
    signal.draw(view, cursor.step, found.length ? rows : null);
    drawRows(found);
    for (const button of sorts) button.setAttribute('aria-pressed', String(button.dataset.sort === sort));
    chooser.draw(state);
    decorate();
    mark(cursor);
    warm();
  }

  /** The steps beside, made and laid out a row at a time while nothing else is to be done, so that a first look is as quick as a second. */
  function warm() {
    const {view, cursor} = now, work = [];
    for (const step of [cursor.step + 1, cursor.step - 1]) {
      const found = iterationsOf(view, step), ready = groups.numRows(step);
      if (!found.every(detailed) || found.length > KEPT / 2) continue;
      for (let count = ready + 1; count <= found.length; count++) work.push(() => layOutUnseen(step, found, count));
    }
    const next = () => {
      if (!work.length) return;
      work.shift()();
      idle = idly(next);
    };
    notIdly(idle);
    idle = idly(next);
  }

  function layOutUnseen(step, found, count) {
    const group = groups.of(step);
    layOut(group, step, found, count);
    for (const image of group.querySelectorAll('img[loading]')) image.loading = 'eager'; // nobody sees it: lazily it would wait
    group.lastElementChild.getBoundingClientRect(); // nor is it laid out unless it is asked for
  }

  const shown = row => rowItem(now.view, row, sort, opened.has(rowKey(row)));

  function drawRows(found) {
    const {view, cursor} = now, k = view.config.search.num_candidates;
    layOut(groups.show(view.id, cursor.step), cursor.step, found);
    rows.classList.toggle('many', k > IN_A_LINE);
    rows.style.setProperty('--columns', Math.ceil(k / Math.ceil(k / (k > IN_A_LINE ? IN_MANY_LINES : IN_A_LINE))));
  }

  /** The first `count` rows of a step, all on one scale, and what comes after them. */
  function layOut(group, step, found, count = found.length) {
    const {view} = now;
    const items = [...found.slice(0, count).map(row => (detailed(row) ? shown(row) : {row: null, iteration: row.iteration, empty: sizeOf(row), loading: true})),
      ...toCome(view, step, found.length), ...usedNoise(view, step), ...(found.length ? [] : [unsearched(view, step)])];
    keyed(group, items, item => `${step}/${item.row ? item.row.iteration : item.iteration}`,
      item => (item.why ? plainRow(item) : item.used ? usedRow(item, () => open('used')) : item.empty ? emptyRow(item) : makeRow(item, {unfold})));
    const values = found.filter(detailed).flatMap(row => row.total).filter(value => value !== null);
    const low = Math.min(...values), high = Math.max(...values);
    for (const child of group.children) child.labScale?.(low, high);
  }

  function unfold(iteration, yes) {
    const key = `${now.cursor.step}/${iteration}`;
    if (yes) opened.add(key);
    else opened.delete(key);
    if (!yes && iteration === now.cursor.iteration) acts.move({candidate: [...groups.shown().children].find(one => one.labKey === key).labCells.keys().next().value});
    draw(now);
  }

  /** Signs of finished candidates, ticks, and each row's buttons: put on what is there, without making it again. */
  function decorate() {
    const {view, cursor, finishAsked, choosing} = now, done = finishesOf(view), waiting = waitingOf(view, finishAsked);
    const ready = isReady(view, choosing), place = ready ? `${choosing.step}/${choosing.iteration}` : '';
    parts.choose.hidden = Boolean(choosing) || !choosable(view);
    parts.past.textContent = choosing ? '' : pastWords(view);
    parts.choose.textContent = view.state === 'paused' ? 'Choose the kept ones yourself' : 'Pause and choose the kept ones yourself';
    for (const node of groups.shown().children) {
      if (!node.labCells) continue;
      const at = {step: cursor.step, iteration: Number(node.dataset.iteration)};
      const ticks = ready && at.step === choosing.step && at.iteration === choosing.iteration ? choosing.chosen : null;
      for (const [candidate, cell] of node.labCells) {
        const key = placeKey({...at, candidate});
        sign(cell, done.get(key), waiting.has(key));
        cell.classList.toggle('ticking', Boolean(ticks));
        if (ticks) cell.setAttribute('aria-selected', String(ticks.has(candidate)));
        else cell.removeAttribute('aria-selected');
      }
      rowActs(node, at, done, waiting);
      if (ticks && place !== chosen) requestAnimationFrame(() => node.scrollIntoView({block: 'nearest'}));
    }
    chosen = place;
  }

  function rowActs(node, at, done, waiting) {
    const {view} = now, size = sizeOf(iterationsOf(view, at.step).find(row => row.iteration === at.iteration));
    const left = Array.from({length: size}, (_, candidate) => ({...at, candidate})).filter(one => !done.has(placeKey(one)));
    const open = left.filter(one => !waiting.has(placeKey(one))), sentence = rowSentence(view, at);
    const signature = JSON.stringify([left.length, open.length, sentence]);
    if (node.labSigned === signature) return;
    node.labSigned = signature;
    fill(node.labSigns, sentence ? h('p', {class: 'promise'}, sentence) : null,
      left.length > open.length ? h('span', {class: 'note busy', role: 'status'}, `Finishing ${plural(left.length - open.length, 'candidate')}\u2026`) : null,
      open.length ? h('button', {type: 'button', class: 'chip finish-all', title: 'Run the remaining steps with each of these noises, to see what the guesses were worth', onclick: () => acts.finish(open)},
        open.length === size ? `Finish all ${size} of this iteration` : `Finish the other ${open.length}`) : null);
  }

  /** The cursor moved: mark its place, and unfold the row if it is folded away there. */
  function mark(cursor, seen = false) {
    const key = `${cursor.step}/${cursor.iteration}`, row = [...groups.shown().children].find(one => one.labKey === key && one.labCells);
    if (seen && row && now.cursor === cursor && row.labCells.get(cursor.candidate) === marked[1]) return reveal(); // just drawn there
    for (const one of marked) one.classList.remove('at');
    marked[0]?.labDots.mark(null);
    if (row && !row.labCells.has(cursor.candidate)) {
      opened.add(key);
      return draw({...now, cursor});
    }
    now = {...now, cursor};
    marked = row ? [row, row.labCells.get(cursor.candidate)] : [];
    for (const one of marked) one.classList.add('at');
    row?.labDots.mark(cursor.candidate);
    if (row) rows.setAttribute('aria-activedescendant', marked[1].id);
    else rows.removeAttribute('aria-activedescendant');
    inspector.draw(now);
    return seen && row ? reveal() : undefined;
  }

  const reveal = () => marked[1].scrollIntoView({block: 'nearest', inline: 'nearest'});

  /** The cursor has moved to another step; the next drawing shows it. */
  function stand(cursor) {
    now = {...now, cursor};
  }

  return {node, draw, mark, stand};
}

/**
 * A group of rows a step. Those that were looked at last, some KEPT rows, stay in the page, unseen but laid out: to make
 * some hundred pictures takes a while, and so does laying them out; to show them again is only to paint them.
 */
function makeGroups(rows) {
  const known = new Map(), numRows = step => known.get(step)?.querySelectorAll(':scope > .row[data-iteration]').length || 0;
  let session = null, shown = null;

  function of(step) {
    const group = known.get(step) || h('div', {class: 'of-step away', role: 'rowgroup'});
    known.delete(step);
    known.set(step, group);
    if (!group.isConnected) rows.append(group);
    return group;
  }

  function show(id, step) {
    if (id !== session) {
      known.clear();
      rows.replaceChildren();
    }
    session = id;
    shown = of(step);
    for (const one of known.values()) one.classList.toggle('away', one !== shown);
    forget();
    return shown;
  }

  function forget() {
    let count = [...known.keys()].reduce((sum, step) => sum + numRows(step), 0);
    for (const [step, group] of known) {
      if (count <= KEPT || group === shown) return;
      count -= numRows(step);
      group.remove();
      known.delete(step);
    }
  }

  return {of, show, numRows, shown: () => shown};
}

/** The board's fixed parts. */
function frame(acts) {
  const title = h('h3'), note = h('p', {class: 'note'});
  const back = h('button', {type: 'button', class: 'arrow', 'aria-label': 'Step before'}, '\u2039');
  const on = h('button', {type: 'button', class: 'arrow', 'aria-label': 'Step after'}, '\u203a');
  const sorts = [['index', 'by index'], ['reward', 'by reward']].map(([name, text]) => h('button', {type: 'button', class: 'part', data: {sort: name}}, text));
  const keys = h('button', {type: 'button', class: 'chip keys', title: 'Keys on the board', onclick: acts.help}, '? keys');
  const choose = h('button', {type: 'button', class: 'chip choose', onclick: () => acts.choose()});
  const past = h('p', {class: 'past'});
  const tools = h('div', {class: 'tools'}, choose, h('span', {class: 'segment', role: 'group', 'aria-label': 'Order of the candidates'}, sorts), keys);
  const legend = h('p', {class: 'legend'});
  const rows = h('div', {class: 'rows', role: 'grid', tabindex: 0, 'aria-label': 'Candidates, a row an iteration. Arrow keys move the cursor, question mark shows all keys.'});
  const bench = h('div', {class: 'bench'}, rows);
  const help = h('details', {class: 'help'}, h('summary', {}, 'What the numbers mean'),
    h('dl', {}, NUMBERS.map(([name, text]) => [h('dt', {}, name), h('dd', {}, text)])));
  const node = h('section', {class: 'panel board', 'aria-label': 'Candidates'},
    h('div', {class: 'panel-head'}, h('div', {class: 'pager'}, back, title, on), tools, note), past, legend, bench);
  return {node, title, note, back, on, sorts, tools, legend, rows, bench, help, choose, past};
}

/** A candidate's corner: the true reward of its finished picture, or that it is on its way. */
function sign(cell, done, waiting) {
  const text = done ? (done.total === null ? 'n/a' : number(done.total, 2)) : waiting ? '\u2026' : '';
  if ((cell.labSign || '') === text) return;
  cell.labSign = text;
  cell.querySelector('.sign')?.remove();
  if (text) cell.firstElementChild.append(h('span', {class: `sign${done ? '' : ' waiting'}`, title: done ? 'Reward of the finished picture' : 'Being finished'}, text));
}

function rowKey(row) {
  return `${row.step}/${row.iteration}`;
}

function describe(note, view, step) {
  if (step < 0) return fill(note, `Before the first step, at \u03c3 1: each candidate is a whole starting noise, shown as ${estimatorOf(view) === 'full' ? 'the picture that it ends as without further noise' : guessWords(view)}.`);
  const scored = iterationsOf(view, step)[0], over = scored && scored.over_noise > 1.0005
    ? ` Candidates are scored as the paper prints it: with ${number(scored.over_noise, 2)} times the noise that \u03c3 stands for (so the guess is blurrier than it need be).` : '';
  const excess = h('span', {class: view.excess_std[step] > 0 ? 'hinted' : null, title: view.excess_std[step] > 0 ? 'Noise that nobody removes later; it ends as grain.' : null},
    `leaves ${number(view.excess_std[step], 2)} more than the next step expects`);
  return fill(note, `\u03c3 ${number(view.sigmas[step])} \u2192 ${number(view.sigmas[step + 1])}. The step adds noise of standard deviation ${number(view.step_std[step], 2)} and `, excess, `.${over}`);
}

/** What frames, stars and numbers mean. */
function explain(legend, view, titles, byHand) {
  const {selection, num_iterations: n, num_candidates: k} = view.config.search, t = numElites(view);
  const end = selection === 'bottom' ? 'worst' : 'best', which = selection === 'random' ? `${t} drawn blindly, whatever their rewards` : t === 1 ? `the ${end} one` : `the ${end} ${t}`;
  const scale = view.config.reward_sum === 'normalised' && selection !== 'random' ? ' with each reward on the scale of its own spread' : '';
  const goal = n > 1 ? 'from which the next iteration is drawn' : 'from which the step\u2019s noise is made';
  fill(legend, h('span', {class: 'key elite'}, `kept: ${byHand ? 'chosen by hand where a row says so, else ' : ''}${which}${scale}, ${goal}`), h('span', {class: 'key best'}, 'highest of its iteration'),
    h('span', {}, 'Numbers', h('span', {class: 'of-dots'}, ' and dots'), `: ${optimisedTitle(view, titles)}`), h('span', {class: 'key middle of-dots'}, 'line: mean'),
    view.finishes && view.finishes.length ? h('span', {class: 'key done'}, 'in the corner: reward of the finished picture') : null,
    k > FOLD_OVER ? h('span', {}, 'Dots show all candidates, folded ones too') : null);
}

/** For a step without candidates: why there are none, and its guess. */
function unsearched(view, step) {
  const row = stepRow(view, step), {window_min: low, window_max: high, search} = view.config, sigma = view.sigmas[step];
  const why = isSearched(view, step) ? (LIVE.includes(view.state) ? 'This step will be searched; its candidates appear here as they are scored.' : 'The session ended before this step was searched.')
    : !search.num_iterations ? 'This session searches nowhere: ordinary random noise enters at every step.'
    : !view.searched.some(Boolean) ? 'This session searches its starting noise only: ordinary random noise enters here.'
    : sigma > high ? `Not searched: at \u03c3 ${number(sigma, 2)}, above ${number(high, 2)}, a guess of the final picture says little yet. Ordinary random noise enters here.`
    : `Not searched: \u03c3 ${number(sigma, 2)} is below ${number(low, 2)}. A search here would mostly choose the grain of the picture. Ordinary random noise enters.`;
  return {why, image: row ? row.image : null, iteration: 'none'};
}

/** Rows that are still to come in the step under way: they hold the place, so that nothing jumps while one watches. */
function toCome(view, step, found) {
  const {num_iterations: n, num_candidates: k} = view.config.search;
  if (!found || step !== stepUnderWay(view) || !LIVE.includes(view.state) || n > 20) return [];
  return Array.from({length: Math.max(n - found, 0)}, (_, i) => ({empty: k, iteration: found + i}));
}

/** The last row: what the step led to. */
function usedNoise(view, step) {
  const taken = stepRow(view, step), found = iterationsOf(view, step).length > 0;
  if (!found || !taken && !toCome(view, step, -1).length) return [];
  return [{used: true, iteration: 'used', image: taken ? taken.image : null, reward: taken ? total(view, taken.rewards) : null, text: [usedText(view, step), (taken && taken.sentence) || ''].filter(Boolean).join(' ')}];
}
