// A picture in full: look at it, change what is said of it, delete, restore, find similar. And: is this one already in?
import { html, useState } from '../vendor/htm-preact.js';
import { call, fileOf, given, shownAt, sketched } from '../api.js';
import { date, score, t } from '../i18n.js';
import { notify, useLoad } from '../state.js';
import { remove, restore } from './bar.js';
import { CodeButton, Dialog, Field, Icon, Trouble } from './dialog.js';
import { nameOf } from './grid.js';
import { Frame, quadOf } from './overlay.js';
import { Tags } from './tags.js';

/** What a field of any JSON shows: text as it is, anything else as JSON. */
const shown = (value) => (value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value));

/** What was typed into such a field: JSON if it is an object or a list, or else text. */
function typed(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const LINK = /^https?:\/\/\S+$/;

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

function Edit({ picture, library, onSaved }) {
  const before = { brief: picture.brief ?? '', tags: picture.tags ?? [], label: shown(picture.label), desc: shown(picture.desc) };
  const [said, say] = useState(before);
  const [problem, setProblem] = useState(null);
  const changed = Object.keys(before).filter((name) => JSON.stringify(said[name]) !== JSON.stringify(before[name]));
  const body = Object.fromEntries(changed.map((name) => [name, name === 'label' || name === 'desc' ? typed(said[name]) : said[name]]));
  const left = 256 - new TextEncoder().encode(said.brief).length;
  const set = (name) => (event) => say({ ...said, [name]: event.target.value });
  const save = async (event) => {
    event.preventDefault();
    setProblem(null);
    try {
      onSaved(await call('PATCH', picture.self, body, { 'If-Match': `"${picture.revision}"` }));
      notify(t('saved'));
    } catch (refused) {
      setProblem(refused);
    }
  };
  const again = async () => onSaved(await call('GET', picture.self));
  const of = (name) => (problem?.field === `/${name}` ? problem.detail : '');
  return html`<form class="edit" onSubmit=${save}>
    <${Field} label=${t('brief')} hint=${t('brief.left', { n: left })} error=${of('brief')}><textarea rows="2" value=${said.brief} onInput=${set('brief')}></textarea><//>
    ${LINK.test(picture.brief ?? '') && html`<a href=${picture.brief} target="_blank" rel="noopener noreferrer">${t('brief.link')}</a>`}
    <${Tags} tags=${said.tags} onChange=${(tags) => say({ ...said, tags })} label=${t('tags')} />
    <${Field} label=${t('label')} error=${of('label')}><input value=${said.label} onInput=${set('label')} /><//>
    <${Field} label=${t('desc')} error=${of('desc')}><textarea rows="2" value=${said.desc} onInput=${set('desc')}></textarea><//>
    ${problem && html`<${Trouble} problem=${problem} onRetry=${problem.code === 'revision_mismatch' ? again : undefined} />`}
    <div class="row"><button class="main" disabled=${!changed.length || left < 0}>${t('save')}</button>
      <${CodeButton} action=${{ method: 'PATCH', path: picture.self, json: changed.length ? body : { brief: said.brief }, vendor: { op: 'update', library, pictures: [picture], said } }} /></div>
  </form>`;
}

export function Preview({ picture: first, library, onClose, onChanged, onSearch, onStep }) {
  const [picture, setPicture] = useState(first);
  const [full, setFull] = useState(false);
  const gone = picture.state === 'deleted';
  const changed = (next) => {
    setPicture(next);
    onChanged();
  };
  const erase = () => [onClose(), remove([picture], onChanged)];
  const back = async () => {
    onClose();
    notify((await restore([picture])) ? t('restore.failed', { n: 1 }) : t('restored', { n: 1 }));
    onChanged();
  };
  const step = (by) => () => onStep && onStep(by);
  const focus = () => document.querySelector('dialog .edit textarea')?.focus();
  const keys = { ArrowLeft: step(-1), ArrowRight: step(1), '[': step(-1), ']': step(1), e: focus, ' ': onClose, ...(gone ? {} : { Delete: erase }) };
  return html`<${Dialog} title=${nameOf(picture)} onClose=${onClose} keys=${keys} kind="wide" actions=${html`
      ${onStep && html`<button type="button" class="icon" onClick=${step(-1)} aria-label=${t('before')} title=${t('before')}><${Icon} name="left" /></button>
      <button type="button" class="icon" onClick=${step(1)} aria-label=${t('next')} title=${t('next')}><${Icon} name="right" /></button>`}
      <button type="button" aria-pressed=${full} onClick=${() => setFull(!full)}>${t('full_size')}</button>
      <a class="button" href=${fileOf(picture, 'original')} target="_blank" rel="noopener noreferrer">${t('original')}</a>
      <span class="push"></span>
      ${gone ? html`<${CodeButton} action=${{ method: 'POST', path: `${picture.self}/restore` }} /><button type="button" class="main" onClick=${back}><${Icon} name="undo" /> ${t('restore')}</button>`
      : html`<${CodeButton} action=${{ method: 'DELETE', path: picture.self, vendor: { op: 'delete', library, pictures: [picture] } }} />
        <button type="button" class="danger" onClick=${erase}><${Icon} name="trash" /> ${t('delete')}</button>
        <button type="button" onClick=${onSearch}><${Icon} name="search" /> ${t('similar')}</button>`}`}>
    <div class="split">
      <div class=${full ? 'stage full' : 'stage'} tabindex=${full ? 0 : -1}><img src=${fileOf(picture, 'view')} alt=${nameOf(picture)} /></div>
      <div>${gone ? html`<p>${picture.brief}</p>` : html`<${Edit} key=${picture.revision} picture=${picture} library=${library} onSaved=${changed} />`}<${Facts} picture=${picture} /></div>
    </div>
  <//>`;
}

/** Whether the library holds this very picture; if not, which is the nearest, and why. */
export function Held({ library, file, onClose, onOpen, onSearch, onAdd }) {
  const path = `/libraries/${library.name}/check`;
  const { value, error, reload } = useLoad(async () => call('POST', path, { image: await given({ file }) }), [file]);
  const near = value?.nearest;
  const found = value?.picture ?? near;
  const about = value?.held ? { self: value.picture.self, image: value.picture.image } : near;
  return html`<${Dialog} title=${t('check.title')} onClose=${onClose} actions=${html`
      <${CodeButton} action=${{ method: 'POST', path, json: { image: sketched({ file }) } }} /><span class="push"></span>
      ${value && !value.held && html`<button type="button" onClick=${onSearch}><${Icon} name="search" /> ${t('search.all')}</button>
        <button type="button" class="main" onClick=${onAdd}><${Icon} name="upload" /> ${t('check.add')}</button>`}
      ${found && html`<button type="button" onClick=${() => onOpen(found)}>${t('check.open')}</button>`}`}>
    ${error ? html`<${Trouble} problem=${error} onRetry=${reload} />` : html`
    <p class="verdict" role="status">${!value ? t('check.looking') : value.held ? t('check.yes', { library: library.name })
      : near ? t('check.no', { library: library.name, score: score(near.score), why: t(`why.${near.why}`) }) : t('check.none', { library: library.name })}</p>
    <div class="pair"><figure><${Frame} src=${shownAt({ file })} alt=${file.name} /><figcaption>${t('query')}</figcaption></figure>
      ${about ? html`<figure><${Frame} src=${shownAt(about)} alt=${nameOf(found)} quad=${near?.proof && quadOf(near.proof.transform)} proof=${near?.proof} />
        <figcaption>${nameOf(found)}</figcaption></figure>` : !value && html`<div class="skeleton"></div>`}</div>`}
  <//>`;
}
