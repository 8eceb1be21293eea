// Names and sentences of the page Train. Pure functions of its JSON.
import {LIVE, count, number, plural, seconds} from './words.js';

export const LEAD = 'A fine-tune by reinforcement: the model draws several pictures of a prompt, which differ because a little noise enters on the way; a reward scores them, and the model is moved towards what scored above its group\u2019s mean. The noise can be left to chance (Flow-GRPO) or be searched (Smart-GRPO).';

/** What the numbers mean, for someone who has not read the paper. */
export const NUMBERS = [
  ['epoch', 'One round: draw a batch of pictures, score them, and take a few steps of the optimiser. Epoch 0 is the model as it was.'],
  ['training reward', 'Of the pictures drawn while training, noise and all. It may rise while the model gets worse: a reward can be fooled.'],
  ['held-out reward', 'The same reward on prompts kept for judging, drawn without noise and always from the same starting noise. This is what a fine-tune is judged by. (Fewer than eight prompts of one\u2019s own are too few to keep any: those are trained and judged on, and it says so.)'],
  ['95% interval', 'Each caption is compared with itself before training, from the same noise; the interval says how far the mean of these differences may be off, for captions like these. A caption that comes twice counts once. Where 0 lies inside, chance alone may have done it.'],
  ['exact verifier', 'The share of those pictures that show exactly what the prompt says, found by measuring the picture. It cannot be talked into anything, so it stands beside every learned reward.'],
  ['averaged weights (EMA)', 'A running average of the trained weights: steadier, and what the run leaves behind.'],
  ['group', 'The pictures of one prompt. Only differences within a group teach: where all score the same there is nothing to learn, and what every picture gains alike vanishes.'],
  ['KL', 'How far the model has moved from where it was: in one epoch, and since the beginning.'],
  ['clipping', 'A picture stops counting once it has become too much more, or less, likely than when it was drawn. Many clipped ratios: steps too large. None at all: the limit does nothing.'],
  ['diversity and drift', 'How much the pictures of a prompt differ, and how far all are from real scenes (KID). A model that found one trick loses both.'],
  ['Save now, Sample now', 'At the end of the epoch under way: a checkpoint that is kept for good (it can be evaluated, downloaded and opened in Explore), or a sheet of the sample pictures.'],
  ['Pause, Stop', 'Both wait for the end of the epoch and keep a checkpoint of it. A paused run keeps its place in the queue until Continue; a stopped one has ended, and what it made is its result. Continue goes on with either from that checkpoint, to the same weights as if it had never been left.'],
  ['size of the noise', 'Its length over \u221ad: 1 is a real noise. A searched noise may be shorter or longer, and is then no sample of what the model would do by itself.'],
];

/** What each chart is to be read for; charts whose server has a note of its own keep that. */
export const CHART_NOTES = {
  heldout: 'Without noise, always the same prompts and starts.',
  verifier: 'Measured in the picture: nothing learned is in it.',
  rewards: 'Where a learned reward rises and an exact one does not, the learned one was fooled.',
  kl: 'Near 0 nothing happens; a steep rise means the model runs away from itself.',
  clip: 'By timestep, where it was trained. Dark: many pictures had moved too far to count.',
  ratio: 'How much likelier a picture became than when it was drawn. 1 is unchanged.',
  spread: 'The signal: without differences within a prompt nothing is learned.',
  equal: 'High for long: raise the noise, the number of pictures a prompt, or take a finer reward.',
  diversity: 'Falls when all pictures of a prompt become one.',
  drift: 'Lower is closer to drawn scenes. Rises when pictures get strange.',
  gradient: 'Before it is cut to its longest.',
  noise: '1 is a real noise. Away from it the likelihoods that training uses are off.',
  cosine: 'Above 0 they agree on the direction; below 0 they pull apart.',
  memory: 'The most that the process has held.',
};

export function titleOf({name, preset, prompt}) {
  return name || `${preset}: ${prompt}`;
}

