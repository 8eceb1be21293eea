// A chart's key: what each line, dot and band is, as words that wrap like words.
import {h, svg, fill} from './dom.js';

const DASHES = {dash: '5 4', dot: '1.5 3', dashdot: '5 3 1.5 3', longdash: '8 3', longdashdot: '7 3 1.5 3', solid: null};
const SHAPES = {diamond: 'M8 2.5 13 8 8 13.5 3 8Z', 'triangle-up': 'M8 3 13.5 12.5H2.5Z', square: 'M5 5H11V11H5Z',
  cross: 'M6.5 3h3v3.5H13v3H9.5V13h-3V9.5H3v-3h3.5Z', x: 'M3.5 5.5l2-2L8 6l2.5-2.5 2 2L10 8l2.5 2.5-2 2L8 10l-2.5 2.5-2-2L6 8Z'};

export function drawKey(parent, figure) {
  const shown = ordered(figure).filter(trace => trace.showlegend !== false && trace.visible !== false);
  parent.hidden = shown.length < 2;
  fill(parent, shown.map(trace => h('li', {}, sample(trace), nameOf(trace))));
}

/** Traces as a reader should meet them: what is drawn last, on top, may be what comes first. */
export function ordered(figure) {
  return figure.layout.legend && figure.layout.legend.traceorder === 'reversed' ? [...figure.data].reverse() : figure.data;
}

/** What a trace is called in the key; a table names it by what its numbers are. */
export function nameOf(trace) {
  return entities((trace.meta && trace.meta.key) || trace.name);
}

/** Text for Plotly, which reads some markup, as the plain text it was; see `plain` in app/figure_style.py. */
export function entities(text) {
  if (!text) return ''; // a map needs no name
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

function sample(trace) {
  const {line = {}, marker, mode = 'lines'} = trace, parts = [];
  if (trace.fill || trace.type === 'bar') parts.push(svg('rect', {x: 0, y: 3, width: 16, height: 10, fill: trace.fillcolor || marker.color, opacity: (marker && marker.opacity) || 1}));
  else if (mode.includes('lines')) parts.push(svg('line', {x1: 0, x2: 16, y1: 8, y2: 8, stroke: line.color, 'stroke-width': Math.min(line.width, 2.5), 'stroke-dasharray': DASHES[line.dash]}));
  if (mode.includes('markers')) parts.push(dot(marker, line.color));
  return svg('svg', {width: 16, height: 16, viewBox: '0 0 16 16', 'aria-hidden': 'true'}, parts);
}

function dot({symbol = 'circle', color}, own) {
  const paint = color || own, path = SHAPES[symbol];
  if (path) return svg('path', {d: path, fill: paint});
  return symbol.endsWith('-open') ? svg('circle', {cx: 8, cy: 8, r: 3.5, fill: 'none', stroke: paint, 'stroke-width': 1.25})
    : svg('circle', {cx: 8, cy: 8, r: 3.5, fill: paint});
}
