// What a person does to records of the library, told in a sentence and undone where that can be.
import {h} from './dom.js';
import {api} from './api.js';
import {whereExported} from './export.js';
import {confirmed} from './toast.js';
import {size} from './train_words.js';
import {add} from './tray.js';
import {plural, sentence, short} from './words.js';

const UNDONE = {trash: 'restore', restore: 'trash'};
const TOLD = {trash: 'in the trash', restore: 'back in the library', star: 'starred', unstar: 'without a star', lock: 'locked', unlock: 'unlocked', tag: 'tagged', untag: 'without that tag', erase: 'deleted'};

/** `page` has toast, leave(records), reload(), update(record, told), looked(): see library.js. */
export function makeActs({toast, leave, reload, update, looked}) {
  /** Ask for one thing; what went wrong is told where the eye is. Returns the answer, or null. */
  async function ask(path, body, method) {
    try {
      return await api(path, body, method);
    } catch (error) {
      toast.tell(error.message);
      return null;
    }
  }

  const path = record => `records/${encodeURIComponent(record.id)}`;
  const named = record => h('bdi', {}, quoted(record)); // a prompt may turn the direction of what is written after it

  async function move(record, what) {
    if (!await ask(`${path(record)}/${what}`, {})) return;
    leave([record]);
    toast.tell([named(record), ` is ${TOLD[what]}.`], async () => { if (await ask(`${path(record)}/${UNDONE[what]}`, {})) reload(); });
    looked();
  }

  /** Resolves to whether the lab did it, to those that could be. */
  async function several(deed, records, tags) {
    const told = await ask('records', {ids: records.map(record => record.id), do: deed, ...(tags ? {tags} : {})});
    if (!told) return false;
    const why = told.refused.length ? ` ${told.done.length ? `${plural(told.refused.length, 'other')} ${told.refused.length > 1 ? 'are' : 'is'} not` : 'None is'}: ${told.refused[0].why}.` : '';
    const words = told.done.length ? `${plural(told.done.length, 'record')} ${told.done.length > 1 ? 'are' : 'is'} ${TOLD[deed]}.` : '';
    const undo = UNDONE[deed] && told.done.length ? async () => { if (await ask('records', {ids: told.done, do: UNDONE[deed]})) reload(); } : null;
    toast.tell(`${words}${why}`.trim(), undo);
    if (UNDONE[deed] || deed === 'erase') leave(records.filter(record => told.done.includes(record.id)));
    else reload();
    looked();
    return true;
  }

  return {
    tell: text => toast.tell(text),
    /** Resolves to what was wrong, in words; to nothing once it is changed. */
    async change(record, values) {
      try {
        update(record, await api(path(record), values));
        if ('tags' in values) reload(); // what there is to narrow to
        return '';
      } catch (error) {
        return sentence(Object.values(error.problems || {})[0] || error.message);
      }
    },
    trash: record => move(record, 'trash'),
    restore: record => move(record, 'restore'),
    async erase(record) {
      const frees = api(`${path(record)}/size`).then(told => `It frees up to ${size(told.bytes)}.`).catch(() => '');
      const sure = await confirmed(`Delete ${quoted(record)} for good?`, 'Its pictures and numbers are removed from this machine. This cannot be undone.', 'Delete for good', frees);
      const told = sure && await ask(path(record), undefined, 'DELETE');
      if (!told) return;
      leave([record]);
      toast.tell([named(record), ' is deleted.']);
    },
    several,
    async eraseSeveral(records) {
      const text = 'Their pictures and numbers are removed from this machine. This cannot be undone.';
      if (await confirmed(`Delete ${plural(records.length, 'record')} for good?`, text, 'Delete for good', Promise.resolve(''))) several('erase', records);
    },
    /** Delete for good what lies in the trash: `told` is what the lab said of it. */
    async empty(told) {
      const free = told.count - told.locked, frees = Promise.resolve(`It frees up to ${size(told.bytes)}.`);
      const text = `${plural(free, 'record')} ${free > 1 ? 'are' : 'is'} removed with pictures and numbers${told.locked ? '; what is locked stays' : ''}. This cannot be undone.`;
      if (!await confirmed('Empty the trash?', text, 'Delete for good', frees)) return;
      const done = await ask('trash/purge', {count: told.count});
      if (done) toast.tell(`${plural(done.done.length, 'record')} ${done.done.length > 1 ? 'are' : 'is'} deleted.`);
      reload();
    },
    compare(records) {
      const left = add(records.map(record => record.id));
      if (left) toast.tell(`Six are compared at most: ${plural(left, 'record')} left out.`);
    },
    exported: records => { location.href = whereExported(records.map(one => one.id)); },
  };
}

function quoted(record) {
  return `\u201c${short(record.name || record.prompt, 60)}\u201d`;
}