/** What a run is judged on: so many captions, as everything on the page counts them. */
export function captionsOf({captions, different}) {
  return `${plural(captions, 'caption')}${different < captions ? ` (${count(different)} different)` : ''}`;
}

/** What these are called in a sentence. */
export function judgedOn({unseen}) {
  return unseen ? 'prompts never trained' : 'the prompts it is trained on';
}

/** What a run does, in plain words. */
export function explanation(config, titles, seen) {
  const {group_size: group, prompts_per_epoch: prompts, num_steps: steps, sde_window: window} = config;
  const share = config.searched_fraction >= 1 ? 'every picture' : `${Math.round(100 * config.searched_fraction)}% of each group`;
  const searched = `it is searched for ${share} (${plural(config.search.num_candidates, 'candidate')}, ${plural(config.search.num_iterations, 'iteration')})`;
  const noise = {random: 'it is left to chance', search: searched, best_of_k: `it is left to chance, but ${share} is the best of ${config.search.num_candidates} whole trajectories`}[config.noise_source];
  const where = window === null ? 'At every step but the last noise enters' : `At ${plural(window, 'step')}, placed anew each epoch between \u03c3 ${number(config.window_min, 2)} and ${number(config.window_max, 2)}, noise enters`;
  const climbed = Object.keys(config.rewards).filter(name => config.rewards[name]).map(name => titles[name] || name).join(' and ');
  const judged = config.eval_every ? `Every ${plural(config.eval_every, 'epoch')}` : 'Before and after';
  return `Each epoch draws ${plural(group, 'picture')} of each of ${plural(prompts, 'prompt')} in ${plural(steps, 'step')}. ${where}: ${noise}. They are scored by ${climbed}, `
    + `and ${plural(config.updates_per_epoch, 'update')} ${config.updates_per_epoch === 1 ? 'makes' : 'make'} likelier what scored above its group\u2019s mean. ${judged} the model is judged without noise on ${captionsOf(seen)}${seen.unseen ? ' that it is never trained on' : ': the same that it is trained on, so that what it learned cannot be told from what it knows by heart'}.`;
}

/** Where the weights that a run leaves behind came from and went; '' before it was judged twice. */
export function headline({epochs, judged}) {
  const ends = head => {
    const name = epochs.some(({metrics}) => typeof metrics[`${head}_ema`] === 'number') ? `${head}_ema` : head;
    const rows = epochs.filter(({metrics}) => typeof metrics[name] === 'number'), last = rows[rows.length - 1];
    const [gain, low, high] = rows.length > 1 ? ['gain', 'gain_low', 'gain_high'].map(end => last.metrics[`${name}_${end}`]) : [];
    return rows.length > 1 ? {name, from: rows[0].metrics[name], to: last.metrics[name], epoch: last.epoch, gain, low, high, even: low <= 0 && high >= 0} : null;
  };
  const reward = ends('heldout'), exact = ends('verifier');
  if (!reward) return '';
  const whose = reward.name === 'heldout_ema' ? 'averaged' : 'trained', chance = one => (one.even ? 'no more than chance may do' : '');
  const moved = typeof reward.low === 'number' ? ` (${[`${reward.gain > 0 ? '+' : ''}${number(reward.gain)} [${number(reward.low)}, ${number(reward.high)}]`, chance(reward)].filter(Boolean).join(': ')})` : '';
  const right = exact ? `; exactly right: ${percent(exact.from)} \u2192 ${percent(exact.to)}${exact.even ? ` (${chance(exact)})` : ''}` : '';
  return `On ${judgedOn(judged)} the reward of the ${whose} weights went ${number(reward.from)} \u2192 ${number(reward.to)} in ${plural(reward.epoch, 'epoch')}${moved}${right}.`;
}

