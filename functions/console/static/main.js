// The router, the session, and what lies around every view.
import { html, render, useEffect, useRef, useState } from './vendor/htm-preact.js';
import { BASE, begin, call, expired, mayBeSigned, session, signOut } from './api.js';
import { language, loadWords, t } from './i18n.js';
import { Dialog, Icon, Trouble, titleOf } from './parts/dialog.js';
import { drawer, go, keptStore, keysOn, notices, notify, online, route, useKeys, useLoad, useStore } from './state.js';

const VIEWS = {
  signin: () => import('./views/signin.js'),
  application: () => import('./views/application.js'),
  library: () => import('./views/library.js'),
  search: () => import('./views/search.js'),
  compare: () => import('./views/compare.js'),
  index: () => import('./views/index.js'),
  duplicates: () => import('./views/duplicates.js'),
  jobs: () => import('./views/jobs.js'),
};

/** Views beside those of libraries, each at its own path, in the order of the navigation. */
const PLACES = ['compare', 'jobs', 'index'];

/** The view of a path, and what it is given. */
function viewOf(path) {
  const [, library, below = 'library'] = /^\/console\/l\/([^/]+)(?:\/(search|duplicates))?\/?$/.exec(path) ?? [];
  if (library) return [below, { library: decodeURIComponent(library) }];
  const place = PLACES.find((one) => path.replace(/\/$/, '') === `/console/${one}`);
  return [place ?? 'application', {}];
}

const theme = keptStore('theme', 'auto');
const dress = () => (document.documentElement.dataset.theme = theme.get());
theme.watch(dress);
dress();

/** A part that is loaded when it is needed first. */
function Lazy({ load, name, ...given }) {
  const { value, error } = useLoad(load, [name]);
  if (error) return html`<${Trouble} problem=${error} onRetry=${() => location.reload()} />`; // another version is served by now
  return value?.name === name ? html`<${value.View} key=${given.id} ...${given} />` : html`<div class="skeleton" aria-busy="true"></div>`;
}

function View({ name, ...given }) {
  return html`<${Lazy} name=${name} load=${async () => ({ name, View: (await VIEWS[name]()).default })} ...${given} />`;
}

const Toasts = () => useStore(notices).length > 0 && html`<${Lazy} name="toasts" load=${async () => ({ name: 'toasts', View: (await import('./parts/toast.js')).Toasts })} />`;

const KEYS = ['/', 'u', '← → ↑ ↓', 'Space', 'x', 'Shift + ← →', 'e', 'Delete', 'c', 'b', '[ ]', 'Esc', 'Ctrl + V', 'Ctrl + Shift + V', '?'];

function KeysHelp({ onClose }) {
  const on = useStore(keysOn);
  return html`<${Dialog} title=${t('keys.title')} onClose=${onClose} kind="small">
    <dl class="keys">${KEYS.map((key, i) => html`<div><dt><kbd>${key}</kbd></dt><dd>${t(`keys.${i}`)}</dd></div>`)}</dl>
    <label class="check"><input type="checkbox" checked=${on} onChange=${() => keysOn.set(!on)} /> ${t('keys.on')}</label>
  <//>`;
}

// What was seen is forgotten with the page.
const leave = () => signOut().then(() => location.assign('/console/'), (problem) => notify(problem.message));

const THEMES = { auto: ['light', 'auto'], light: ['dark', 'sun'], dark: ['auto', 'moon'] };

