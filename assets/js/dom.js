// Small helpers over the DOM. Text only ever becomes a text node: nothing here takes markup.

/** Make an element. `on...` are listeners, `data` a dataset, true/false/null set or leave out an attribute. */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  apply(node, props || {});
  node.append(...flat(children));
  return node;
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  apply(node, props || {});
  node.append(...flat(children));
  return node;
}

function flat(children) {
  return children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false);
}

function apply(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(node.dataset, value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
}

/** Make `parent` hold one child an item, in order; a child is made anew only when its item's signature has changed. */
export function keyed(parent, items, key, make) {
  const old = new Map([...parent.children].map(child => [child.labKey, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    const signature = JSON.stringify(item);
    let child = old.get(name);
    old.delete(name);
    if (!child || child.labSignature !== signature) {
      const made = make(item);
      made.labKey = name;
      made.labSignature = signature;
      if (child) {
        const focused = child.contains(document.activeElement);
        if (place === child) place = child.nextElementSibling;
        child.remove();
        parent.insertBefore(made, place);
        if (focused) made.focus({preventScroll: true});
      } else parent.insertBefore(made, place);
    } else if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const gone of old.values()) gone.remove();
}

/** Replace all children. */
export function fill(parent, ...children) {
  parent.replaceChildren(...flat(children));
}

/** An address below the page's own, whatever path the lab is served under. */
export function address(path) {
  return new URL(path, document.baseURI).href;
}

/** A stored picture. `alt` is plain text. */
export function picture(name, alt, props) {
  return h('img', {src: address(`artifacts/${encodeURIComponent(name)}`), alt, draggable: 'false', decoding: 'async', ...props});
}
