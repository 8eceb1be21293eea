// The line over every page of a demonstration. Its sheet (demo.css) hides what cannot be done there.
import {h} from './dom.js';

const WORDS = 'This is a demonstration: recorded sessions, nothing runs.';
const MORE = 'Look at everything; to search yourself, start the lab on your own machine with make run.';

document.body.prepend(h('p', {class: 'demo-line', role: 'note'}, h('b', {}, WORDS), ' ', h('span', {}, MORE)));
