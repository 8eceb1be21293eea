// Small line icons, 16 by 16, in the colour of the text around them.
import {svg} from './dom.js';

const PATHS = {
  star: 'M8 1.8l1.9 3.9 4.3.6-3.1 3 .7 4.3L8 11.6l-3.8 2 .7-4.3-3.1-3 4.3-.6z',
  pencil: 'M2.5 13.5l.6-2.9 7.7-7.7 2.3 2.3-7.7 7.7zM9.4 4.3l2.3 2.3',
  note: 'M3 2.5h10v8l-3 3H3zM13 10.5h-3v3M5.2 5.7h5.6M5.2 8.2h3.4',
  lock: 'M4 7.2h8v6.3H4zM5.6 7.2V5a2.4 2.4 0 0 1 4.8 0v2.2',
  unlock: 'M4 7.2h8v6.3H4zM5.6 7.2V5a2.4 2.4 0 0 1 4.6-.9',
  trash: 'M2.8 4.3h10.4M6.2 4.3V2.6h3.6v1.7M4.2 4.3l.6 9.2h6.4l.6-9.2M6.8 6.8v4.2M9.2 6.8v4.2',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.4 10.4l3.4 3.4',
  up: 'M8 13V3.5M4 7.2l4-4 4 4',
  down: 'M8 3v9.5M4 8.8l4 4 4-4',
  close: 'M4 4l8 8M12 4l-8 8',
  compare: 'M2.5 3h4.5v10H2.5zM9 3h4.5v10H9z',
  tag: 'M2.5 2.5h5l6 6-5 5-6-6zM5.3 5.3h.01',
  download: 'M8 2.5v7.5M4.5 7L8 10.5 11.5 7M2.8 13.3h10.4',
  lines: 'M3 2.5v11M8 2.5v11M13 2.5v11M3 10l5-5.5 5 3',
  grip: 'M6 4h.01M10 4h.01M6 8h.01M10 8h.01M6 12h.01M10 12h.01',
};

export function icon(name) {
  return svg('svg', {class: `icon icon-${name}`, viewBox: '0 0 16 16', 'aria-hidden': 'true'}, svg('path', {d: PATHS[name]}));
}
