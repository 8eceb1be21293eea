// A session as one sees it: keeps the newest view, what is selected, and draws the parts from both.
//
// The server sends messages {kind: open | update | notice | empty}; the page alone knows which session is open, so a
// late answer about another one is dropped here.
import {h, fill, keyed} from './dom.js';
import {LIVE, explanation, position} from './words.js';
import {makeHead} from './head.js';
import {makeFilm} from './film.js';
import {makeBoard} from './board.js';
import {makeOutcome} from './outcome.js';
import {makeLightbox} from './lightbox.js';

export function mount({element, props, watch, trigger}) {
  const root = element.querySelector('.lab-session');
  const state = {view: null, titles: {}, selected: 0, pinned: false, asked: null, notice: '', first: false};
  let lastPoll = Date.now();

  const send = kind => {
    const {view} = state, last = view.iterations[view.iterations.length - 1], step = view.steps.length;
    const seen = kind !== 'step' ? {} : last && last.step >= step ? {step: last.step, iteration: last.iteration} : step ? {step: step - 1} : {};
    Object.assign(state, {asked: kind, notice: ''});
    draw();
    trigger('command', {record: view.id, kind, ...seen});
  };
  const select = (step, pinned = true) => {
    Object.assign(state, {selected: step, pinned});
    draw();
  };
  const lightbox = makeLightbox();
  const parts = [makeHead({send}), makeFilm({select}), makeBoard({select, enlarge: lightbox.open}), makeOutcome({enlarge: lightbox.open})];
  const notice = h('div', {class: 'notices', role: 'status'});
  const empty = h('p', {class: 'empty'}, 'Nothing has run here yet. Press Run to start a first search.');
  const lead = h('p', {class: 'lead-in'}), caution = h('p', {class: 'notice caution'});
  const [head, film, board, outcome] = parts.map(part => part.node);
  fill(root, notice, empty, head, lead, caution, film, board, outcome, lightbox.node);

  function draw() {
    const {view} = state;
    root.dataset.state = view ? view.state : 'empty';
    caution.hidden = !view || !view.caution;
    for (const node of [head, lead, film, board, outcome]) node.hidden = !view;
    empty.hidden = Boolean(view);
    const told = [state.notice && {text: state.notice, kind: 'bad'},
      state.first && view && {text: `The newest ${view.state === 'succeeded' ? 'finished ' : ''}session. Press Run to start one of your own.`, kind: 'hint'}];
    keyed(notice, told.filter(Boolean), one => one.kind, one => h('p', {class: `notice ${one.kind}`}, one.text));
    markRun(view);
    if (!view) return;
    lead.textContent = explanation(view);
    caution.textContent = view.caution || '';
    for (const part of parts) part.draw(state);
  }

  function accept(message) {
    const {view} = state;
    if (message.kind === 'empty') Object.assign(state, {notice: sentence(message.notice)});
    if (message.kind === 'open') {
      Object.assign(state, {view: message.view, titles: message.titles || {}, pinned: false, asked: null,
        notice: sentence(message.notice), first: Boolean(message.first)});
      if (message.mine) nameInAddress(message.view.id);
      state.selected = opening(message.view);
    }
    if (message.kind === 'update' && view && message.view.id === view.id && message.view.seq >= view.seq) {
      Object.assign(state, {view: message.view, asked: null});
      if (LIVE.includes(message.view.state) && message.view.job && message.view.job.refusal) state.notice = sentence(message.view.job.refusal);
      if (!state.pinned && LIVE.includes(message.view.state)) state.selected = opening(message.view);
    }
    if (message.kind === 'notice' && (!view || !message.record || message.record === view.id))
      Object.assign(state, {notice: sentence(message.text), asked: null});
    draw();
    if (message.mine && matchMedia('(max-width: 820px)').matches) root.scrollIntoView({block: 'start'});
  }

  window.labCursor = () => {
    lastPoll = Date.now();
    const {view} = state;
    // A place in the queue changes without an event of the session's own, so a waiting one is always asked for whole.
    return view ? `${view.id} ${view.state === 'pending' ? '' : view.seq}` : '';
  };
  setInterval(() => {
    if (state.view && LIVE.includes(state.view.state) && Date.now() - lastPoll > 2500) { lastPoll = Date.now(); trigger('wake', {}); }
  }, 1000);

  const read = () => { if (props.value) accept(JSON.parse(props.value)); };
  draw();
  read();
  watch('value', read);
}

/** The step to look at: live, the newest one with candidates; finished, a searched one from the middle. */
function opening(view) {
  const at = position(view), last = view.iterations[view.iterations.length - 1];
  if (LIVE.includes(view.state)) return last ? last.step : Math.min(at.step, Math.max(at.steps - 1, 0));
  const searched = [...new Set(view.iterations.map(row => row.step))];
  return searched.length ? searched[Math.floor(searched.length / 2)] : Math.max(view.steps.length - 1, 0);
}

function nameInAddress(id) {
  const url = new URL(location.href);
  url.searchParams.set('session', id);
  history.replaceState(history.state, '', url);
}

/** While a session is on its way another one would only wait behind it. */
function markRun(view) {
  const button = document.querySelector('#run');
  if (!button) return;
  const busy = Boolean(view) && ['pending', 'running'].includes(view.state);
  button.disabled = busy;
  button.title = busy ? 'A session is running; stop it or wait for its end' : '';
}

function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.') : '';
}
