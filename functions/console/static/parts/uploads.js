// The queue of uploads, and the drawer that shows it. Files are sent whole, as they are: a picture's identity is its pixels.
import { html, useEffect, useState } from '../vendor/htm-preact.js';
import { BASE, MAX_SENT, call, lost, sendAhead, sendForm, signedInAgain } from '../api.js';
import { t } from '../i18n.js';
import { drawer, online, store, useStore } from '../state.js';
import { save } from './bar.js';
import { nameOf } from './grid.js';
import { Icon, isTooLarge, reasonOf, titleOf } from './dialog.js';

const AT_ONCE = 3;

/** Times that a file is sent again by itself, after the service has asked to wait. */
const MAX_WAITS = 5;

/** Times that the connection may be cut amid a file until nobody but the reader sends it again. */
const MAX_CUTS = 3;

/** Lines that the drawer shows; what needs attention comes first. */
const MAX_LINES = 80;

/** {id, file, library, identity, state, percent, problem, picture}; states are those of ORDER. */
export const uploads = store([]);

const ORDER = ['failed', 'refused', 'scaling', 'sending', 'waiting', 'held', 'added'];

const change = (id, said) => uploads.set((all) => all.map((one) => (one.id === id ? { ...one, ...said } : one)));

/** How many uploads are in each state. */
export function totals(all) {
  const count = Object.fromEntries(ORDER.map((state) => [state, 0]));
  for (const one of all) count[one.state] += 1;
  return count;
}

