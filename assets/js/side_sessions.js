// Searches side by side: where each led, what it got for its cost, and their boards under one cursor.
import {h, fill} from './dom.js';
import {makeSideCharts, makeChoice} from './side_charts.js';
import {makeOutcomes} from './side_outcomes.js';
import {makeBoards} from './side_boards.js';

const AXES = [['nfe', 'Velocity evaluations'], ['seconds', 'Seconds'], ['sigma', 'Noise level \u03c3']];

/** `move(place)` puts the page elsewhere: at (a moment), iteration, candidate, x, reward. */
export function makeSessions({move}) {
  let now = null;
  const outcomes = makeOutcomes(), axis = makeChoice('Over', x => move({x})), reward = makeChoice('Reward', value => move({reward: value}));
  const query = place => ({kind: 'session', at: place.at, x: place.x, reward: place.reward});
  const go = ([at, iteration]) => { if (at !== null) move({at, ...(iteration >= 0 ? {iteration} : {})}); };
  const cursor = () => ({step: now.place.at, iteration: now.place.iteration ?? -1, candidate: null});
  const about = {query, choose: go, cursor, state: () => now && now.state};
  const whole = makeSideCharts({...about, title: 'Reward and cost', charts: {trail: 'big', arms: 'big'}, tools: [axis.node, reward.node]});
  const boards = makeBoards({move});
  const here = makeSideCharts({...about, title: 'What the searches do at this timestep', charts: {rewards: 'big', norm: 'small', spread: 'small', cosine: 'small', used: 'small'}, tools: []});
  const none = h('p', {class: 'note'});

  function draw(section, state) {
    const begun = section.moments.length > 0, place = settled(section, state.place);
    now = {section, place, state: {...state, place}};
    fill(none, begun ? null : 'None of these searches has begun.');
    axis.options(AXES, place.x);
    reward.options([['', 'What each climbs'], ...section.rewards.map(one => [one.name, rewardWords(one, section.letters)])], place.reward);
    outcomes.draw(section);
    for (const part of [whole, here]) part.draw(begun);
    boards.draw(section, place);
  }

  return {nodes: [none, outcomes.node, whole.node, boards.node, here.node], draw};
}

/** A place that these searches have. Where none was chosen: a searched timestep from the middle, its last iteration. */
function settled(section, place) {
  const {moments, sides, rewards} = section, last = Math.max(0, moments.length - 1);
  const rounds = at => Math.max(0, ...Object.entries(moments[at] ? moments[at].steps : {}).map(([letter, step]) => (sides[letter].rounds.find(one => one.step === step) || {iterations: 0}).iterations));
  const searched = moments.map((_, at) => at).filter(at => rounds(at));
  const unmoved = place.iteration === null && !place.at;
  const at = unmoved && searched.length ? searched[Math.floor(searched.length / 2)] : Math.min(place.at, last);
  const most = Math.max(0, rounds(at) - 1);
  return {...place, at, iteration: Math.min(place.iteration ?? most, most), reward: rewards.some(one => one.name === place.reward) ? place.reward : '',
    x: AXES.some(([name]) => name === place.x) ? place.x : 'nfe'};
}

function rewardWords({title, climbed, letters}, all) {
  const who = climbed.length === all.length ? 'climbed' : climbed.length ? `climbed by ${climbed.join(', ')}` : 'watched';
  return `${title} (${who}${letters.length < all.length ? `; only ${letters.join(', ')}` : ''})`;
}
