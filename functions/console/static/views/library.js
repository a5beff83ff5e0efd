// A library: its pictures, those deleted, and the ways to add to it and to search it.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js';
import { call, pathOf } from '../api.js';
import { number, t } from '../i18n.js';
import { Bar, compare, remove } from '../parts/bar.js';
import { CodeButton, Confirm, Dialog, Empty, Icon, Trouble } from '../parts/dialog.js';
import { DropTargets, FileButton, usePaste } from '../parts/drop.js';
import { Fresh, Named } from '../parts/finds.js';
import { Grid } from '../parts/grid.js';
import { Held, Preview } from '../parts/preview.js';
import { enqueue, totals, uploads } from '../parts/uploads.js';
import { asked, go, notify, route, useKeys, useLoad, useStore } from '../state.js';

/** Pictures of a page. */
const PAGE = 60;

/** Milliseconds after which the grid shows what was just added. */
const SETTLED = 700;

/** Keep the grid up with what is being added. */
function useAdded(name, reload) {
  const added = totals(useStore(uploads).filter((one) => one.library === name)).added;
  const before = useRef(added);
  useEffect(() => {
    if (added === before.current) return undefined;
    const timer = setTimeout(() => {
      before.current = added;
      reload();
    }, SETTLED);
    return () => clearTimeout(timer);
  }, [added]);
}

