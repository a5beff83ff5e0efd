// What is said of a picture, and changing it. What is typed stays until it is saved or given up, and nobody's change is lost.
import { html, useEffect, useState } from '../vendor/htm-preact.js';
import { call } from '../api.js';
import { t } from '../i18n.js';
import { notify } from '../state.js';
import { CodeButton, Dialog, Field, Icon, Trouble } from './dialog.js';
import { Tags } from './tags.js';

/** Bytes of UTF-8 that a brief may have. */
const MAX_BRIEF = 256;

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

const saidOf = (picture) => ({ brief: picture.brief ?? '', tags: picture.tags ?? [], label: shown(picture.label), desc: shown(picture.desc) });
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const between = (one, other) => Object.keys(one).filter((name) => !same(one[name], other[name]));
const bodyOf = (said, names) => Object.fromEntries(names.map((name) => [name, name === 'label' || name === 'desc' ? typed(said[name]) : said[name]]));

/** What was typed of pictures and is not saved, by their paths: {revision, before, said}. It outlives the dialog. */
const drafts = new Map();
addEventListener('beforeunload', (event) => drafts.size && event.preventDefault());

export const isTyped = ({ self }) => drafts.has(self);
export const forget = ({ self }) => drafts.delete(self);

function keep({ self, revision }, before, said) {
  if (same(before, said)) drafts.delete(self);
  else drafts.set(self, { revision, before, said });
}

/** What was typed, and what somebody else has saved meanwhile: one of them stays. */
function Conflict({ names, mine, theirs, onMine, onTheirs }) {
  const text = (value) => (Array.isArray(value) ? value.join(', ') : value) || '—';
  const label = (name) => t(name === 'tags' ? 'tags' : name);
  return html`<div class="trouble conflict" role="alert"><${Icon} name="alert" /><div><strong>${t('problem.revision_mismatch')}</strong>
    ${names.map((name) => html`<dl><div><dt>${label(name)} · ${t('conflict.mine')}</dt><dd>${text(mine[name])}</dd></div>
      <div><dt>${label(name)} · ${t('conflict.theirs')}</dt><dd>${text(theirs[name])}</dd></div></dl>`)}
    <div class="row"><button type="button" class="main" onClick=${onMine}>${t('conflict.keep')}</button>
      <button type="button" onClick=${onTheirs}>${t('conflict.take')}</button></div></div></div>`;
}

const LINK = /^https?:\/\/\S+$/;

/** The fields of a picture. `handle.save()` saves them; whether it has. `onPicture`: the picture as it is now. */
export function Edit({ picture, library, onPicture, handle }) {
  const draft = drafts.get(picture.self);
  const [before] = useState(draft?.before ?? saidOf(picture));
  const [said, setSaid] = useState(draft?.said ?? before);
  const [theirs, meet] = useState(draft && draft.revision !== picture.revision ? picture : null);
  const [problem, setProblem] = useState(null);
  const changed = between(before, said);
  const left = MAX_BRIEF - new TextEncoder().encode(said.brief).length;
  const say = (next) => [setSaid(next), keep({ ...picture, revision: draft?.revision ?? picture.revision }, before, next)];
  const set = (name) => (event) => say({ ...said, [name]: event.target.value });
  const against = theirs ? changed.filter((name) => !same(saidOf(theirs)[name], before[name]) && !same(saidOf(theirs)[name], said[name])) : [];
  useEffect(() => {
    if (theirs && !against.length) save(theirs.revision); // others have changed other fields
  }, [theirs]);
  async function save(revision) {
    setProblem(null);
    try {
      const next = await call('PATCH', picture.self, bodyOf(said, changed), { 'If-Match': `"${revision}"` });
      forget(picture);
      meet(null);
      onPicture(next);
      notify(t('saved'));
      return true;
    } catch (refused) {
      if (refused.code === 'revision_mismatch') await call('GET', picture.self).then(meet, setProblem);
      else setProblem(refused);
      return false;
    }
  }
  const take = () => {
    const now = saidOf(theirs);
    keep(theirs, now, { ...now, ...Object.fromEntries(changed.filter((name) => !against.includes(name)).map((name) => [name, said[name]])) });
    onPicture(theirs);
  };
  handle.save = () => (left < 0 ? Promise.resolve(false) : save(picture.revision));
  const submit = (event) => [event.preventDefault(), changed.length && left >= 0 && save(picture.revision)];
  const keys = (event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && event.currentTarget.requestSubmit();
  const of = (name) => (problem?.field === `/${name}` ? problem.detail : '');
  return html`<form class="edit" onSubmit=${submit} onKeyDown=${keys}>
    <${Field} label=${t('brief')} hint=${left < 0 ? '' : t('brief.left', { n: left })} error=${left < 0 ? t('brief.over', { n: -left }) : of('brief')}><textarea rows="2" value=${said.brief} onInput=${set('brief')}></textarea><//>
    ${LINK.test(picture.brief ?? '') && html`<a href=${picture.brief} target="_blank" rel="noopener noreferrer">${t('brief.link')}</a>`}
    <${Tags} tags=${said.tags} onChange=${(tags) => say({ ...said, tags })} label=${t('tags')} library=${library} />
    <${Field} label=${t('label')} error=${of('label')}><input value=${said.label} onInput=${set('label')} /><//>
    <${Field} label=${t('desc')} error=${of('desc')}><textarea rows="2" value=${said.desc} onInput=${set('desc')}></textarea><//>
    ${problem && html`<${Trouble} problem=${problem} />`}
    ${against.length > 0 && html`<${Conflict} names=${against} mine=${said} theirs=${saidOf(theirs)} onMine=${() => save(theirs.revision)} onTheirs=${take} />`}
    <div class="row"><button class="main" disabled=${!changed.length || left < 0 || against.length > 0}>${t('save')}</button>
      <${CodeButton} action=${{ method: 'PATCH', path: picture.self, json: changed.length ? bodyOf(said, changed) : { brief: said.brief }, vendor: { op: 'update', library, pictures: [picture], said } }} /></div>
  </form>`;
}

/** Ask what becomes of what was typed, before `act` leaves the picture. */
export function Unsaved({ picture, handle, act, onClose }) {
  const discard = () => [onClose(), forget(picture), act()];
  const save = async () => [onClose(), (await handle.save()) && act()];
  return html`<${Dialog} title=${t('unsaved')} onClose=${onClose} kind="small" actions=${html`
    <button type="button" class="danger" onClick=${discard}>${t('unsaved.discard')}</button><span class="push"></span>
    <button type="button" onClick=${onClose}>${t('unsaved.back')}</button>
    <button type="button" class="main" onClick=${save}>${t('save')}</button>`}><p>${t('unsaved.text')}</p><//>`;
}
