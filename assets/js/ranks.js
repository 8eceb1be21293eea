// Ranks among siblings: who was guessed to be best, who was. Pure functions; null is a value that is not a number.

/** Ranks from 1 for the highest, ties the mean of theirs; null for null. */
export function ranksOf(values) {
  return values.map(one => (one === null ? null
    : 1 + values.filter(other => other !== null && other > one).length + (values.filter(other => other === one).length - 1) / 2));
}

/** By what share of the other siblings two rankings place each apart, 0 to 1; null where either has no number. */
export function apart(guessed, real) {
  const both = guessed.map((value, i) => value !== null && real[i] !== null), others = both.filter(Boolean).length - 1;
  const [a, b] = [guessed, real].map(values => ranksOf(values.map((value, i) => (both[i] ? value : null))));
  return a.map((rank, i) => (both[i] && others > 0 ? Math.abs(rank - b[i]) / others : null));
}

/** Spearman's correlation: that of the ranks; null where one side is constant or fewer than two pairs are known. */
export function rankCorrelation(guessed, real) {
  const both = guessed.map((value, i) => value !== null && real[i] !== null);
  const [a, b] = [guessed, real].map(values => centred(ranksOf(values.filter((_, i) => both[i]))));
  const size = Math.sqrt(dot(a, a) * dot(b, b));
  return size > 0 ? dot(a, b) / size : null;
}

function centred(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
  return values.map(value => value - mean);
}

function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

// Rankings that know nothing of each other are a third apart on average. Beyond MISJUDGED the scatter stands out too.
const AGREES = 0.2, MISJUDGED = 0.6;

/** In three grades, how well the guess's rank agrees with the true one. */
export function gradeOf(distance) {
  return distance === null ? 'unknown' : distance <= AGREES ? 'agrees' : distance <= MISJUDGED ? 'near' : 'misjudged';
}

/** Indices from the highest value to the lowest; what has no number comes last, ties by index. */
export function highestFirst(values) {
  const known = value => (value === null ? -Infinity : value);
  return values.map((_, i) => i).sort((a, b) => known(values[b]) - known(values[a]) || a - b);
}

/** A rank for people: 2nd, 3rd; a mean of ranks as it is. */
export function ordinal(rank) {
  if (rank === null) return 'unranked';
  if (!Number.isInteger(rank)) return `${rank} (shared)`;
  const tens = rank % 100, ones = rank % 10;
  return `${rank}${tens > 10 && tens < 14 ? 'th' : {1: 'st', 2: 'nd', 3: 'rd'}[ones] || 'th'}`;
}
