// The head of every page: the lab's name, the way to the other pages, and the queue.
import {h, svg, fill, address} from './dom.js';
import {alive, makeQueue} from './queue.js';
import {makeDrawer} from './drawer.js';
import {makeTab} from './tab.js';
import {mountTray} from './tray.js';

const PAGES = [['', 'Explore'], ['reliability', 'Reliability'], ['train', 'Train'], ['sweep', 'Sweep'], ['library', 'Library'], ['compare', 'Compare'], ['status', 'Status']];

/** Fill the element's .lab-masthead; returns the page's queue. */
export function mount({element}) {
  const root = element.querySelector('.lab-masthead');
  const queue = makeQueue(), drawer = makeDrawer({queue});
  const here = location.pathname.split('/').pop();
  const count = h('span', {class: 'count'}), ring = h('span', {class: 'ring', 'aria-hidden': 'true'});
  const button = h('button', {type: 'button', class: 'queue-button', 'aria-expanded': 'false', onclick: () => drawer.toggle(button)},
    ring, h('span', {}, 'Queue'), count);
  fill(root,
    h('a', {class: 'brand', href: address('.')}, h('span', {class: 'mark', 'aria-hidden': 'true'}), h('span', {}, 'Noise Search Lab')),
    h('nav', {'aria-label': 'Pages'}, PAGES.map(([path, title]) =>
      h('a', {href: address(path || '.'), 'aria-current': path === here ? 'page' : null}, title))),
    button);
  document.body.append(drawer.node);
  makeTab(queue);
  if (here !== 'compare') mountTray(); // there the address says what is compared
  queue.watch(({jobs}) => {
    const living = alive(jobs), running = jobs.find(job => job.state === 'running');
    count.textContent = living.length ? String(living.length) : '';
    button.setAttribute('aria-label', living.length ? `Queue: ${living.length} running or waiting` : 'Queue: empty');
    fill(ring, running ? arc(running.progress) : null);
  });
  queue.look();
  return queue;
}

function arc(progress) {
  const around = 2 * Math.PI * 6;
  return svg('svg', {viewBox: '0 0 16 16'}, svg('circle', {cx: 8, cy: 8, r: 6, class: 'track'}),
    svg('circle', {cx: 8, cy: 8, r: 6, class: 'done', transform: 'rotate(-90 8 8)', 'stroke-dasharray': `${around * Math.max(0.04, progress || 0)} ${around}`}));
}
