// A note as it is read. The lab sends it as sanitised HTML; nothing of that is put into the page as it came: elements
// are made anew from a short list, and text only ever becomes a text node.
import {h} from './dom.js';

const KEPT = new Set('A BLOCKQUOTE BR CODE EM HR LI OL P PRE S STRONG UL TABLE THEAD TBODY TR TH TD'.split(' '));
const HEADING = /^H[1-6]$/, SCHEMES = ['http:', 'https:', 'mailto:'];

/** The nodes of a note's HTML. A heading becomes a bold line: the page has headings of its own. */
export function noteNodes(html) {
  return copies(new DOMParser().parseFromString(html, 'text/html').body);
}

function copies(parent) {
  return [...parent.childNodes].flatMap(node => (node.nodeType === Node.TEXT_NODE ? [node.data] : node.nodeType === Node.ELEMENT_NODE ? [copy(node)] : []));
}

function copy(node) {
  if (HEADING.test(node.tagName)) return h('p', {class: 'heading'}, copies(node));
  if (!KEPT.has(node.tagName)) return node.textContent;
  return h(node.tagName.toLowerCase(), node.tagName === 'A' ? leads(node.getAttribute('href')) : {}, copies(node));
}

/** A link of a note opens beside the page, and learns nothing of it. */
function leads(href) {
  try {
    return SCHEMES.includes(new URL(href).protocol) ? {href, target: '_blank', rel: 'noopener noreferrer'} : {};
  } catch {
    return {}; // an address within the lab would look like the lab's own
  }
}
