// Fetching what is not here: for each model or reward its licence, a button, and how far it is. Nothing starts by itself.
import {h, fill} from './dom.js';
import {api} from './api.js';
import {ticked} from './ticked.js';

const SOON = 1000;

/** `whenHere` is called after something has come. `drawn(name)` is the place of one offer, the same node every time. */
export function makeDownloads(whenHere) {
  const places = new Map();
  let told = {offers: {}, downloads: []}, timer = 0;

  async function ask(path, body) {
    clearTimeout(timer);
    const ran = running();
    told = await api(path, body);
    for (const name of places.keys()) draw(name);
    if (running().length) timer = setTimeout(watch, SOON);
    if (ran.some(name => of(name).state === 'done')) whenHere();
  }

  const of = name => told.downloads.find(one => one.name === name) || {};
  const running = () => told.downloads.filter(one => one.state === 'running').map(one => one.name);
  const watch = () => ask('downloads').catch(() => { timer = setTimeout(watch, 5 * SOON); });

  function drawn(name) {
    if (!places.has(name)) {
      places.set(name, {node: h('div', {class: 'fetch'}), drawn: ''});
      draw(name);
    }
    return places.get(name).node;
  }

  /** Made anew only when what it shows has changed: a tick in its box stays. */
  function draw(name) {
    const place = places.get(name), offer = told.offers[name], download = of(name);
    const signature = JSON.stringify([offer, download.state, download.text]);
    if (signature !== place.drawn) {
      place.drawn = signature;
      place.bar = null;
      fill(place.node, offer ? (download.state === 'running' ? underWay(place, offer) : waiting(offer, download)) : []);
    }
    if (place.bar) follow(place.bar, download);
  }

  function waiting(offer, download) {
    const box = offer.gated ? h('input', {type: 'checkbox', onchange: () => { button.disabled = !box.checked; }}) : null;
    const button = h('button', {type: 'button', class: 'plain', disabled: offer.gated}, `${download.state && download.state !== 'done' ? 'Try again' : 'Download'} (${size(1e6 * offer.megabytes)})`);
    const problem = h('p', {class: 'problem', role: 'status'}, download.text && download.state !== 'done' ? ticked(sentence(download.text)) : '');
    button.addEventListener('click', async () => {
      button.disabled = true;
      await ask('downloads', {name: offer.name, accept_licence: Boolean(box && box.checked)})
        .catch(error => { problem.textContent = error.message; button.disabled = false; });
    });
    return [problem,
      box ? h('label', {class: 'accept'}, box, h('span', {}, 'I have read and accepted the ', h('a', {href: offer.page, target: '_blank', rel: 'noopener noreferrer'}, offer.licence))) : null,
      button, box || !offer.licence ? null : h('span', {class: 'licence'}, offer.licence)];
  }

  function underWay(place, offer) {
    place.bar = {gauge: h('progress', {max: 1, 'aria-label': `Download of ${offer.title}`}), words: h('span', {})};
    const stop = h('button', {type: 'button', class: 'plain', 'aria-label': `Stop the download of ${offer.title}`, onclick: () => { stop.disabled = true; ask('downloads/stop', {name: offer.name}).catch(() => { stop.disabled = false; }); }}, 'Stop');
    return h('div', {class: 'under-way'}, place.bar.gauge, place.bar.words, stop);
  }

  watch();
  return {drawn, close: () => clearTimeout(timer)};
}

function follow(bar, {done, total}) {
  if (total) bar.gauge.value = done / total;
  bar.words.textContent = total ? `${size(done)} of ${size(total)}` : 'Asking the hub…';
}

function sentence(text) {
  const whole = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

function size(bytes) {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}
