// Fine-tunes side by side: curves over one another, and what they draw for the same prompts from the same noise.
import {h, fill} from './dom.js';
import {makeSideCharts, makeChoice} from './side_charts.js';
import {letterOf} from './side_tables.js';
import {cellOf} from './sheet.js';
import {number} from './words.js';

const AXES = [['epoch', 'Epochs'], ['nfe', 'Velocity evaluations'], ['seconds', 'Seconds']];

/** `move(place)` puts the page elsewhere: axis, measure, epoch. */
export function makeRuns({move}) {
  let now = null;
  const axis = makeChoice('Over', value => move({axis: value})), measure = makeChoice('Reward', value => move({measure: value}));
  const curves = makeSideCharts({
    title: 'What was learned', charts: {heldout: 'big', verifier: 'big', reward: 'big'}, tools: [axis.node, measure.node], state: () => now,
    query: place => ({kind: 'train', x: place.axis, measure: place.measure}), choose: ([epoch]) => move({epoch}), cursor: () => ({step: now.place.epoch, iteration: -1, candidate: null}),
  });
  const samples = makeGrids({move});

  function draw(section, state) {
    const {measures} = section, known = measures.some(one => one.name === state.place.measure);
    const place = {...state.place, measure: known ? state.place.measure : measures.length ? measures[0].name : '', axis: AXES.some(([name]) => name === state.place.axis) ? state.place.axis : 'epoch'};
    now = {...state, place};
    axis.options(AXES, place.axis);
    measure.options(measures.map(one => [one.name, one.title]), place.measure);
    curves.draw(Object.values(section.sides).some(side => side.epochs.length));
    samples.draw(section, place);
  }

  return {nodes: [curves.node, samples.node], draw};
}

/** Records by prompts under one slider of epochs: each run shows its latest sheet by then. */
function makeGrids({move}) {
  const slider = h('input', {type: 'range', min: 0, step: 1, 'aria-label': 'Epoch', oninput: () => move({epoch: epochs[slider.value]})}), at = h('output', {class: 'at'});
  const table = h('table', {class: 'side-samples'});
  const node = h('section', {class: 'panel samples', 'aria-label': 'Samples', hidden: true}, h('div', {class: 'panel-head'}, h('h3', {}, 'Samples'),
    h('p', {class: 'note'}, 'Held-out prompts, from noise that is the same in every run: only the models differ.')), h('label', {class: 'moments-slider'}, slider, at), h('div', {class: 'scroll'}, table));
  let epochs = [], drawn = '';

  function draw({sides, letters}, place) {
    const withSheets = letters.filter(letter => sides[letter].samples.length);
    node.hidden = !withSheets.length;
    if (node.hidden) return;
    epochs = [...new Set(withSheets.flatMap(letter => sides[letter].samples.map(one => one.epoch)))].sort((a, b) => a - b);
    const chosen = place.epoch ?? epochs[epochs.length - 1], index = Math.max(0, epochs.findLastIndex(epoch => epoch <= chosen));
    slider.max = epochs.length - 1;
    slider.value = index;
    slider.disabled = epochs.length < 2;
    at.textContent = `Epoch ${epochs[index]}`;
    slider.setAttribute('aria-valuetext', at.textContent);
    const shown = letters.map(letter => ({letter, prompts: sides[letter].prompts, sheet: latest(sides[letter].samples, epochs[index])}));
    const signature = JSON.stringify(shown);
    if (signature === drawn) return;
    drawn = signature;
    const prompts = [...new Set(shown.flatMap(one => one.prompts))];
    table.style.setProperty('--ways', prompts.length);
    fill(table, h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, h('span', {class: 'unseen'}, 'Fine-tune')), prompts.map(text => h('th', {scope: 'col'}, h('bdi', {}, text))))),
      h('tbody', {}, shown.map(one => h('tr', {}, h('th', {scope: 'row'}, letterOf(one.letter), h('small', {}, one.sheet ? `epoch ${one.sheet.epoch}` : 'none yet')), prompts.map(text => cell(one, text))))));
  }

  return {node, draw};
}

function latest(samples, epoch) {
  return samples.filter(one => one.epoch <= epoch).reduce((best, one) => (!best || one.epoch > best.epoch || one.epoch === best.epoch && one.ema ? one : best), null);
}

function cell({letter, prompts, sheet}, text) {
  const index = prompts.indexOf(text);
  if (!sheet || index < 0) return h('td', {class: 'none'}, '\u2013');
  return h('td', {}, h('span', {class: 'frame'}, cellOf(sheet.sheet, sheet, prompts.length, index, `${text}, ${letter}, epoch ${sheet.epoch}`)),
    h('span', {class: 'reward'}, number(sheet.rewards[index], 2)));
}
