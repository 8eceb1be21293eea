// The buttons that drive what runs: pause, go on, one more step, keep or draw something now, stop.
import {h, svg} from './dom.js';

const ICONS = {
  pause: 'M4 3h3v10H4zM9 3h3v10H9z',
  continue: 'M4 2.5l9 5.5-9 5.5z',
  step: 'M3 2.5l7 5.5-7 5.5zM11 3h2v10h-2z',
  cancel: 'M3.5 3.5h9v9h-9z',
  save: 'M7 2h2v6h2.5L8 11.5 4.5 8H7zM3 12.5h10V14H3z',
  sample: 'M2.5 2.5h5v5h-5zM8.5 2.5h5v5h-5zM2.5 8.5h5v5h-5zM8.5 8.5h5v5h-5z',
};

/** One of them; `send(kind)` is called when it is pressed. */
export function driveButton(kind, label, title, send) {
  return h('button', {type: 'button', class: `drive ${kind}`, data: {kind}, title, onclick: () => send(kind)},
    svg('svg', {viewBox: '0 0 16 16', 'aria-hidden': 'true'}, svg('path', {d: ICONS[kind]})), h('span', {}, label));
}
