// How the states of jobs and records are called, and where each is shown.
import {address} from './dom.js';

export const STATES = {pending: 'Waiting', running: 'Running', paused: 'Paused', succeeded: 'Finished', failed: 'Failed', cancelled: 'Stopped'};

/** A state's word for people; a job on its way to another state says so. */
export function stateWord(state, mode) {
  if (mode === 'stopping' && ['pending', 'running', 'paused'].includes(state)) return 'Stopping';
  if (state === 'running' && mode === 'pausing') return 'Pausing';
  if (state === 'running' && mode === 'stepping') return 'Stepping';
  return STATES[state] || state;
}

// The page that shows a record of each kind; a job that finishes candidates belongs to their session.
const SHOWN_AT = {session: './?session=', explore: './?session=', finish: './?session=', reliability: 'reliability?record=', measure: 'reliability?record=', replay: './?session=',
  train: 'train?record=', evaluate: 'train?record=', sweep: 'sweep?record='};

/** Where a record can be opened, from its kind or its job's; null for a kind that has no page of its own. */
export function whereShown(kind, recordId) {
  return SHOWN_AT[kind] ? address(SHOWN_AT[kind] + encodeURIComponent(recordId)) : null;
}

/** Let a link lead somewhere, or nowhere. */
export function pointAt(link, where) {
  if (where) link.href = where;
  else link.removeAttribute('href');
}

/** Seconds to go, roundly: nobody believes "37.4 s left". */
export function timeLeft(seconds) {
  if (seconds === null || seconds === undefined) return '';
  if (seconds < 10) return 'a few seconds left';
  if (seconds < 55) return `about ${Math.round(seconds / 5) * 5} s left`;
  if (seconds < 90) return 'about a minute left';
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `about ${minutes} min left` : `about ${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

/** A day and a time for a list; nothing for what is no date. */
export function moment(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  const year = date.getFullYear() === new Date().getFullYear() ? {} : {year: 'numeric'};
  return date.toLocaleString('en-GB', {day: 'numeric', month: 'short', ...year, hour: '2-digit', minute: '2-digit'});
}