/** An id by which a file that is sent again is the same picture, in libraries whose pictures have ids of their own. */
async function idOf(file) {
  if (!crypto.subtle) return `${file.name.slice(0, 100)}-${file.size}-${file.lastModified}`;
  const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return [...new Uint8Array(hash).slice(0, 12)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Make a call with the file of an upload; its JSON. A file too large for one call is sent ahead of it. */
async function post({ id, file }, path, said) {
  const progress = (loaded, total) => change(id, { percent: Math.floor((100 * loaded) / total) });
  if (file.size > MAX_SENT) return call('POST', path, { ...said, image: await sendAhead(file, progress) });
  const form = new FormData();
  if (said) form.append('picture', JSON.stringify(said));
  form.append('image', file);
  return JSON.parse(await sendForm(BASE + path, form, progress));
}

/** Add a picture, unless its very pixels are in; whether it was added, and the picture. */
async function added(upload) {
  const { file, library, identity, anyway } = upload;
  const path = `/libraries/${library}/pictures`;
  const brief = file.name.slice(0, 80);
  if (identity !== 'own') return post(upload, path, { brief });
  const held = anyway ? {} : await post(upload, `/libraries/${library}/check?nearest=false`);
  if (held.held) return { ...held.picture, created: false };
  return post(upload, path, { brief, id: `${await idOf(file)}${anyway ? `-${Date.now().toString(36)}` : ''}` });
}

/** The name of a file that was added before, as another picture with the same pixels. */
const twinOf = (picture, library) => uploads.get().find((one) => one.state === 'added' && one.library === library && one.picture.digest === picture.digest && one.picture.id !== picture.id)?.file.name;

async function send(upload, waits = 0) {
  change(upload.id, { state: 'sending', percent: 0, problem: null });
  try {
    const picture = await added(upload);
    change(upload.id, { state: picture.created ? 'added' : 'held', picture, twin: picture.created && twinOf(picture, upload.library) });
  } catch (problem) {
    const later = problem.status === 429 || problem.status === 503;
    if (problem.status === 401) await signedInAgain();
    else if (later && waits < MAX_WAITS) await new Promise((resolve) => setTimeout(resolve, 1000 * (problem.retryAfter || 1)));
    else if (problem.status === 0) return cut(upload, problem);
    else {
      const final = problem.status >= 400 && problem.status < 500 && !later;
      return change(upload.id, { state: final ? 'refused' : 'failed', problem });
    }
    return send(upload, waits + 1);
  }
}

/** The connection was cut: the file waits until it is back, a few times. */
function cut({ id, cuts = 1 }, problem) {
  change(id, cuts < MAX_CUTS ? { state: 'waiting', cuts: cuts + 1 } : { state: 'failed', cuts: 1, problem });
  lost();
}

let sending = 0;

async function pump() {
  const next = uploads.get().find((one) => one.state === 'waiting');
  if (!next || sending >= AT_ONCE || !online.get()) return;
  sending += 1;
  const sent = send(next);
  pump();
  await sent;
  sending -= 1;
  pump();
}

const pumpAll = () => {
  for (let i = 0; i < AT_ONCE; i += 1) pump();
};
online.watch(pumpAll);

/** Send files to a library, a few at a time. */
export function enqueue(files, { name, identity }) {
  drawer.set({ View: Drawer });
  const more = files.map((file) => ({ id: Math.random(), file, library: name, identity, state: 'waiting', percent: 0 }));
  uploads.set((all) => [...all, ...more]);
  pumpAll();
}

const retry = (one, said = {}) => {
  change(one.id, { state: 'waiting', ...said });
  pump();
};

/** Files larger than allowed are sent again, smaller. */
const scaleAndRetry = async (some) => {
  const { scaledDown } = await import('./scale.js');
  for (const one of some) {
    change(one.id, { state: 'scaling' });
    await scaledDown(one.file).then((file) => retry(one, { file, scaled: true }), () => change(one.id, { state: 'refused', hopeless: true }));
  }
};

const isScalable = (one) => one.state === 'refused' && !one.scaled && !one.hopeless && isTooLarge(one.problem);

addEventListener('beforeunload', (event) => {
  const { waiting, scaling, sending: busy } = totals(uploads.get());
  if (waiting + scaling + busy) event.preventDefault();
});

function Line({ one }) {
  const { state, percent, problem, picture, identity, twin } = one;
  return html`<li class=${`line ${state}`}><span class="name" title=${one.file.name}>${one.file.name}</span>
    <span class="state">${state === 'sending' ? `${percent} %` : t(`upload.${state}`)}
      ${picture && html` <a href=${`/console/l/${encodeURIComponent(one.library)}?picture=${encodeURIComponent(picture.id)}`}>${t('upload.see')}</a>`}
      ${state === 'held' && identity === 'own' && html` <button type="button" class="link" onClick=${() => retry(one, { anyway: true, picture: null })}>${t('upload.anyway')}</button>`}
      ${isScalable(one) && html` <button type="button" class="link" onClick=${() => scaleAndRetry([one])}>${t('upload.scale')}</button>`}
      ${state === 'failed' && html` <button type="button" class="link" onClick=${() => retry(one)}>${t('retry')}</button>`}</span>
    ${problem && html`<small>${[titleOf(problem), reasonOf(problem), one.hopeless && t('reason.unreadable')].filter(Boolean).join(' · ')}</small>`}
    ${state === 'held' && html`<small>${t('upload.held.as', { name: nameOf(picture) })}</small>`}
    ${one.scaled && state === 'added' && html`<small>${t('upload.scaled')}</small>`}
    ${twin && html`<small>${t('upload.twin', { name: twin })}</small>`}</li>`;
}

function report() {
  const lines = uploads.get().map(({ file, library, state, picture, problem }) =>
    JSON.stringify({ file: file.name, bytes: file.size, library, state, id: picture?.id, code: problem?.code, detail: problem?.detail }));
  save('uploads.ndjson', `${lines.join('\n')}\n`);
}

/** What has come of the uploads; it stays while one goes from page to page. */
export function Drawer() {
  const all = useStore(uploads);
  const connected = useStore(online);
  const [folded, fold] = useState(innerWidth < 560);
  const count = totals(all);
  const open = count.waiting + count.sending + count.scaling;
  const scalable = all.filter(isScalable);
  const title = open ? t(connected ? 'uploads.open' : 'uploads.paused', { n: open }) : count.failed ? t('uploads.failed', { failed: count.failed, n: all.length }) : t('uploads.done', { n: all.length });
  const tenths = all.length ? Math.floor((10 * (all.length - open)) / all.length) : 0;
  const [said, say] = useState('');
  useEffect(() => say(t('uploads.progress', { done: tenths * 10, n: all.length })), [tenths, all.length]);
  if (!all.length) return null;
  const shown = [...all].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)).slice(0, MAX_LINES);
  const close = () => uploads.set((before) => before.filter((one) => ['waiting', 'sending', 'scaling'].includes(one.state)));
  return html`<aside class="drawer" aria-label=${t('uploads')}>
    <header><button type="button" class="quiet" aria-expanded=${folded ? 'false' : 'true'} onClick=${() => fold(!folded)}><strong>${title}</strong></button>
      <span class="push"></span>
      <button type="button" class="quiet icon" onClick=${report} aria-label=${t('uploads.report')} title=${t('uploads.report')}><${Icon} name="download" /></button>
      <button type="button" class="quiet icon" onClick=${close} aria-label=${t('uploads.clear')} title=${t('uploads.clear')}><${Icon} name="x" /></button></header>
    <progress max=${all.length} value=${all.length - open} aria-label=${t('uploads')}></progress>
    <dl class="totals">${['added', 'held', 'refused', 'failed'].map((state) => html`<div class=${`${state}${count[state] ? '' : ' none'}`}><dd>${count[state]}</dd><dt>${t(`upload.${state}`)}</dt></div>`)}</dl>
    <p class="hidden" aria-live="polite">${said}</p>
    ${!folded && html`<ul class="lines" tabindex="0" aria-label=${t('uploads')}>${shown.map((one) => html`<${Line} key=${one.id} one=${one} />`)}</ul>
      ${all.length > shown.length && html`<p class="faint">${t('uploads.more', { n: all.length - shown.length })}</p>`}
      ${count.failed > 1 && html`<button type="button" onClick=${() => all.filter((one) => one.state === 'failed').forEach((one) => retry(one))}>${t('retry.all')}</button>`}
      ${scalable.length > 1 && html`<button type="button" onClick=${() => scaleAndRetry(scalable)}>${t('upload.scale.all', { n: scalable.length })}</button>`}`}
  </aside>`;
}
