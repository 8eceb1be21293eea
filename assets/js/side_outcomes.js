// Where searches led: a row a record, a column a way to a picture; and any two of the pictures over one another.
import {h, fill, picture} from './dom.js';
import {makeCompare} from './compare.js';
import {letterOf} from './side_tables.js';
import {ARMS, count, seconds, told} from './words.js';

const PLAIN = {config: {search: {num_iterations: 1, selection: 'top'}}}; // pictures of several sessions are called by their own names

export function makeOutcomes() {
  const table = h('table', {class: 'side-outcome'}), compare = makeCompare();
  const node = h('section', {class: 'panel outcome', 'aria-label': 'Outcome', hidden: true}, h('div', {class: 'panel-head'}, h('h3', {}, 'Where each led')), h('div', {class: 'scroll'}, table), compare.node);
  let drawn = '';

  function draw({sides, rewards, letters}) {
    const arms = Object.fromEntries(letters.map(letter => [letter, sides[letter].arms])), signature = JSON.stringify([arms, letters.map(letter => sides[letter].id)]);
    const names = [...new Set(letters.flatMap(letter => arms[letter].map(arm => arm.arm)))];
    node.hidden = !names.length;
    if (node.hidden || signature === drawn) return;
    drawn = signature;
    const top = highest(letters, arms, names, rewards);
    fill(table, h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, h('span', {class: 'unseen'}, 'Record')), names.map(name => h('th', {scope: 'col'}, (ARMS[name] || {title: name}).title)))),
      h('tbody', {}, letters.map(letter => h('tr', {}, h('th', {scope: 'row'}, letterOf(letter)), names.map(name => cell(arms[letter].find(arm => arm.arm === name), rewards, top))))));
    table.style.setProperty('--ways', names.length);
    over(letters, arms, names, rewards);
  }

  /** Hand every picture to the component that lays two of a session's over one another. */
  function over(letters, arms, names, rewards) {
    const list = names.flatMap(name => letters.flatMap(letter => arms[letter].filter(arm => arm.arm === name).map(arm => ({...arm, arm: `${letter}: ${(ARMS[name] || {title: name}).title}`}))));
    const rows = rewards.map(({name, title}) => ({title, values: list.map(arm => arm.rewards[name] ?? null)}));
    compare.draw({...PLAIN, id: JSON.stringify(list.map(arm => arm.image))}, {}, rows, list);
  }

  return {node, draw};
}

function cell(arm, rewards, top) {
  if (!arm) return h('td', {class: 'none'}, '\u2013');
  const scores = rewards.filter(one => one.name in arm.rewards);
  return h('td', {}, picture(arm.image, '', {loading: 'lazy'}),
    h('dl', {}, scores.map(({name, title}) => h('div', {}, h('dt', {}, title), h('dd', {}, told(arm.rewards[name]), top.get(name) === arm.rewards[name] ? h('span', {class: 'crown'}, 'highest') : null)))),
    h('p', {class: 'cost'}, `${count(arm.nfe)} evaluations, ${seconds(arm.seconds)}`));
}

/** The highest value of each reward among all pictures, where there are several different ones. */
function highest(letters, arms, names, rewards) {
  const all = letters.flatMap(letter => arms[letter]);
  return new Map(rewards.map(({name}) => {
    const known = all.map(arm => arm.rewards[name]).filter(value => typeof value === 'number');
    return [name, new Set(known).size > 1 ? Math.max(...known) : null];
  }));
}
