// Prompts to begin with: a click puts one into the prompt field.
import {h, fill} from './dom.js';

export function mount({element, props, trigger}) {
  const root = element.querySelector('.lab-examples');
  const choose = text => { window.labExample = text; trigger('choose', {}); };
  fill(root,
    h('span', {class: 'lead'}, 'Try'),
    JSON.parse(props.value || '[]').map(text =>
      h('button', {type: 'button', class: 'chip', onclick: () => choose(text)}, text.replace(/^a photo of /, ''))));
}
