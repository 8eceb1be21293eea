// Records from another lab: a button that asks for a zip, or one dropped on the page; it is sent, and told what came of it.
import {h, address, fill} from './dom.js';
import {onDrop} from './drop.js';
import {plural, sentence} from './words.js';
import {whereShown} from './states.js';

/** Returns {node}; `done(told)` hears {taken, known, notes} once records were taken or found to be here. */
export function makeImport({done = () => {}} = {}) {
  const file = h('input', {type: 'file', accept: '.zip,application/zip', hidden: true, onchange: () => file.files.length && send(file.files[0])});
  const button = h('button', {type: 'button', class: 'plain writes', title: 'Take in records that another lab has exported as a zip. Or drop one anywhere on this page', onclick: () => file.click()}, 'Import\u2026');
  const bar = h('progress', {hidden: true, 'aria-label': 'Import'}), told = h('span', {class: 'told', role: 'status'});
  const node = h('div', {class: 'lab-import writes'}, button, file, bar, told);

  onDrop('Drop a zip of records to import them', ([first, ...more]) => {
    if (more.length) refuse('One zip at a time: drop a single one.');
    else if (first.type.startsWith('image/')) refuse('This is a picture: page Explore reads its settings. Expected a zip that a lab has exported.');
    else if (!button.disabled) send(first);
  });

  function refuse(why) {
    node.classList.add('bad');
    fill(told, h('bdi', {}, sentence(why)));
  }

  async function send(chosen) {
    button.disabled = true;
    bar.hidden = false;
    node.classList.remove('bad');
    try {
      const answer = await post(chosen, share => {
        if (share === null) bar.removeAttribute('value');
        else bar.value = share;
        fill(told, share === null ? `Checking and unpacking ${size(chosen.size)}\u2026` : `Sending ${size(share * chosen.size)} of ${size(chosen.size)}`);
      });
      fill(told, outcome(answer));
      done(answer);
    } catch (error) {
      refuse(error.message);
    }
    file.value = '';
    button.disabled = false;
    bar.hidden = true;
  }

  return {node};
}

/** POST a file; `heard(share)` hears what part of it is sent, and null while the lab works on it. */
function post(chosen, heard) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much of a body is sent
    request.open('POST', address('lab/api/import'));
    request.responseType = 'json';
    request.setRequestHeader('Content-Type', 'application/zip');
    request.upload.onprogress = event => event.lengthComputable && heard(event.loaded / event.total);
    request.upload.onload = () => heard(null);
    request.onerror = () => reject(new Error('The lab does not answer. Is it still running?'));
    request.onload = () => {
      const answer = request.response;
      if (request.status === 200 && answer) resolve(answer);
      else reject(new Error(answer && typeof answer.detail === 'string' ? answer.detail : `The lab refused this (${request.status}).`));
    };
    heard(0);
    request.send(chosen);
  });
}

/** "3 records imported, 1 was here already (in the trash)." with the way to the first. */
function outcome({taken, known, notes}) {
  const binned = known.filter(one => one.deleted).length, first = taken[0] && whereShown(taken[0].kind, taken[0].id);
  const here = known.length && `${plural(known.length, 'record')} ${known.length === 1 ? 'was' : 'were'} here already${binned ? ` (${binned} in the trash)` : ''}`;
  const said = [taken.length ? `${plural(taken.length, 'record')} imported` : 'Nothing new', here].filter(Boolean).join('; ');
  return [`${said}. `, first ? h('a', {href: first}, taken.length > 1 ? 'Open the first' : 'Open it') : null,
    notes.length ? h('details', {}, h('summary', {}, plural(notes.length, 'note')), h('ul', {}, notes.map(note => h('li', {}, h('bdi', {}, sentence(note)))))) : null];
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