function Finder({ box, tag, onTag, onSearch, open }) {
  const submit = (event) => {
    event.preventDefault();
    const text = box.current.value.trim();
    if (/^https?:\/\//.test(text)) onSearch({ url: text });
    else onTag(text);
  };
  return html`<form class="finder" role="search" onSubmit=${submit}><${Icon} name="search" />
    <input ref=${box} type="search" defaultValue=${tag} placeholder=${t('find')} aria-label=${t('find')} enterkeyhint="search" />
    <${FileButton} bare=${true} icon="camera" kind="quiet camera" label=${t('search.camera')} open=${open} onFiles=${([file]) => onSearch({ file })} />
  </form>`;
}

function More({ library, onClose, onChanged }) {
  const [sure, setSure] = useState(false);
  const [problem, setProblem] = useState(null);
  const [typed, type] = useState(library.capacity ?? 0);
  const act = (call) => call.then(onChanged, setProblem);
  const change = () => act(call('PATCH', `/libraries/${library.name}`, { capacity: typed || null }));
  if (sure) {
    return html`<${Confirm} title=${t('library.remove.title', { name: library.name })} text=${t('library.remove.text', { n: library.pictures })}
      label=${t('library.remove')} code=${{ method: 'DELETE', path: `/libraries/${library.name}`, vendor: { op: 'drop', library } }} onClose=${onClose} onYes=${() => call('DELETE', `/libraries/${library.name}`).then(() => go('/console/'), (refused) => notify(refused.message))} />`;
  }
  return html`<${Dialog} title=${library.name} kind="small" onClose=${onClose} actions=${html`
      <button type="button" class="danger" onClick=${() => setSure(true)}>${t('library.remove')}</button><span class="push"></span>
      <${CodeButton} action=${{ method: 'PATCH', path: `/libraries/${library.name}`, json: { capacity: typed || null } }} />
      <button type="button" class="main" onClick=${change}>${t('save')}</button>`}>
    <dl class="facts"><div><dt>${t('library.kind')}</dt><dd>${t(`kind.${library.kind}`)}</dd></div>
      <div><dt>${t('identity')}</dt><dd>${t(`identity.${library.identity}`)}<br /><small class="faint">${t(`identity.${library.identity}.about`)}</small></dd></div></dl>
    <label class="field"><span>${t('capacity')}</span><input type="number" min="1" max="1000000000" value=${typed || ''} onInput=${(event) => type(Number(event.target.value))} /><small>${t('capacity.hint')}</small></label>
    ${problem && html`<${Trouble} problem=${problem} />`}
  <//>`;
}

export default function Library({ library: name }) {
  const [deleted, setDeleted] = useState(false);
  const [tag, setTag] = useState('');
  const [cursors, setCursors] = useState(['']);
  const [selected, select] = useState(new Set());
  const [open, setOpen] = useState(null);
  const [asking, ask] = useState(null);
  const [more, setMore] = useState(false);
  const box = useRef();
  const camera = useRef({});
  const upload = useRef({});
  const query = new URLSearchParams({ limit: PAGE, state: deleted ? 'deleted' : 'live' });
  if (tag) query.set('tag', tag);
  if (cursors.at(-1)) query.set('after', cursors.at(-1));
  const path = `/libraries/${name}/pictures?${query}`;
  const about = useLoad(() => call('GET', `/libraries/${name}`), [name]);
  const page = useLoad(() => call('GET', path), [path]);
  const service = useLoad(() => call('GET', ''), []);
  const pictures = page.value?.pictures ?? [];
  const library = about.value ?? { name };
  const chosen = pictures.filter((one) => selected.has(one.self));
  const clear = () => select(new Set());
  const reload = () => [about, page].forEach((one) => one.reload());
  const turn = (next) => [clear(), setCursors(next)];
  const show = (given) => [turn(['']), given.tag !== undefined && setTag(given.tag), given.deleted !== undefined && setDeleted(given.deleted)];
  useAdded(name, reload);

  const search = (image) => {
    asked.set({ library: name, image });
    go(`/console/l/${encodeURIComponent(name)}/search${image.id ? `?picture=${encodeURIComponent(image.id)}` : ''}`);
  };
  const add = (files) => enqueue(files, library);
  const openId = (id) => call('GET', pathOf(name, id)).then((picture) => setOpen({ picture }), (problem) => notify(problem.title || problem.message));
  useEffect(() => {
    const id = route.get().query.get('picture');
    if (id) openId(id);
  }, [useStore(route).query.get('picture')]);
  usePaste((files, shift) => (shift ? add(files) : search({ file: files[0] })));
  const compareTwo = () => (chosen.length === 2 ? compare(chosen) : notify(t('compare.two')));
  const removed = (some) => remove(some, () => [clear(), reload()]);
  useKeys({ '/': () => box.current.focus(), u: () => upload.current.current(), c: compareTwo });
  const deletes = (i) => !deleted && (chosen.length ? removed(chosen) : removed([pictures[i]]));
  const targets = [
    { icon: 'upload', label: t('drop.add'), hint: t('drop.add.hint', { library: name }), run: add },
    { icon: 'search', label: t('drop.search'), hint: t('drop.search.hint'), run: ([file]) => search({ file }) },
    { icon: 'check', label: t('drop.check'), hint: t('drop.check.hint'), run: ([file]) => ask({ file }) },
  ];
  const pageSaid = deleted || tag || !library.pictures ? t('page', { page: cursors.length }) : t('page.of', { page: cursors.length, all: Math.max(cursors.length, Math.ceil(library.pictures / PAGE)) });
  const at = open && pictures.findIndex((one) => one.self === open.picture.self);
  const step = (by) => pictures[at + by] && setOpen({ picture: pictures[at + by] });
  if (about.error) return html`<div class="page"><${Trouble} problem=${about.error} onRetry=${about.reload} /></div>`;
  return html`<div class="page">
    <div class="head"><h1>${name}</h1><p class="faint">${about.value ? `${t(`kind.${library.kind}`)} · ${t('pictures', { n: library.pictures })}${library.capacity ? ` / ${number(library.capacity)}` : ''}` : '…'}</p>
      <div class="acts"><${CodeButton} action=${{ method: 'POST', path: `/libraries/${name}/pictures`, upload: 'picture.jpg', vendor: { op: 'add', library } }} />
      <button type="button" class="quiet" disabled=${!about.value} aria-label=${t('library.settings')} title=${t('library.settings')} onClick=${() => setMore(true)}><${Icon} name="gear" /> <span>${t('library.settings')}</span></button>
      <${FileButton} icon="folder" label=${t('upload.folder')} folder=${true} onFiles=${add} />
      <${FileButton} icon="check" label=${t('check')} onFiles=${([file]) => ask({ file })} />
      <${FileButton} icon="upload" kind="main" label=${t('upload')} many=${true} open=${upload.current} onFiles=${add} /></div></div>
    <${Finder} box=${box} tag=${tag} open=${camera.current} onTag=${(text) => show({ tag: text })} onSearch=${search} />
    <div class="tabs"><button type="button" aria-pressed=${!deleted} onClick=${() => show({ deleted: false })}>${t('tab.live')}</button>
      <button type="button" aria-pressed=${deleted} onClick=${() => show({ deleted: true })}>${t('tab.deleted')}</button>
      <a class="button" href=${`/console/l/${encodeURIComponent(name)}/duplicates`}>${t('title.duplicates')}</a>
      ${tag && html`<span class="tag">${tag}<button type="button" aria-label=${t('tag.remove', { tag })} onClick=${() => [show({ tag: '' }), (box.current.value = '')]}><${Icon} name="x" /></button></span>`}
      <span class="push"></span><span class="faint">${t(deleted ? 'library.restorable' : 'library.order', { n: service.value?.purge_after_days ?? 7 })}</span>
      <${CodeButton} action=${{ method: 'GET', path, vendor: deleted || tag ? null : { op: 'list', library, limit: PAGE } }} /></div>
    ${!deleted && !tag && html`<${Fresh} library=${name} onOpen=${openId} />`}
    ${page.error ? html`<${Trouble} problem=${page.error} onRetry=${page.reload} />`
    : !page.value ? html`<div class="grid" aria-busy="true">${Array.from({ length: 12 }, () => html`<div class="tile skeleton"></div>`)}</div>`
    : pictures.length ? html`<${Grid} pictures=${pictures} selected=${selected} onSelect=${select} onOpen=${(i) => setOpen({ picture: pictures[i] })}
        act=${{ e: (i) => setOpen({ picture: pictures[i], edit: true }), Delete: deletes }} />`
    : deleted || tag ? html`<${Empty} icon="empty" title=${t(deleted ? 'deleted.none' : 'tag.none', { tag })} text=${t(deleted ? 'deleted.none.text' : 'tag.none.text')}>
        ${!deleted && html`<button type="button" onClick=${() => openId(tag)}>${t('tag.as_id', { tag })}</button>`}<//>
      ${!deleted && html`<${Named} key=${tag} library=${name} text=${tag} onOpen=${(picture) => setOpen({ picture })} />`}`
    : html`<${Empty} icon="pictures" title=${t('library.empty')} text=${t('library.empty.text')}>
        <${FileButton} icon="upload" kind="main" label=${t('upload')} many=${true} onFiles=${add} /><//>`}
    ${(cursors.length > 1 || page.value?.next) && html`<nav class="pager" aria-label=${t('pages')}>
      <button type="button" disabled=${cursors.length < 2} onClick=${() => turn(cursors.slice(0, -1))}><${Icon} name="left" /> ${t('page.before')}</button>
      <span class="faint">${pageSaid}</span>
      <button type="button" disabled=${!page.value?.next} onClick=${() => turn([...cursors, page.value.next])}>${t('page.next')} <${Icon} name="right" /></button></nav>`}
    ${chosen.length > 0 && html`<${Bar} library=${library} pictures=${chosen} deleted=${deleted} onClear=${clear} onDone=${reload} />`}
    <${DropTargets} targets=${targets} />
    ${open && html`<${Preview} key=${open.picture.self} picture=${open.picture} library=${library} edit=${open.edit} onStep=${at >= 0 && step} onClose=${() => setOpen(null)}
      onChanged=${reload} onSearch=${search} />`}
    ${asking && html`<${Held} library=${library} file=${asking.file} onClose=${() => ask(null)} onSearch=${(file) => search({ file })} onAdd=${(file) => [ask(null), add([file])]}
      onOpen=${(picture) => [ask(null), openId(picture.id)]} />`}
    ${more && html`<${More} library=${library} onClose=${() => setMore(false)} onChanged=${() => [setMore(false), reload()]} />`}
  </div>`;
}
