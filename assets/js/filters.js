// What of the library is shown: kept in the address, so that a view can be linked, reloaded and gone back to.
import {h} from './dom.js';
import {icon} from './icons.js';
import {STATES} from './states.js';

const NAMES = ['text', 'state', 'preset', 'star', 'trash', 'sort'];
const TYPED_MS = 250;

/** The filters that the address asks for; unknown parameters are none of ours. */
export function readAddress() {
  const asked = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map(name => [name, asked.get(name) || '']));
}

/** The same as a query; filters that are off are left out. */
export function asQuery(filters, more = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({...filters, ...more})) if (value !== '' && value !== null && value !== undefined) query.set(name, value);
  return query.toString();
}

/** The bar of filters. `changed()` is called whenever `filters()` has changed; back and forward count too. */
export function makeFilters({presets, changed}) {
  let filters = readAddress(), typing = 0;
  const text = h('input', {type: 'search', placeholder: 'Search prompts, names, notes', 'aria-label': 'Search', maxlength: 200});
  const state = choice('State', [['', 'Any state'], ...['succeeded', 'running', 'pending', 'paused', 'cancelled', 'failed'].map(one => [one, STATES[one]])]);
  const preset = choice('Preset', [['', 'Any preset'], ...presets.map(one => [one, one])]);
  const sort = choice('Sort', [['', 'Newest first'], ['reward', 'Highest reward'], ['cost', 'Highest cost']]);
  const star = h('button', {type: 'button', class: 'toggle star'}, icon('star'), 'Starred');
  const trash = h('button', {type: 'button', class: 'toggle trash'}, icon('trash'), 'Trash');
  const node = h('div', {class: 'filters', role: 'search'}, h('label', {class: 'find'}, icon('search'), text), state, preset, star, h('span', {class: 'gap'}), sort, trash);

  function set(change, {replace = false} = {}) {
    filters = {...filters, ...change};
    const query = asQuery(filters);
    history[replace ? 'replaceState' : 'pushState'](history.state, '', query ? `?${query}` : location.pathname);
    show();
    changed();
  }

  function show() {
    if (document.activeElement !== text) text.value = filters.text;
    for (const [node, name] of [[state, 'state'], [preset, 'preset'], [sort, 'sort']]) {
      const known = [...node.options].some(option => option.value === filters[name]);
      if (!known) node.append(h('option', {value: filters[name]}, filters[name])); // from an address: shown as it is
      node.value = filters[name];
      node.classList.toggle('on', Boolean(filters[name]));
    }
    star.setAttribute('aria-pressed', String(Boolean(filters.star)));
    trash.setAttribute('aria-pressed', String(Boolean(filters.trash)));
  }

  text.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => set({text: text.value.trim()}, {replace: true}), TYPED_MS);
  });
  for (const [node, name] of [[state, 'state'], [preset, 'preset'], [sort, 'sort']]) node.addEventListener('change', () => set({[name]: node.value}));
  star.addEventListener('click', () => set({star: filters.star ? '' : '1'}));
  trash.addEventListener('click', () => set({trash: filters.trash ? '' : '1'}));
  window.addEventListener('popstate', () => { filters = readAddress(); text.value = filters.text; show(); changed(); });
  show();

  return {
    node,
    filters: () => filters,
    narrowed: () => ['text', 'state', 'preset', 'star'].some(name => filters[name]),
    clear: () => { text.value = ''; set({text: '', state: '', preset: '', star: ''}); },
    set,
  };
}

function choice(label, options) {
  return h('select', {'aria-label': label}, options.map(([value, words]) => h('option', {value}, words)));
}
