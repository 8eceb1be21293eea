// The page's address: which session is open and, once the reader has moved, where the cursor rests.
import {toText} from './cursor.js';

const REST = 150;

export function makeAddress() {
  let timer = null;

  function write(id, place) {
    const url = new URL(location.href);
    url.searchParams.set('session', id);
    if (place) url.searchParams.set('at', toText(place));
    else url.searchParams.delete('at');
    history.replaceState(history.state, '', url);
  }

  return {
    /** A session of the reader's own begins. */
    name: id => { clearTimeout(timer); write(id, null); },
    /** Write a while after the last move. While the page follows a running session the address names no place. */
    rest(state) {
      if (!state) return;
      clearTimeout(timer);
      timer = setTimeout(() => write(state.view.id, state.following ? null : state.cursor), REST);
    },
    /** The place that the address names for this session; empty for none. */
    placeOf(id) {
      const {searchParams} = new URL(location.href);
      return searchParams.get('session') === id ? searchParams.get('at') || '' : '';
    },
  };
}
