// What is wrong with the form, in plain words beside it, and a mark on the fields meant.
import {h, fill} from './dom.js';

export function mount({element, props, watch}) {
  const root = element.querySelector('.lab-problems');
  root.setAttribute('role', 'alert');
  const draw = () => {
    const found = JSON.parse(props.value || '[]');
    document.querySelectorAll('.lab-bad').forEach(node => node.classList.remove('lab-bad'));
    for (const one of found) document.getElementById(`field-${String(one.field).replaceAll('.', '-')}`)?.classList.add('lab-bad');
    fill(root, found.length ? h('ul', {}, found.map(one =>
      h('li', {}, one.label ? h('b', {}, `${one.label}: `) : null, one.text))) : null);
  };
  draw();
  watch('value', draw);
}
