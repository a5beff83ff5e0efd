// What can be done with the pictures that are selected.
import { html, useState } from '../vendor/htm-preact.js';
import { bulk, call } from '../api.js';
import { t } from '../i18n.js';
import { compared, each, go, gone, notify } from '../state.js';
import { CodeButton, Confirm, Dialog, Icon } from './dialog.js';
import { Tags } from './tags.js';

/** Pictures that are deleted at once without a question: they can be restored. */
export const WITHOUT_QUESTION = 20;

/** Restore pictures; how many could not be. */
export async function restore(pictures) {
  const given = await each(pictures, (one) => call('POST', `${one.self}/restore`));
  gone.set((all) => new Set([...all].filter((path) => !pictures.some((one) => one.self === path))));
  return given.filter((one) => one.status === 'rejected').length;
}

/** Delete pictures, and offer for ten seconds to undo it. */
export async function remove(pictures, onDone) {
  const given = await each(pictures, (one) => call('DELETE', one.self, undefined, one.revision ? { 'If-Match': `"${one.revision}"` } : {}));
  const done = pictures.filter((_, i) => given[i].status === 'fulfilled');
  gone.set((all) => new Set([...all, ...done.map((one) => one.self)]));
  const failed = given.find((one) => one.status === 'rejected');
  if (failed) notify(t('delete.failed', { n: pictures.length - done.length, why: failed.reason.message }), { seconds: 10 });
  if (done.length) {
    const undo = async () => {
      const left = await restore(done);
      notify(left ? t('restore.failed', { n: left }) : t('restored', { n: done.length }));
      onDone();
    };
    notify(t('deleted', { n: done.length }), { label: t('undo'), action: undo, seconds: 10 });
  }
  onDone();
}

/** Give the browser a file to save. */
export function save(name, text, type = 'application/x-ndjson') {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function TagAll({ library, pictures, onClose, onDone }) {
  const [tags, setTags] = useState([]);
  const rows = pictures.map((one) => ({ op: 'update', id: one.id, tags: [...new Set([...(one.tags ?? []), ...tags])] }));
  const apply = async () => {
    onClose();
    const refused = (await bulk(library.name, rows)).filter((row) => row.status >= 400);
    notify(refused.length ? t('tag.failed', { n: refused.length, why: refused[0].detail ?? refused[0].code }) : t('tagged', { n: rows.length }));
    onDone();
  };
  return html`<${Dialog} title=${t('tag.all', { n: pictures.length })} onClose=${onClose} kind="small" actions=${html`
    <${CodeButton} action=${{ method: 'POST', path: `/libraries/${library.name}/bulk`, rows }} /><span class="push"></span>
    <button type="button" class="main" disabled=${!tags.length} onClick=${apply}>${t('save')}</button>`}>
    <${Tags} tags=${tags} onChange=${setTags} label=${t('tags')} library=${library} /><//>`;
}

/** Lay the second picture on the first. */
export function compare([a, b]) {
  compared.set({ a, b });
  go('/console/compare');
}

export function Bar({ library, pictures, deleted, onClear, onDone }) {
  const [open, setOpen] = useState('');
  const done = () => {
    onClear();
    onDone();
  };
  const act = () => (pictures.length > WITHOUT_QUESTION ? setOpen('delete') : remove(pictures, done));
  const back = async () => {
    const left = await restore(pictures);
    notify(left ? t('restore.failed', { n: left }) : t('restored', { n: pictures.length }));
    done();
  };
  const lines = () => save(`${library.name}.ndjson`, pictures.map((one) => `${JSON.stringify(one)}\n`).join(''));
  // Restoring is a call a picture: code shows the first.
  const code = deleted ? { method: 'POST', path: `${pictures[0].self}/restore` }
    : { method: 'POST', path: `/libraries/${library.name}/bulk`, rows: pictures.map(({ id }) => ({ op: 'delete', id })), vendor: { op: 'delete', library, pictures } };
  return html`<div class="bar" role="toolbar" aria-label=${t('selected', { n: pictures.length })}>
    <strong>${t('selected', { n: pictures.length })}</strong><span class="push"></span>
    <${CodeButton} action=${code} />
    ${deleted ? html`<button type="button" onClick=${back}><${Icon} name="undo" /> ${t('restore')}</button>`
    : html`${pictures.length === 2 && html`<button type="button" onClick=${() => compare(pictures)}><${Icon} name="compare" /> ${t('compare')}</button>`}
      <button type="button" onClick=${() => setOpen('tag')}>${t('tag')}</button>
      <button type="button" class="danger" onClick=${act}><${Icon} name="trash" /> ${t('delete')}</button>`}
    <button type="button" onClick=${lines}><${Icon} name="download" /> ${t('export')}</button>
    <button type="button" class="quiet icon" onClick=${onClear} aria-label=${t('select.none')} title=${t('select.none')}><${Icon} name="x" /></button>
    ${open === 'tag' && html`<${TagAll} library=${library} pictures=${pictures} onClose=${() => setOpen('')} onDone=${done} />`}
    ${open === 'delete' && html`<${Confirm} title=${t('delete.title', { n: pictures.length })} text=${t('delete.text')} label=${t('delete')}
      onYes=${() => remove(pictures, done)} onClose=${() => setOpen('')} />`}
  </div>`;
}
