// What of the library is shown: kept in the address, so that a view can be linked, reloaded and gone back to.
import {h, fill} from './dom.js';
import {icon} from './icons.js';
import {STATES} from './states.js';
import {count, modelTitle, short} from './words.js';

// Each of them a choice among what the records are; then what narrows in other ways.
const FACETS = {kind: 'Any kind', state: 'Any state', model: 'Any model', reward: 'Any reward', preset: 'Any preset', tag: 'Any tag'};
const NARROWING = ['text', ...Object.keys(FACETS), 'since', 'until', 'star'];
const NAMES = [...NARROWING, 'trash', 'sort'];
const SORTS = [['', 'Newest first'], ['oldest', 'Oldest first'], ['reward', 'Highest reward'], ['gain', 'Highest gain'], ['cost', 'Highest cost'], ['name', 'By name']];
export const KINDS = {session: 'Searches', reliability: 'Reliability measurements', train: 'Fine-tunes', sweep: 'Sweeps'};
const TYPED_MS = 250;

// What can be asked of these; of the others anything can, which then may match nothing.
const DAY = /^\d{4}-\d\d-\d\d$/;
const READABLE = {
  state: value => value in STATES, sort: value => SORTS.some(([known]) => known === value), star: value => '01'.includes(value), trash: value => '01'.includes(value),
  since: isDay, until: isDay,
};

/** The filters that the address asks for, without what cannot be read; unknown parameters are none of ours. */
export function readAddress() {
  const asked = new URLSearchParams(location.search), given = NAMES.map(name => [name, asked.get(name) || '']);
  return Object.fromEntries(given.map(([name, value]) => [name, value && READABLE[name] && !READABLE[name](value) ? '' : value]));
}

/** What of an address could not be read, in words; empty where all could. */
function unread(filters) {
  const left = [...new URLSearchParams(location.search)].filter(([name, value]) => NAMES.includes(name) && value && !filters[name]);
  return left.length ? `The address asks for ${left.map(([name, value]) => `${name} \u201c${short(value, 40)}\u201d`).join(' and ')}, which this list cannot be narrowed to or sorted by. It is left out.` : '';
}

function isDay(value) {
  return DAY.test(value) && !Number.isNaN(new Date(`${value}T00:00`).getTime());
}

/** The same as a query; filters that are off are left out. */
export function asQuery(filters, more = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({...filters, ...more})) if (value !== '' && value !== null && value !== undefined) query.set(name, value);
  return query.toString();
}

/** The filters as the lab is asked for them: the address has days, and whose they are only the reader's clock knows. */
export function forLab(filters) {
  return {...filters, since: moment(filters.since, 0), until: moment(filters.until, 1)};
}

/** When a day begins, or one after it, here; what is no day is left for the lab to refuse. */
function moment(day, after) {
  if (!isDay(day)) return day;
  const date = new Date(`${day}T00:00`);
  date.setDate(date.getDate() + after);
  return date.toISOString();
}

/** The bar of filters. `changed()` is called whenever `filters()` has changed; back and forward count too. */
export function makeFilters({titles, changed}) {
  let filters = readAddress(), typing = 0;
  const text = h('input', {type: 'search', placeholder: 'Search prompts, names, notes', 'aria-label': 'Search', maxlength: 200});
  const choices = Object.keys(FACETS).map(name => [name, h('select', {'aria-label': name[0].toUpperCase() + name.slice(1)})]);
  const sort = h('select', {'aria-label': 'Sort'}, SORTS.map(([value, words]) => h('option', {value}, words)));
  const since = h('input', {type: 'date', 'aria-label': 'Made on or after'}), until = h('input', {type: 'date', 'aria-label': 'Made on or before'});
  const star = h('button', {type: 'button', class: 'toggle star'}, icon('star'), 'Starred');
  const trash = h('button', {type: 'button', class: 'toggle trash'}, icon('trash'), 'Trash');
  const reset = h('button', {type: 'button', class: 'reset', onclick: () => clear()}, 'Clear the filters');
  const days = h('span', {class: 'days', role: 'group', 'aria-label': 'When it was made'}, h('span', {'aria-hidden': 'true'}, 'Made'), since, h('span', {'aria-hidden': 'true'}, '\u2013'), until);
  const left = h('p', {class: 'left', role: 'status'});
  const node = h('div', {class: 'filters', role: 'search'},
    h('div', {class: 'line'}, h('label', {class: 'find'}, icon('search'), text), sort, h('span', {class: 'gap'}), star, trash),
    h('div', {class: 'line'}, choices.map(([, choice]) => choice), days, reset), left);
  const fields = [...choices, ['sort', sort], ['since', since], ['until', until]];

  function set(change, {replace = false} = {}) {
    filters = {...filters, ...change};
    left.textContent = '';
    const query = asQuery(filters);
    history[replace ? 'replaceState' : 'pushState'](history.state, '', query ? `?${query}` : location.pathname);
    show();
    changed();
  }

  function clear() {
    text.value = '';
    set(Object.fromEntries(NARROWING.map(name => [name, ''])));
  }

  const narrowed = () => NARROWING.some(name => filters[name]);

  function show() {
    if (document.activeElement !== text) text.value = filters.text;
    for (const [name, field] of fields) {
      if (field.options && ![...field.options].some(option => option.value === filters[name])) field.append(h('option', {value: filters[name]}, filters[name] || FACETS[name])); // from an address: shown as it is
      field.value = filters[name];
      field.classList.toggle('on', Boolean(filters[name]));
    }
    // what all records share is nothing to choose by; a tag few have
    for (const [name, choice] of choices) choice.hidden = choice.options.length < (name === 'tag' ? 2 : 3) && !filters[name];
    days.classList.toggle('on', Boolean(filters.since || filters.until));
    star.setAttribute('aria-pressed', String(Boolean(filters.star)));
    trash.setAttribute('aria-pressed', String(Boolean(filters.trash)));
    reset.hidden = !narrowed();
  }

  const wordsFor = (name, value) => (name === 'state' ? STATES[value] : name === 'kind' ? KINDS[value] : name === 'model' ? modelTitle(value, titles.models) : name === 'reward' ? titles.rewards[value] : '') || value;

  text.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => set({text: text.value.trim()}, {replace: true}), TYPED_MS);
  });
  for (const [name, field] of fields) field.addEventListener('change', () => set({[name]: field.value}));
  star.addEventListener('click', () => set({star: filters.star ? '' : '1'}));
  trash.addEventListener('click', () => set({trash: filters.trash ? '' : '1'}));
  window.addEventListener('popstate', () => { filters = readAddress(); text.value = filters.text; left.textContent = unread(filters); show(); changed(); });
  left.textContent = unread(filters);
  show();

  return {
    node,
    filters: () => filters,
    narrowed,
    clear,
    set,
    /** Offer what there is: by filter, each value and how many records have it. A filter with nothing to choose is hidden. */
    offer(facets) {
      for (const [name, choice] of choices) {
        const told = JSON.stringify(facets[name]);
        if (choice.dataset.told === told) continue;
        choice.dataset.told = told;
        fill(choice, h('option', {value: ''}, FACETS[name]),
          Object.entries(facets[name]).map(([value, many]) => h('option', {value}, `${wordsFor(name, value)} (${count(many)})`)));
      }
      show();
    },
  };
}
