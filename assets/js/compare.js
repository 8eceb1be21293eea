// Two outcomes over one another: a swipe from one to the other, and where they differ.
import {h, fill, address} from './dom.js';
import {makeSwipe} from './swipe.js';
import {armWords, number, told} from './words.js';

const GAINS = [1, 2, 4, 8];

export function makeCompare() {
  const left = picker('First picture'), right = picker('Second picture');
  const under = h('img', {alt: '', draggable: 'false'}), over = h('img', {alt: '', draggable: 'false'});
  const swipe = makeSwipe(under, over);
  const canvas = h('canvas', {role: 'img'}), gain = h('select', {}, GAINS.map(one => h('option', {value: one, selected: one === 4}, `\u00d7 ${one}`)));
  const said = h('p', {class: 'note', role: 'status'});
  const difference = h('div', {class: 'difference'}, canvas);
  const gainLabel = h('label', {class: 'gain'}, 'brightened ', gain);
  const modes = [['swipe', 'Swipe'], ['difference', 'Difference']].map(([name, text]) => h('button', {type: 'button', class: 'part', data: {mode: name}}, text));
  const table = h('table', {class: 'numbers'});
  const node = h('details', {class: 'compare', open: true}, h('summary', {}, 'Two of them over one another'),
    h('div', {class: 'compare-row'}, h('div', {class: 'stack'}, swipe.node, difference),
      h('div', {class: 'compare-words'}, h('div', {class: 'picks'}, left.node, h('button', {type: 'button', class: 'chip swap', 'aria-label': 'Swap the two', onclick: swap}, '\u21c4'), right.node),
        h('div', {class: 'tools'}, h('span', {class: 'segment', role: 'group', 'aria-label': 'How to compare'}, modes), gainLabel), said, table)));
  let mode = 'swipe', now = null, drawn = '';

  for (const one of [left.node, right.node]) one.addEventListener('change', show);
  gain.addEventListener('change', show);
  for (const button of modes) button.addEventListener('click', () => { mode = button.dataset.mode; show(); });

  function swap() {
    [left.node.value, right.node.value] = [right.node.value, left.node.value];
    show();
  }

  function draw(view, titles, rows, list) {
    const done = list.map((arm, i) => ({...arm, i})).filter(arm => !arm.missing);
    node.hidden = done.length < 2;
    if (node.hidden) return;
    const options = done.map(arm => ({value: arm.arm, text: armWords(view, arm.arm).title}));
    left.options(options, done[0].arm);
    right.options(options, done[1].arm);
    now = {done, rows, key: view.id};
    show();
  }

  function show() {
    const [a, b] = [left, right].map(one => now.done.find(arm => arm.arm === one.node.value));
    const signature = JSON.stringify([now.key, a, b, mode, gain.value]);
    if (signature === drawn) return;
    drawn = signature;
    for (const button of modes) button.setAttribute('aria-pressed', String(button.dataset.mode === mode));
    swipe.node.hidden = mode !== 'swipe';
    difference.hidden = gainLabel.hidden = mode === 'swipe';
    over.src = source(a);
    under.src = source(b);
    const names = [left, right].map(one => one.node.selectedOptions[0].textContent);
    swipe.names(...names);
    fill(table, numbersOf(now.rows, a, b, names));
    said.textContent = mode === 'swipe' ? 'Drag, or use the arrow keys: the first picture lies left of the line.' : '';
    if (mode === 'difference') differ(a, b);
  }

  async function differ(a, b) {
    const mark = drawn, found = await absoluteDifference(source(a), source(b), Number(gain.value)).catch(() => null);
    if (mark !== drawn) return;
    difference.hidden = !found;
    said.textContent = !found ? 'These two pictures cannot be laid over one another: their sizes differ.'
      : found.mean === 0 ? 'The two pictures are the same, pixel by pixel.'
      : `Where they differ: black is equal. On average ${number(found.mean, 1)} of 255 per colour.`;
    if (!found) return;
    Object.assign(canvas, {width: found.image.width, height: found.image.height});
    canvas.getContext('2d').putImageData(found.image, 0, 0);
    canvas.setAttribute('aria-label', said.textContent);
  }

  return {node, draw};
}

/** A choice among the arms that keeps what the reader chose as more arms come. */
function picker(label) {
  const node = h('select', {'aria-label': label});
  let known = '';
  return {
    node,
    options(list, usual) {
      const signature = JSON.stringify(list);
      if (signature === known) return;
      known = signature;
      const chosen = node.value;
      fill(node, list.map(one => h('option', {value: one.value}, one.text)));
      node.value = list.some(one => one.value === chosen) ? chosen : usual;
    },
  };
}

function source(arm) {
  return address(`artifacts/${encodeURIComponent(arm.image)}`);
}

function numbersOf(rows, a, b, names) {
  const line = row => {
    const one = row.values[a.i], two = row.values[b.i], by = one === null || two === null ? null : two - one;
    return h('tr', {}, h('th', {scope: 'row'}, row.title), h('td', {}, told(one)), h('td', {}, told(two)), h('td', {class: 'by'}, by === null ? '' : `${by > 0 ? '+' : ''}${number(by)}`));
  };
  return [h('thead', {}, h('tr', {}, h('th', {}), names.map(name => h('th', {scope: 'col'}, name)), h('th', {scope: 'col'}, 'second minus first'))), h('tbody', {}, rows.map(line))];
}

/** |a - b| times `gain` as pixels, and its mean before the gain. Rejects where a picture is missing or the sizes differ. */
async function absoluteDifference(a, b, gain) {
  const [one, two] = await Promise.all([a, b].map(pixels));
  if (one.width !== two.width || one.height !== two.height) throw new Error('sizes differ');
  const image = new ImageData(one.width, one.height);
  let sum = 0;
  for (let i = 0; i < image.data.length; i += 1) {
    const by = i % 4 === 3 ? 0 : Math.abs(one.data[i] - two.data[i]);
    sum += by;
    image.data[i] = i % 4 === 3 ? 255 : by * gain;
  }
  return {image, mean: sum / (one.width * one.height * 3)};
}

async function pixels(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), brush = canvas.getContext('2d', {willReadFrequently: true});
  brush.drawImage(image, 0, 0);
  return brush.getImageData(0, 0, canvas.width, canvas.height);
}
