// The same prompts from the same noise, epoch by epoch: one slider over all, a swipe from the first epoch to the chosen
// one, and every sheet side by side.
import {h, fill} from './dom.js';
import {cellOf} from './sheet.js';
import {makeSwipe} from './swipe.js';
import {number, plural} from './words.js';

/** `move({epoch, prompt})` puts the page elsewhere. */
export function makeSamples({move}) {
  const slider = h('input', {type: 'range', min: 0, step: 1, 'aria-label': 'Epoch', oninput: () => move({epoch: sheets[slider.value].epoch})}), at = h('output', {class: 'epoch'});
  const about = h('p', {class: 'note'});
  const cards = h('div', {class: 'sample-cards'}), under = h('div', {class: 'whole'}), over = h('div', {class: 'whole'}), swipe = makeSwipe(under, over), words = h('p', {class: 'note'});
  const all = h('div', {class: 'scroll'}), matrix = h('details', {class: 'matrix'}, h('summary', {}, 'Every epoch side by side'), all);
  const node = h('section', {class: 'panel samples', 'aria-label': 'Samples', hidden: true},
    h('div', {class: 'panel-head'}, h('h3', {}, 'Samples'), about),
    h('label', {class: 'epochs-slider'}, slider, at), h('div', {class: 'samples-row'}, cards, h('div', {class: 'beside'}, swipe.node, words)), matrix);
  let sheets = [], now = null, shown = '', listed = '';

  node.addEventListener('keydown', event => {
    const cell = event.target.closest('.matrix .cell'), by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!cell || !by) return;
    event.preventDefault();
    const place = sheets.findIndex(one => one.epoch === now.epoch) + by[0], prompt = now.prompt + by[1];
    if (sheets[place] && now.view.prompts[prompt] !== undefined) move({epoch: sheets[place].epoch, prompt});
    all.querySelector('[aria-pressed="true"]')?.focus();
  });

  function draw(state) {
    now = state;
    const {view} = state;
    sheets = [...view.samples].sort((a, b) => a.epoch - b.epoch);
    node.hidden = !sheets.length;
    if (node.hidden) return;
    const place = Math.max(0, sheets.findLastIndex(one => one.epoch <= state.epoch)), sheet = sheets[place], first = sheets[0];
    const signature = JSON.stringify([view.id, sheet, first, state.prompt]);
    slider.max = sheets.length - 1;
    slider.value = place;
    slider.disabled = sheets.length < 2;
    at.textContent = `Epoch ${sheet.epoch}`;
    slider.setAttribute('aria-valuetext', at.textContent);
    about.textContent = `${plural(view.prompts.length, 'caption')} ${view.judged.unseen ? 'never trained' : 'that it is trained on'}, always from the same noise: only the model changes${sheet.ema ? ' (averaged weights)' : ''}.`;
    if (shown !== signature) {
      shown = signature;
      show(view, sheet, first, state.prompt);
    }
    side(view, sheet, state.prompt);
  }

  function show(view, sheet, first, prompt) {
    const focused = cards.contains(document.activeElement);
    fill(cards, view.prompts.map((text, i) => h('button', {type: 'button', class: 'sample-card', 'aria-pressed': String(i === prompt), onclick: () => move({prompt: i})},
      h('span', {class: 'frame'}, cellOf(sheet.sheet, sheet, view.prompts.length, i, '')), h('span', {class: 'reward'}, told(sheet.rewards[i]), change(first, sheet, i)), h('bdi', {class: 'said-of'}, text))));
    if (focused) cards.children[prompt].focus({preventScroll: true});
    fill(over, cellOf(first.sheet, first, view.prompts.length, prompt, `${view.prompts[prompt]}, before training`));
    fill(under, cellOf(sheet.sheet, sheet, view.prompts.length, prompt, `${view.prompts[prompt]}, epoch ${sheet.epoch}`));
    swipe.names(`Epoch ${first.epoch}`, `Epoch ${sheet.epoch}`);
    fill(words, h('bdi', {}, view.prompts[prompt]), `: reward ${told(first.rewards[prompt])} before, ${told(sheet.rewards[prompt])} after epoch ${sheet.epoch}. Drag, or use the arrow keys.`);
  }

  function side(view, sheet, prompt) {
    const signature = JSON.stringify([view.id, sheets]);
    if (listed !== signature) {
      listed = signature;
      const grid = h('div', {class: 'sheets', role: 'group', 'aria-label': 'Prompts by epochs'}, h('div', {class: 'line heads'}, h('span'), sheets.map(one => h('b', {}, String(one.epoch)))),
        view.prompts.map((text, i) => h('div', {class: 'line'}, h('bdi', {class: 'said-of'}, text), sheets.map(one => h('button', {
          type: 'button', class: 'cell', data: {epoch: one.epoch, prompt: i}, 'aria-label': `Epoch ${one.epoch}, ${text}, reward ${told(one.rewards[i])}`, onclick: () => move({epoch: one.epoch, prompt: i}),
        }, cellOf(one.sheet, one, view.prompts.length, i, ''))))));
      grid.style.setProperty('--columns', sheets.length);
      fill(all, grid);
    }
    for (const cell of all.querySelectorAll('.cell')) {
      const here = Number(cell.dataset.epoch) === sheet.epoch && Number(cell.dataset.prompt) === prompt;
      cell.setAttribute('aria-pressed', String(here));
      cell.tabIndex = here ? 0 : -1;
      cell.classList.toggle('here', Number(cell.dataset.epoch) === sheet.epoch);
    }
  }

  return {node, draw};
}

function told(value) {
  return value === null || value === undefined ? 'no number' : number(value, 2);
}

function change(first, sheet, i) {
  const by = sheet.epoch === first.epoch || first.rewards[i] === null || sheet.rewards[i] === null ? 0 : sheet.rewards[i] - first.rewards[i];
  return Math.abs(by) < 0.005 ? null : h('small', {class: by > 0 ? 'up' : 'down'}, ` ${by > 0 ? '+' : ''}${number(by, 2)}`);
}
