// Reliability measurements side by side: how well guesses rank siblings, curve over curve, and what each recommends.
import {h, fill} from './dom.js';
import {makeSideCharts, makeChoice} from './side_charts.js';
import {letterOf} from './side_tables.js';
import {number, plural} from './words.js';

/** `move({estimate})` puts the page elsewhere. */
export function makeMeasures({move}) {
  let now = null;
  const estimate = makeChoice('Estimate', value => move({estimate: value})), said = h('ul', {class: 'side-windows'});
  const curves = makeSideCharts({
    title: 'Where the guess can be trusted', charts: {spearman_median: 'big', expected_gain: 'big'}, tools: [estimate.node], state: () => now,
    query: place => ({kind: 'reliability', estimate: place.estimate}), choose: () => {}, cursor: () => ({step: -1, iteration: -1, candidate: null}),
  });
  curves.node.querySelector('.charts-big').before(said);

  function draw(section, state) {
    const chosen = section.estimates.includes(state.place.estimate) ? state.place.estimate : section.estimate;
    now = {...state, place: {...state.place, estimate: chosen}};
    estimate.options(section.estimates.map(name => [name, name]), chosen);
    fill(said, section.letters.map(letter => h('li', {}, letterOf(letter), ' ', words(section.sides[letter]))));
    curves.draw(true);
  }

  return {nodes: [curves.node], draw};
}

function words({window, sentence, rows_done: rows, few_prompts: few}) {
  if (!rows) return 'No row is finished yet.';
  const where = window ? `Recommended: \u03c3 ${number(window.low, 2)} to ${number(window.high, 2)}.` : few ? 'Too few prompts for a recommendation.' : 'No window can be recommended.';
  return `${where} ${sentence} (${plural(rows, 'row')})`;
}