function Header({ onKeys }) {
  const who = useStore(session);
  const [next, icon] = THEMES[useStore(theme)];
  const code = useStore(language);
  const [name, { library }] = viewOf(useStore(route).path);
  const place = (one, path, words) => html`<a href=${path} aria-current=${one ? 'page' : undefined}>${words}</a>`;
  return html`<header class="top">
    <a class="brand" href="/console/"><svg viewBox="0 0 32 32" aria-hidden="true"><rect x="3" y="3" width="18" height="18" rx="4" /><rect x="11" y="11" width="18" height="18" rx="4" /></svg><span>lookalike</span></a>
    ${who && html`<nav aria-label=${t('where')}>${place(name === 'application', '/console/', t('libraries'))}
      ${library && html`<span class="faint" aria-hidden="true">/</span>${place(name === 'library', `/console/l/${encodeURIComponent(library)}`, library)}`}
      ${PLACES.map((one) => place(name === one, `/console/${one}`, t(`title.${one}`)))}</nav>`}
    <div class="tools">
      <button type="button" class="quiet" lang=${code === 'zh' ? 'en' : 'zh-CN'} onClick=${() => language.set(code === 'zh' ? 'en' : 'zh')}>${code === 'zh' ? 'English' : '中文'}</button>
      <button type="button" class="quiet icon" aria-label=${t(`theme.${theme.get()}`)} title=${t(`theme.${theme.get()}`)} onClick=${() => theme.set(next)}><${Icon} name=${icon} /></button>
      <button type="button" class="quiet icon wide-only" aria-label=${t('keys.title')} title=${t('keys.title')} onClick=${onKeys}><${Icon} name="keys" /></button>
      ${who && html`<button type="button" class="quiet icon" aria-label=${t('signout')} title=${t('signout')} onClick=${leave}><${Icon} name="out" /></button>`}
    </div>
  </header>`;
}

function App({ problem }) {
  const who = useStore(session);
  const { path } = useStore(route);
  const [help, setHelp] = useState(false);
  const lapsed = useStore(expired);
  const Drawer = useStore(drawer);
  const connected = useStore(online);
  const [name, given] = viewOf(path);
  const [code, setCode] = useState(language.get());
  useEffect(() => language.watch(() => loadWords().then(() => setCode(language.get()))), []);
  useEffect(() => {
    document.title = [given.library, t(`title.${who ? name : 'signin'}`), 'lookalike'].filter(Boolean).join(' · ');
  }, [path, code, who]);
  const first = useRef(path);
  useEffect(() => {
    if (first.current !== path) document.getElementById('main').focus({ preventScroll: true });
    first.current = path;
  }, [path]);
  useKeys({ '?': () => setHelp(true) });
  return html`<a class="skip" href="#main">${t('skip')}</a>
    <${Header} onKeys=${() => setHelp(true)} />
    ${!connected && html`<div class="banner" role="status">${t('offline')}</div>`}
    <main id="main" tabindex="-1">
      ${who ? html`<${View} name=${name} id=${path} ...${given} />` : html`<${View} name="signin" problem=${problem} />`}
    </main>
    ${who && Drawer && html`<${Drawer.View} />`}
    <${Toasts} />
    ${who && lapsed && html`<${View} name="signin" over=${true} />`}
    ${help && html`<${KeysHelp} onClose=${() => setHelp(false)} />`}`;
}

// Links within the console change the view, not the page.
addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href^="/console"]');
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.target) return;
  event.preventDefault();
  go(link.getAttribute('href'));
});

// A link that signs in, pasted where the console is open already, changes the fragment alone: the page is begun with it.
addEventListener('hashchange', () => location.hash.startsWith('#once=') && location.reload());

// A file that is dropped beside every target does not replace the page.
for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault());

// Pictures that did not come, as the session was over or the service away, come when it is back.
const broken = () => [...document.images].filter((one) => one.complete && !one.naturalWidth && one.src.includes(BASE));
for (const one of [expired, online]) one.watch(() => !expired.get() && online.get() && broken().forEach((img) => (img.src = img.src)));

// A picture that does not come may be the first thing to tell that the session is over.
let asking = null;
addEventListener('error', ({ target }) => {
  if (!session.get() || expired.get() || asking || target.tagName !== 'IMG' || !target.src.includes(BASE)) return;
  asking = call('GET', '/session').catch(({ status }) => status === 401 && expired.set(true)).finally(() => (asking = null));
}, true);

// What is shown first comes while the session is asked for; a view that does not come is told of where it is shown.
VIEWS[mayBeSigned() ? viewOf(location.pathname)[0] : 'signin']().catch(() => {});
const [, begun] = await Promise.all([loadWords(), begin().then(() => null, (problem) => problem)]);
render(html`<${App} problem=${begun} />`, document.getElementById('app'));
if (begun && session.get()) notify(`${titleOf(begun)}. ${t('signin.still')}`, { seconds: 10 });
