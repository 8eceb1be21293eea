// Page Compare: two to six records side by side. Keeps the newest comparison and the one place that all of it obeys; the
// address is the state: which records, and where one looks.
import {h, fill, address} from './dom.js';
import {api} from './api.js';
import {exportLink} from './export.js';
import {makeNotices} from './notices.js';
import {openPage} from './page.js';
import {makeHeads} from './side_heads.js';
import {makeSettings, makeVerdicts} from './side_tables.js';
import {makeSessions} from './side_sessions.js';
import {makeRuns} from './side_runs.js';
import {makeMeasures} from './side_measures.js';
import {MOST, add, clear, ids as trayIds} from './tray.js';

const POLL = 2000, REST = 150;
const KINDS = {session: 'Searches', train: 'Fine-tunes', reliability: 'Reliability measurements'};
const FILES = [['report.html', 'Report', 'Everything on this page as one HTML file that needs nothing else'],
  ['table.csv', 'Table .csv', 'Every number, a line each'], ['data.json', 'Data .json', 'The same as JSON']];
const PLACE = {at: 0, iteration: null, candidate: 0, x: 'nfe', reward: '', epoch: null, axis: 'epoch', measure: '', estimate: ''};

function start() {
  const {root, facts} = openPage();
  const asked = new URLSearchParams(location.search);
  const state = {ids: readIds(asked), data: null, place: placeFrom(asked)};
  if (!state.ids.length) state.ids = trayIds();
  const {node: notices, note} = makeNotices(), said = h('div', {class: 'side-said'});
  const files = h('div', {class: 'reuse', role: 'group', 'aria-label': 'Take it away'}), bundle = exportLink('these records');
  const heads = makeHeads({models: facts.models, letters: facts.letters, change});
  const sections = {session: makeSection('session', makeSessions({move})), train: makeSection('train', makeRuns({move})), reliability: makeSection('reliability', makeMeasures({move}))};
  const stage = h('div', {class: 'lab-session lab-made side-stage'}, h('header', {class: 'side-top'}, h('h1', {}, 'Compare'), files), notices, heads.node, said,
    Object.values(sections).map(part => part.node));
  let timer = 0, resting = 0, turn = 0;

  fill(root, stage);

  function change(next, {remember = true} = {}) {
    state.ids = next.slice(0, MOST);
    if (remember) { clear(); add(state.ids); }
    rest();
    load();
  }

  function move(place) {
    Object.assign(state.place, place);
    draw();
    rest();
  }

  function rest() {
    clearTimeout(resting);
    resting = setTimeout(() => history.replaceState(history.state, '', addressOf(state)), REST);
  }

  async function load() {
    const mine = ++turn;
    clearTimeout(timer);
    try {
      const data = await api(`compare?ids=${query(state.ids)}`);
      if (mine !== turn) return;
      state.data = data;
      note('');
    } catch (error) {
      if (mine !== turn) return;
      note(error.message);
    }
    draw();
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (state.data && state.data.live) timer = setTimeout(poll, document.hidden ? 5 * POLL : POLL);
  }

  /** Something compared is still on its way: ask whether it has got further. */
  async function poll() {
    const mine = turn;
    try {
      const newer = await api(`compare?ids=${query(state.ids)}&stamp=${encodeURIComponent(state.data.stamp)}`);
      if (mine !== turn) return;
      if (newer) { state.data = newer; draw(); }
      note('');
    } catch (error) {
      if (mine !== turn) return;
      note(error.message);
    }
    plan();
  }

  function draw() {
    const {data, ids} = state;
    heads.draw(state);
    if (!data) return;
    const told = [...data.sentences, ...(ids.length === 1 ? ['Add another record to compare it with.'] : [])];
    fill(said, told.map(text => h('p', {class: 'note'}, text)));
    const known = data.records.filter(one => one.deleted === false && ids.includes(one.id));
    bundle.labFor(known.length === ids.length ? known : []); // of one that is gone, or in the trash, there is no zip
    fill(files, Object.keys(data.sections).length ? [FILES.map(([file, words, title]) => h('a', {class: 'chip', title, download: '', href: fileOf(file, state)}, words)), bundle] : null);
    const several = Object.keys(data.sections).length > 1;
    for (const [kind, part] of Object.entries(sections)) part.draw(data.sections[kind] || null, state, several);
  }

  load();
}

/** What is shown of one kind: verdicts and settings, which all kinds have, and its own parts. */
function makeSection(kind, own) {
  const title = h('h2', {class: 'side-kind'}, KINDS[kind]), verdicts = makeVerdicts(), settings = makeSettings(), both = h('div', {class: 'side-both'}, verdicts.node, settings.node);
  const node = h('section', {class: 'side-section', data: {kind}, 'aria-label': KINDS[kind], hidden: true}, title,
    both, own.nodes);

  function draw(section, state, several) {
    node.hidden = !section;
    if (!section) return;
    title.hidden = !several;
    both.classList.toggle('many', section.letters.length > 2); // a column a record wants room, and their pairs a long table
    verdicts.draw(section);
    settings.draw(section);
    own.draw(section, state);
  }

  return {node, draw};
}

function readIds(asked) {
  return [...new Set((asked.get('ids') || asked.get('records') || '').split(',').map(id => id.trim()).filter(Boolean))].slice(0, MOST);
}

/** Parts of the place that the address names; anything else stays as it opens. */
function placeFrom(asked) {
  const place = {...PLACE};
  for (const [name, usual] of Object.entries(PLACE)) {
    const text = asked.get(name);
    if (text === null) continue;
    if (typeof usual === 'string') place[name] = text.slice(0, 60);
    else if (/^\d{1,6}$/.test(text)) place[name] = Number(text);
  }
  return place;
}

function addressOf({ids, place}) {
  const url = new URL(location.href);
  url.search = '';
  if (ids.length) url.searchParams.set('ids', ids.join(','));
  for (const [name, usual] of Object.entries(PLACE)) if (place[name] !== usual && place[name] !== null) url.searchParams.set(name, place[name]);
  return url.href.replaceAll('%2C', ',');
}

function fileOf(file, {ids, place}) {
  const asked = file === 'report.html' ? `&${new URLSearchParams(Object.entries(place).filter(([name, value]) => value !== PLACE[name] || name === 'at' && place.iteration !== null).filter(([name]) => name !== 'x' && name !== 'axis'))}` : '';
  return address(`lab/api/compare/${file}?ids=${query(ids)}${asked}`);
}

function query(ids) {
  return ids.map(encodeURIComponent).join(',');
}

start();
