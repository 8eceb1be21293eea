// What the form asks for, as the interface's body and back. Pure functions; what cannot be read is told by field.

/** Timesteps counted from 1, such as "3-8, 10", as a list counted from 0; null for none. Throws for what is neither. */
export function readSteps(text) {
  const found = [];
  for (const part of text.split(',').map(one => one.trim()).filter(Boolean)) {
    const match = part.match(/^(\d{1,4})(?:\s*[-\u2013]\s*(\d{1,4}))?$/);
    const first = match && Number(match[1]), last = match && Number(match[2] || match[1]);
    if (!match || first < 1 || last < first) throw new Error(`expected timesteps such as 3-8 or 2, 5, 9, got \u201c${part}\u201d`);
    for (let step = first; step <= last; step += 1) found.push(step - 1);
  }
  return found.length ? found : null;
}

/** The same in words: runs of timesteps as "3-8". */
export function writeSteps(steps) {
  const runs = [];
  for (const step of steps || []) {
    const last = runs[runs.length - 1];
    if (last && last[1] === step - 1) last[1] = step;
    else runs.push([step, step]);
  }
  return runs.map(([first, last]) => (first === last ? `${first + 1}` : `${first + 1}-${last + 1}`)).join(', ');
}

/** "3" are the first three seeds; a list is just those. Throws for what is neither. */
export function readSeeds(text) {
  const parts = text.split(',').map(one => one.trim()).filter(Boolean);
  if (!parts.length || parts.some(part => !/^\d{1,10}$/.test(part))) throw new Error('expected how many seeds, or a list such as 0, 7, 12');
  return text.includes(',') ? parts.map(Number) : Number(parts[0]);
}

/** The first so many seeds as their number, others as a list. */
export function writeSeeds(seeds) {
  return seeds.every((seed, i) => seed === i) ? String(seeds.length) : `${seeds.join(', ')}${seeds.length === 1 ? ',' : ''}`;
}

export function readLines(text) {
  return [...new Set(text.split('\n').map(line => line.trim()).filter(line => line && !line.startsWith('#')))];
}

/** {body, problems} of a filled form; `sets` are the named prompt sets. */
export function toBody(filled, sets) {
  const problems = {}, read = (name, how) => {
    try { return how(filled[name]); } catch (error) { problems[name] = error.message; return undefined; }
  };
  const named = sets.find(one => one.name === filled.set), count = filled.count === null ? NaN : filled.count;
  const all = named ? named.prompts : readLines(filled.prompts);
  if (!named && !all.length) problems.prompts = 'expected a prompt a line';
  if (named && !(count >= 1 && count <= all.length && Number.isInteger(count))) problems.count = `expected a whole number from 1 to ${all.length}`;
  const prompts = named ? all.slice(0, count) : all;
  const body = {
    prompts, model: filled.model, reward: filled.reward, num_siblings: filled.num_siblings, seeds: read('seeds', readSeeds),
    estimates: filled.estimates, steps: read('steps', readSteps), start_sigma: filled.start_sigma >= 1 ? null : filled.start_sigma,
    num_steps: filled.num_steps, step_kind: filled.step_kind, num_elites: filled.num_elites,
  };
  const steps = body.steps || [], beyond = steps.find(step => filled.num_steps > 0 && step >= filled.num_steps);
  if (beyond !== undefined) problems.steps = `expected timesteps from 1 to ${filled.num_steps}, got ${beyond + 1}`;
  else if (new Set(steps).size < steps.length) problems.steps = 'expected every timestep once';
  if (filled.held_out) body.held_out = filled.held_out.filter(name => name !== filled.reward);
  for (const name of ['noise_level', 'guidance_scale']) if (filled[name] !== null) body[name] = filled[name];
  const name = filled.name.trim() || (named ? `${title(named.name)}${prompts.length < all.length ? `, the first ${prompts.length}` : ''}` : '');
  return {body: name ? {...body, name} : body, problems};
}

/** A form filled as for a measurement that was asked for so. */
export function fromRequest(request, sets, optimised, heldOut) {
  const {prompts} = request, same = sets.find(one => prompts.every((prompt, i) => prompt === one.prompts[i]));
  return {
    ...request, name: '', set: same ? same.name : '', count: prompts.length, prompts: prompts.join('\n'), seeds: writeSeeds(request.seeds),
    steps: writeSteps(request.steps), start_sigma: request.start_sigma ?? 1, reward: optimised, held_out: heldOut,
  };
}

/** A set's name for people: "single-object" is "Single object". */
export function title(name) {
  const words = name.replaceAll('-', ' ');
  return words[0].toUpperCase() + words.slice(1);
}
