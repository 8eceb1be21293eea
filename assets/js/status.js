// Page Status: what the lab runs on, what it can use and why not more.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {makeDownloads} from './downloads.js';
import {openPage} from './page.js';
import {ticked} from './ticked.js';
import {count} from './words.js';

const SOON = 2000, LATER = 30000;
const WORKERS = {ready: 'Ready', starting: 'Starting', gone: 'Gone', never: 'Not there', demo: 'Demonstration'};
const COLUMNS = [['worker', 'queue', 'disk'], ['models', 'database'], ['rewards', 'versions']];
const DISK = {pictures: 'Pictures', tensors: 'Tensors', database: 'Database', other: 'Other'};

function start() {
  const {root, queue} = openPage();
  const problem = h('p', {class: 'problem', role: 'alert'}), cards = h('div', {class: 'cards'});
  const copied = h('span', {class: 'copied', role: 'status'});
  const copy = h('button', {type: 'button', class: 'plain', disabled: true}, 'Copy as text');
  const parts = {worker: card('Worker'), queue: card('Queue'), models: card('Models'), rewards: card('Rewards'), disk: card('Disk'), database: card('Database'), versions: card('Versions')};
  fill(root, h('div', {class: 'page-head'}, h('h1', {}, 'Status'), h('div', {class: 'copy'}, copied, copy)), problem, cards);
  for (const names of COLUMNS) cards.append(h('div', {class: 'column'}, names.map(name => parts[name].node)));
  cards.hidden = true;
  const downloads = makeDownloads(() => look());
  let facts = null, timer = 0;

  async function look() {
    clearTimeout(timer);
    try {
      facts = await api('status');
      problem.textContent = '';
      draw();
    } catch (error) {
      problem.textContent = error.message;
    }
    if (!document.hidden) timer = setTimeout(look, facts && ['ready', 'demo'].includes(facts.worker.state) && !problem.textContent ? LATER : SOON);
  }

  function draw() {
    cards.hidden = copy.disabled = false;
    fill(parts.worker.body, drawWorker(facts));
    fill(parts.models.body, drawOffers(facts.models, downloads.drawn));
    fill(parts.rewards.body, drawOffers(facts.rewards, downloads.drawn));
    fill(parts.disk.body, drawDisk(facts.data));
    fill(parts.database.body, drawDatabase(facts.database));
    fill(parts.versions.body, drawVersions(facts));
  }

  copy.addEventListener('click', async () => {
    copied.textContent = await copyText(facts.text) ? 'Copied' : 'Could not be copied: select it below';
    if (copied.textContent !== 'Copied') showText(root, facts.text);
    setTimeout(() => { copied.textContent = ''; }, 4000);
  });
  document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
  queue.watch(({jobs}) => {
    const states = ['running', 'pending', 'paused'].map(state => jobs.filter(job => job.state === state).length);
    fill(parts.queue.body, list([['Running', count(states[0])], ['Waiting', count(states[1])], ['Paused', count(states[2])]]));
  });
  look();
}

function card(title) {
  const body = h('div');
  return {node: h('section', {class: 'card', 'aria-label': title}, h('h2', {}, title), body), body};
}

function list(pairs) {
  return h('dl', {}, pairs.filter(([, value]) => value !== null && value !== '').map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

function drawWorker({worker, device, machine}) {
  return [h('p', {class: `sign ${worker.state}`}, WORKERS[worker.state]), h('p', {class: 'words'}, ticked(worker.text)),
    list([['Device', device], ['Cores', `${count(machine.cores || 1)}, ${machine.threads} ${machine.threads === 1 ? 'thread' : 'threads'} a job`],
      ['torch', worker.torch || ''], ['Process', worker.pid && worker.state !== 'gone' ? String(worker.pid) : ''], ['Started', worker.started ? clock(worker.started) : '']])];
}

function drawOffers(offers, fetchable) {
  const sorted = [...offers].sort((a, b) => Number(b.usable) - Number(a.usable));
  return h('ul', {class: 'offers'}, sorted.map(one => h('li', {class: one.usable ? 'usable' : 'not'},
    h('p', {}, h('span', {}, h('b', {}, one.title), ' ', h('span', {class: 'id'}, one.name)), h('span', {class: 'sign'}, one.usable ? 'usable' : 'not here')),
    one.why_not ? [h('p', {class: 'why'}, ticked(one.why_not[0].toUpperCase() + one.why_not.slice(1))), fetchable(one.name)] : null)));
}

function drawDisk(data) {
  const most = Math.max(1, ...data.kinds.map(one => one.bytes));
  const scarce = data.free < 2e9;
  return [h('p', {class: 'folder'}, data.folder),
    h('table', {}, h('tbody', {}, data.kinds.map(one => h('tr', {}, h('th', {scope: 'row'}, DISK[one.kind] || one.kind),
      h('td', {class: 'gauge', 'aria-hidden': 'true'}, h('span', {style: `width:${(100 * one.bytes / most).toFixed(1)}%`})),
      h('td', {class: 'size'}, size(one.bytes)), h('td', {class: 'files'}, `${count(one.files)} ${one.files === 1 ? 'file' : 'files'}`))))),
    list([['In all', size(data.bytes)], ['Free on this disk', h('span', {class: scarce ? 'bad' : ''}, `${size(data.free)} of ${size(data.total)}`)]])];
}

function drawDatabase(database) {
  return [database.healthy ? null : h('p', {class: 'problem'}, database.text),
    list([['Kind', database.kind], ['Schema', database.schema === database.head ? `${database.schema}, up to date` : `${database.schema || 'none'}; this version needs ${database.head}`],
      ['Address', database.address || '']])];
}

function drawVersions({packages, machine}) {
  return list([['Noise Search Lab', machine.lab], ['Python', machine.python], ...Object.entries(packages).map(([name, version]) => [name, version || h('span', {class: 'bad'}, 'missing')]), ['System', machine.platform]]);
}

/** The clipboard needs a safe context: over plain HTTP to another machine there is none, then the text is shown. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function showText(root, text) {
  root.querySelector('.as-text')?.remove();
  const field = h('textarea', {class: 'as-text', readonly: true, rows: 14, 'aria-label': 'The status as text'});
  field.value = text;
  root.append(field);
  field.focus();
  field.select();
}

function clock(iso) {
  return new Date(iso).toLocaleString('en-GB', {day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit'});
}

function size(bytes) {
  return bytes < 1e3 ? (bytes ? 'under 1 kB' : 'nothing') : bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

start();
