// What is wrong with the form, in plain words beside it, and a mark on the fields meant.
//
// Told when it was sent; from then on what is mended goes, as the form is checked while one writes.
import {h, fill} from './dom.js';
import {attention, showField} from './attention.js';

const UNFOLDS = 150; // ms until a folded field can be seen

export function mount({element, props, watch}) {
  const root = element.querySelector('.lab-problems');
  root.setAttribute('role', 'alert');
  let told = [];

  const fieldOf = one => document.getElementById(`field-${String(one.field).replaceAll('.', '-')}`);

  function draw(found) {
    told = found;
    const fields = [...new Set(found.map(fieldOf).filter(Boolean))];
    for (const node of document.querySelectorAll('.lab-bad')) if (!fields.includes(node)) node.classList.remove('lab-bad');
    for (const node of document.querySelectorAll('.lab-wrong')) node.remove();
    for (const node of fields) {
      node.classList.add('lab-bad');
      node.append(...found.filter(one => fieldOf(one) === node).map(one => h('p', {class: 'lab-wrong'}, one.text)));
    }
    fill(root, found.length ? h('div', {}, fields.length ? h('p', {}, attention(fields.length)) : null, h('ul', {}, found.map(one =>
      h('li', {}, one.label ? h('b', {}, `${one.label}: `) : null, one.text)))) : null);
    return fields;
  }

  function read() {
    const [first] = draw(JSON.parse(props.value || '[]'));
    if (first) setTimeout(() => showField(first), UNFOLDS); // it may be folded away until now
  }

  addEventListener('lab:checked', ({detail}) => {
    const now = new Map(detail.map(one => [one.field, one]));
    if (told.some(one => one.field)) draw(told.map(one => (one.field ? now.get(one.field) : one)).filter(Boolean));
  });
  read();
  watch('value', read);
}