/** The epoch from whose checkpoint a run that ended early can go on; null for any other. */
export function goesOnFrom({state, checkpoints, deleted, parent, job}) {
  const left = ['cancelled', 'failed'].includes(state) && !deleted && (job || !parent); // a sweep's goes on with the sweep
  return left && checkpoints.length ? checkpoints[checkpoints.length - 1].epoch : null;
}

export function percent(share) {
  return `${number(100 * share, share < 0.1 ? 1 : 0)}%`;
}

/** What is being done, or was, in a sentence. */
export function statusOf(view, timeLeft) {
  const all = view.num_epochs, done = view.last_epoch, after = done ? `after epoch ${done} of ${all}` : 'before the first epoch';
  const spent = `${plural(view.cost.nfe, 'velocity evaluation')} of training in ${seconds(view.cost.seconds)}`;
  const from = goesOnFrom(view), kept = `What was made until then is kept${from === null ? '' : `; Continue goes on from the checkpoint of epoch ${from}`}.`;
  if (view.state === 'failed') return `Stopped by an error ${after}: ${view.error || (view.job && view.job.error) || 'unknown'}. ${kept}`;
  if (view.state === 'cancelled') return `Stopped ${after}. ${kept}`;
  if (view.state === 'succeeded') return `${plural(done || 0, 'epoch')}: ${spent}.`;
  if (view.state === 'paused') return `Paused ${after}. It goes on from there.`;
  if (view.state === 'pending') return done ? `Waiting to go on ${after}.` : 'Waiting for its turn: one fine-tune or measurement runs at a time.';
  if (done === null) return view.started.sigmas ? 'Judging the model as it is, before training.' : 'Loading the model.';
  return `Epoch ${Math.min(done + 1, all)} of ${all} is under way; so far ${spent}${timeLeft ? `; ${timeLeft}` : ''}.`;
}

/** What was asked for and has not come yet. */
export function awaited(view, asked) {
  const words = {
    save: 'A checkpoint is made at the end of this epoch.', sample: 'Samples are drawn at the end of this epoch.',
    pause: 'Pausing\u2026 at the end of this epoch, with a checkpoint of it.', cancel: 'Stopping\u2026 at the end of this epoch, with a checkpoint of it.',
  };
  return LIVE.includes(view.state) && words[asked] ? words[asked] : '';
}

/** Bytes for people. */
export function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export const ARMS = {ode: 'Without noise (ODE)', no_search: 'Random noise', search: 'Searched noise'};
export const MODELS = {base: 'before', trained: 'after'};
export const DRAWN = {ode: 'drawn without noise', no_search: 'with random noise', search: 'with searched noise'};

/** A mean with its interval. */
export function withInterval(one, sign = false) {
  if (!one) return 'n/a';
  const plus = sign && one.mean > 0 ? '+' : '';
  return one.low === null || one.low === undefined ? `${plus}${number(one.mean)}` : `${plus}${number(one.mean)} [${number(one.low)}, ${number(one.high)}]`;
}

/** The log's facts of machine and versions, as pairs. */
export function machineOf({environment, usage, started, config}) {
  const {packages = {}, commit, lab, python, device, device_name: named, cores} = environment;
  return [
    ['Code', [lab, commit].filter(Boolean).join(', ')], ['Python', python], ['Packages', Object.entries(packages).map(([name, version]) => `${name} ${version}`).join(', ')],
    ['Device', [device, named].filter(Boolean).join(', ')], ['Threads', cores ? `${config.threads} of ${plural(cores, 'core')}` : ''],
    ['CPU time', usage.cpu_seconds === undefined ? '' : seconds(usage.cpu_seconds)], ['Peak memory', usage.peak_memory_mb === undefined ? '' : `${count(usage.peak_memory_mb)} MB`],
    ['Trained weights', started.trainable_parameters === undefined ? '' : `${count(started.trainable_parameters)} of ${count(started.num_parameters)}`],
    ['Clip range', started.clip_range === undefined ? '' : started.clip_range.toPrecision(3)],
  ].filter(([, value]) => value);
}
