// What the page shows of a measurement beside its view, asked for once and kept until there is more of it.
import {api} from './api.js';

const KEPT = 40;

export function makeSource() {
  const answers = new Map();

  function ask(key, path) {
    if (!answers.has(key)) {
      const answer = api(path);
      answer.catch(() => answers.delete(key)); // it may be asked for again
      answers.set(key, answer);
      if (answers.size > KEPT) answers.delete(answers.keys().next().value);
    }
    return answers.get(key);
  }

  return {
    /** A row's siblings at every measured step. */
    row(view, row) {
      const done = view.rows[row].steps_done.length;
      return ask(`row ${view.id} ${row} ${done}`, `${pathOf(view)}/rows/${row}`);
    },
    /** Guess and truth of all siblings at a step, and the worst misjudged. */
    points(view, chosen) {
      const query = queryOf(chosen);
      return ask(`points ${view.id} ${view.rows_done} ${query}`, `${pathOf(view)}/points?${query}`);
    },
  };
}

export function pathOf(view) {
  return `reliability/${encodeURIComponent(view.id)}`;
}

/** The parameters that name a step, an estimate and whose truth is asked for. */
export function queryOf({step, estimate, truth}, more = {}) {
  return new URLSearchParams({step, estimate, truth, ...more}).toString();
}
