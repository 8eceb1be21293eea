// Steps whose candidates are not in the view are asked for one by one, once each.
import {api} from './api.js';
import {detailed, iterationsOf, withDetail} from './view.js';

const REST = 120;

/** `came(change)` gets a function from the old view to the new one, `failed(text)` what to say; `current()` the view. */
export function makeDetails({came, failed, current}) {
  const asked = new Set();
  let timer = null;

  async function fetchStep(id, step) {
    const key = `${id}/${step}`;
    if (asked.has(key)) return;
    asked.add(key);
    try {
      const {iterations} = await api(`sessions/${id}/steps/${step}`);
      if (current()?.id === id) came(view => withDetail(view, iterations));
    } catch (error) {
      if (current()?.id === id) failed(error.message);
    } finally {
      setTimeout(() => asked.delete(key), 2000); // by then it is here; after a failure it may be tried again
    }
  }

  return {
    /** Ask for a step that lacks its candidates, once the cursor has rested there for a moment. */
    need(view, step) {
      clearTimeout(timer);
      if (iterationsOf(view, step).every(detailed) || asked.has(`${view.id}/${step}`)) return;
      timer = setTimeout(() => fetchStep(view.id, step), REST);
    },
  };
}
