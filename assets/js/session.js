// A session as one sees it: keeps the newest view and the one cursor, and lets every part of the page obey both.
//
// The server sends messages {kind: open | update | notice | empty}; the page alone knows which session is open, so a
// late answer about another one is dropped here. Moving the cursor is a matter of this page: no server hears of it.
import {h, fill, keyed} from './dom.js';
import {LIVE, explanation, plural, sentence} from './words.js';
import {merged, scoredCount} from './view.js';
import {fromText, newestPlace, openingPlace, same, settled} from './cursor.js';
import {makeActions} from './actions.js';
import {makeAddress} from './address.js';
import {makeDetails} from './details.js';
import {makeQueueWatch} from './ahead.js';
import {makeHead} from './head.js';
import {makeFilm} from './film.js';
import {makeBoard} from './board.js';
import {makeCharts} from './charts.js';
import {makeOutcome} from './outcome.js';
import {makeLightbox} from './lightbox.js';
import {makeHelp} from './help.js';
import {makePill} from './pill.js';
import {begun} from './chooser.js';
import {lostCount} from './finish.js';
import {noticeOf, trashOf, whatIs} from './notices.js';
import {steadily} from './steady.js';

export function mount({element, props, watch, trigger}) {
  const root = element.querySelector('.lab-session');
  const state = {
    view: null, titles: {}, cursor: {step: 0, iteration: 0, candidate: 0}, following: true, known: 0, ahead: [],
    asked: null, choosing: null, finishAsked: new Set(), finishTold: [], notice: '', elsewhere: {}, first: '',
  };
  let lastPoll = Date.now(), frame = 0;

  const lightbox = makeLightbox(), help = makeHelp(), address = makeAddress();
  const details = makeDetails({
    came: change => {
      state.view = change(state.view);
      if (state.following && !LIVE.includes(state.view.state)) state.cursor = openingPlace(state.view); // its best is known only now
      drawAll();
    },
    failed: text => { state.notice = sentence(text); drawAll(); },
    current: () => state.view,
  });
  const queue = makeQueueWatch(ahead => { state.ahead = ahead; drawAll(); });
  const actions = makeActions({state, draw: drawAll, trigger, wake, go: () => follow()});
  const move = to => moveTo(settled(state.view, {...state.cursor, ...to}), true);
  const enlarge = (items, key) => lightbox.open(items, items.findIndex(item => item.key === key), item => item.place && move(item.place));
  const head = makeHead({send: actions.send}), film = makeFilm({select: step => move({step})});
  const board = makeBoard({move, enlarge, follow, help: help.open, ...actions});
  const charts = makeCharts(), outcome = makeOutcome({enlarge}), pill = makePill({follow});
  const parts = [head, film, board, charts, outcome, pill];
  const notice = h('div', {class: 'notices', role: 'status'});
  const empty = h('p', {class: 'empty'}, 'Nothing has run here yet. Press Run to start a first search.');
  const lead = h('p', {class: 'lead-in'}), caution = h('p', {class: 'notice caution'});
  fill(root, notice, empty, head.node, lead, caution, film.node, board.node, charts.node, outcome.node, pill.node, lightbox.node, help.node);

  function drawAll() {
    steadily(root, draw);
  }

  function draw() {
    const {view} = state;
    root.dataset.state = view ? view.state : 'empty';
    caution.hidden = !view || !view.caution;
    for (const node of [head.node, lead, film.node, board.node, charts.node, outcome.node]) node.hidden = !view;
    empty.hidden = Boolean(view);
    const said = [state.notice && {...(state.elsewhere.text === state.notice ? state.elsewhere : {}), text: state.notice, key: 'bad'}, state.first && view && {text: welcome(view, state.first), key: 'hint'}, ...trashOf(view)];
    keyed(notice, said.filter(Boolean), one => one.key, noticeOf);
    markRun(view);
    if (!view) return;
    lead.textContent = explanation(view);
    caution.textContent = view.caution || '';
    details.need(view, state.cursor.step);
    for (const part of parts) part.draw(state);
  }

  /** Put the cursor somewhere. `own` is a reader's move: from then on nothing moves by itself. `look` scrolls to it. */
  function moveTo(place, own, look = own) {
    const {view, cursor} = state, stepped = place.step !== cursor.step;
    if (!view) return;
    if (own && state.following) Object.assign(state, {following: false, known: scoredCount(view)});
    if (same(place, cursor) && !own) return;
    state.cursor = place;
    film.mark(place);
    if (stepped || frame) redraw(look);
    else board.mark(place, look);
    charts.cursor(place);
    pill.draw(state);
    address.rest(own ? state : null);
    tell();
  }

  /** Another step's board, once a frame however fast the keys come. */
  function redraw(look) {
    board.stand(state.cursor);
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      details.need(state.view, state.cursor.step);
      steadily(root, () => board.draw(state));
      board.mark(state.cursor, look);
    });
  }

  function follow() {
    if (!state.view || !LIVE.includes(state.view.state)) return;
    state.following = true;
    moveTo(newestPlace(state.view), false);
    address.rest(state);
    drawAll();
  }

  function tell() {
    window.dispatchEvent(new CustomEvent('lab:cursor', {detail: {session: state.view.id, ...state.cursor}}));
  }

  function accept(message) {
    if (message.kind === 'empty') Object.assign(state, {notice: sentence(message.notice)});
    if (message.kind === 'open') open(message);
    if (message.astray) explain(message.astray);
    if (message.kind === 'update') update(message.view);
    if (message.kind === 'notice' && (!state.view || !message.record || message.record === state.view.id))
      Object.assign(state, {notice: sentence(message.text), asked: null});
    drawAll();
    if (state.view) {
      window.dispatchEvent(new CustomEvent('lab:view', {detail: {view: state.view, titles: state.titles}}));
      tell();
      queue.watch(state.view);
    }
    if (message.mine && matchMedia('(max-width: 820px)').matches) root.scrollIntoView({block: 'start'});
  }

  function open({view, titles, notice: text, first, mine}) {
    const linked = mine ? null : fromText(address.placeOf(view.id));
    Object.assign(state, {
      view, titles: titles || {}, asked: null, choosing: null, finishAsked: new Set(), finishTold: [], ahead: [], notice: sentence(text), first: first || '',
      following: !linked, known: scoredCount(view), cursor: linked ? settled(view, linked) : openingPlace(view),
    });
    if (mine) address.name(view.id);
    if ((view.finishing || []).length) wake();
  }

  /** An address that names no session: say what its record is, before what is shown instead. */
  async function explain(id) {
    const before = state.notice, found = await whatIs(id, 'session');
    if (!found || !found.link || state.notice !== before) return;
    const text = `${found.text}${state.view ? `Shown instead: \u201c${state.view.prompt}\u201d. ` : ''}`;
    Object.assign(state, {notice: text, elsewhere: {...found, text}});
    drawAll();
  }

  function update(view) {
    if (!state.view || view.id !== state.view.id || view.seq < state.view.seq) return;
    const before = state.view, now = merged(before, view), lost = lostCount(before, now);
    for (const key of state.finishTold.splice(0)) state.finishAsked.delete(key); // the view itself tells of them from here on
    Object.assign(state, {view: now, asked: null});
    if (lost) state.notice = `${plural(lost, 'candidate')} could not be finished${now.finish_error ? `: ${sentence(now.finish_error)}` : '.'}`;
    if (LIVE.includes(view.state) && view.job && view.job.refusal) state.notice = sentence(view.job.refusal);
    state.choosing = begun(state.view, state.choosing);
    if (!LIVE.includes(view.state)) state.known = scoredCount(state.view);
    else if (state.following) state.cursor = newestPlace(state.view);
  }

  function wake() {
    lastPoll = Date.now();
    trigger('wake', {});
  }

  /** What the page asks the server after: its session and how far it has been drawn. */
  window.labCursor = () => {
    lastPoll = Date.now();
    const {view} = state;
    // A place in the queue changes without an event of the session's own, so a waiting one is always asked for whole.
    return view ? `${view.id} ${view.state === 'pending' ? '' : view.seq}` : '';
  };
  // asked for from elsewhere on the page, where one is looking: the board must not scroll itself into sight
  window.addEventListener('lab:move', event => state.view && moveTo(settled(state.view, {...state.cursor, ...event.detail}), true, false));
  setInterval(() => {
    const busy = state.view && (LIVE.includes(state.view.state) || (state.view.finishing || []).length || state.finishAsked.size);
    if (busy && Date.now() - lastPoll > 2500) wake();
  }, 1000);

  const read = () => { if (props.value) accept(JSON.parse(props.value)); };
  draw();
  read();
  watch('value', read);
}

/** What a first visit is told about the session that it is shown. */
function welcome(view, first) {
  const shown = first === 'recorded' ? 'A search that came with the lab, recorded from beginning to end.' : !view.job && view.parent ? 'A search that a fine-tune recorded while it went on.'
    : view.state === 'succeeded' ? 'The newest finished session.' : 'The newest session.';
  return 'demo' in document.documentElement.dataset ? shown : `${shown} Press Run to start one of your own.`;
}

/** While a session is on its way another one is queued behind it. */
function markRun(view) {
  const button = document.querySelector('#run'), words = view && ['pending', 'running'].includes(view.state) ? 'Add to the queue' : 'Run';
  if (button && button.textContent !== words) button.textContent = words;
}
