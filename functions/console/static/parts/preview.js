// A picture in full: look at it, change what is said of it, delete, restore, find similar. And: is this one already in?
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js';
import { call, fileOf, given, shownAt, sketched } from '../api.js';
import { date, score, t } from '../i18n.js';
import { notify, useLoad } from '../state.js';
import { remove, restore } from './bar.js';
import { CodeButton, Dialog, Icon, Trouble } from './dialog.js';
import { Edit, Unsaved, isTyped } from './edit.js';
import { nameOf } from './grid.js';
import { Frame, quadOf } from './overlay.js';
import { Smaller } from './scale.js';

function Facts({ picture }) {
  return html`<dl class="facts">
    <div><dt>${t('id')}</dt><dd><code>${picture.id}</code></dd></div>
    <div><dt>${t('added')}</dt><dd>${date(picture.added)}</dd></div>
    ${picture.deleted && html`<div><dt>${t('deleted.at')}</dt><dd>${date(picture.deleted)}</dd></div>`}
    <div><dt>cont_sign</dt><dd><code>${picture.cont_sign}</code></dd></div>
    <div><dt>${t('digest')}</dt><dd><code>${picture.digest}</code></dd></div>
    <div><dt>${t('revision')}</dt><dd><code>${picture.revision}</code></dd></div>
  </dl>`;
}

/** The picture itself: all of it, never larger than it is; or in full size, and then the original. */
function Stage({ picture, full }) {
  const [without, setWithout] = useState(false);
  const size = full && !without ? 'original' : 'view';
  return html`<div class=${full ? 'stage full' : 'stage'} tabindex=${full ? 0 : -1}>
    <img key=${size} src=${fileOf(picture, size)} alt=${nameOf(picture)} onError=${() => full && setWithout(true)} /></div>
    ${full && without && html`<p class="faint" role="status">${t('full_size.not')}</p>`}`;
}

export function Preview({ picture: first, library, edit, onClose, onChanged, onSearch, onStep }) {
  const [picture, setPicture] = useState(first);
  const [turn, setTurn] = useState(0);
  const [full, setFull] = useState(false);
  const [leaving, setLeaving] = useState(null);
  const handle = useRef({}).current;
  const gone = picture.state === 'deleted';
  const changed = (next) => [setPicture(next), setTurn((n) => n + 1), onChanged()];
  /** Do something that leaves the picture; ask first, if something is typed. */
  const leave = (act) => () => {
    document.activeElement?.blur(); // a tag that is typed is one then
    if (isTyped(picture)) setLeaving({ act });
    else act();
  };
  const close = leave(onClose);
  const erase = leave(() => [onClose(), remove([picture], onChanged)]);
  const back = async () => {
    onClose();
    notify((await restore([picture])) ? t('restore.failed', { n: 1 }) : t('restored', { n: 1 }));
    onChanged();
  };
  const step = (by) => leave(() => onStep && onStep(by));
  const focus = () => document.querySelector('dialog .edit textarea')?.focus();
  useEffect(() => {
    if (edit) focus();
  }, []);
  const keys = { ArrowLeft: step(-1), ArrowRight: step(1), '[': step(-1), ']': step(1), e: focus, ' ': close, ...(gone ? {} : { Delete: erase }) };
  return html`<${Dialog} title=${nameOf(picture)} onClose=${close} keys=${keys} kind="wide" actions=${html`
      ${onStep && html`<button type="button" class="icon" onClick=${step(-1)} aria-label=${t('before')} title=${t('before')}><${Icon} name="left" /></button>
      <button type="button" class="icon" onClick=${step(1)} aria-label=${t('next')} title=${t('next')}><${Icon} name="right" /></button>`}
      <button type="button" aria-pressed=${full} title=${t('full_size.about')} onClick=${() => setFull(!full)}>${t('full_size')}</button>
      <a class="button" href=${fileOf(picture, 'original')} target="_blank" rel="noopener noreferrer">${t('original')}</a>
      <span class="push"></span>
      ${gone ? html`<${CodeButton} action=${{ method: 'POST', path: `${picture.self}/restore` }} /><button type="button" class="main" onClick=${back}><${Icon} name="undo" /> ${t('restore')}</button>`
      : html`<${CodeButton} action=${{ method: 'DELETE', path: picture.self, vendor: { op: 'delete', library, pictures: [picture] } }} />
        <button type="button" class="danger" onClick=${erase}><${Icon} name="trash" /> ${t('delete')}</button>
        <button type="button" onClick=${leave(() => onSearch(picture))}><${Icon} name="search" /> ${t('similar')}</button>`}`}>
    <div class="split">
      <div><${Stage} picture=${picture} full=${full} /></div>
      <div>${gone ? html`<p>${picture.brief}</p>` : html`<${Edit} key=${turn} picture=${picture} library=${library} onPicture=${changed} handle=${handle} />`}<${Facts} picture=${picture} /></div>
    </div>
    ${leaving && html`<${Unsaved} picture=${picture} handle=${handle} act=${leaving.act} onClose=${() => setLeaving(null)} />`}
  <//>`;
}

/** Whether the library holds this very picture, or a copy of it; if not, which is the nearest, and why. */
export function Held({ library, file: first, onClose, onOpen, onSearch, onAdd }) {
  const path = `/libraries/${library.name}/check`;
  const [file, setFile] = useState(first);
  const { value, error, reload } = useLoad(async () => call('POST', path, { image: await given({ file }) }), [file]);
  const near = value?.nearest;
  const found = value?.picture ?? near;
  const about = value?.held ? { self: value.picture.self, image: value.picture.image } : near;
  const copy = near?.why === 'proved';
  const differs = near?.proof?.disagreeing?.length > 0;
  const said = { library: library.name, name: found && nameOf(found), score: near && score(near.score), why: near && t(`why.${near.why}`) };
  const verdict = !value ? 'check.looking' : value.held ? 'check.yes' : copy ? (differs ? 'check.copy.differs' : 'check.copy') : near ? 'check.no' : 'check.none';
  return html`<${Dialog} title=${t('check.title')} onClose=${onClose} actions=${html`
      <${CodeButton} action=${{ method: 'POST', path, json: { image: sketched({ file }) } }} /><span class="push"></span>
      ${value && !value.held && html`<button type="button" onClick=${() => onSearch(file)}><${Icon} name="search" /> ${t('search.all')}</button>
        <button type="button" class=${copy ? '' : 'main'} onClick=${() => onAdd(file)}><${Icon} name="upload" /> ${t(copy ? 'check.add.anyway' : 'check.add')}</button>`}
      ${found && html`<button type="button" class=${value.held || copy ? 'main' : ''} onClick=${() => onOpen(found)}>${t('check.open')}</button>`}`}>
    ${error ? html`<${Trouble} problem=${error} onRetry=${reload}><${Smaller} file=${file} problem=${error} onFile=${setFile} /><//>` : html`
    <p class="verdict" role="status">${t(verdict, said)}</p>
    <div class="pair"><figure><${Frame} src=${shownAt({ file })} alt=${file.name} /><figcaption>${t('query')}</figcaption></figure>
      ${about ? html`<figure><${Frame} src=${shownAt(about)} alt=${nameOf(found)} quad=${near?.proof && quadOf(near.proof.transform)} proof=${near?.proof} />
        <figcaption>${nameOf(found)}</figcaption></figure>` : !value && html`<div class="skeleton"></div>`}</div>`}
  <//>`;
}
