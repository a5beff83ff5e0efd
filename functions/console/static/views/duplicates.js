// Near-duplicates of a library: every cluster with all of its pictures, uncropped, and what to do about them.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js';
import { call, fileOf } from '../api.js';
import { date, number, score, t } from '../i18n.js';
import { remove, WITHOUT_QUESTION } from '../parts/bar.js';
import { CodeButton, Confirm, Empty, Icon, Trouble } from '../parts/dialog.js';
import { Job, runs, useWatch } from '../parts/job.js';
import { nameOf } from '../parts/grid.js';
import { compared, go, notify, useLoad } from '../state.js';

/** Clusters of a page. */
const PAGE = 20;

const LEVELS = ['identical', 'same', 'similar'];

const percent = (share) => `${number(Math.floor(share * 100))} %`;

const size = (bytes) => (bytes >= 1e6 ? t('bytes.mb', { n: Math.round(bytes / 1e5) / 10 }) : t('bytes.kb', { n: Math.max(1, Math.round(bytes / 1e3)) }));

function Picture({ picture, cluster, onKeep }) {
  const first = cluster.pictures[0];
  const compare = () => [compared.set({ a: first, b: picture }), go('/console/compare')];
  return html`<li><figure>
    <a href=${fileOf(picture, 'view')} target="_blank" rel="noopener"><img src=${fileOf(picture, 'thumb')} alt=${nameOf(picture)} loading="lazy" /></a>
    <figcaption><strong>${nameOf(picture)}</strong>
      <span class="faint">${picture.width ? t('dup.size', { w: picture.width, h: picture.height }) : ''}${picture.bytes ? ` · ${size(picture.bytes)}` : ''} · ${date(picture.added)}</span></figcaption>
    <div class="row"><button type="button" onClick=${onKeep} title=${t('dup.keep_one.label', { name: nameOf(picture) })}><${Icon} name="check" /> ${t('dup.keep_one', { n: cluster.pictures.length - 1 })}<span class="hidden">: ${nameOf(picture)}</span></button>
      ${picture !== first && html`<button type="button" class="quiet" onClick=${compare}><${Icon} name="compare" /> ${t('compare')}</button>`}</div>
  </figure></li>`;
}

function Why({ cluster: { pairs, pictures } }) {
  const name = (id) => nameOf(pictures.find((one) => one.id === id) ?? { id });
  const words = ({ level, score: value, cosine, proof }) => [
    t(`why.${level === 'identical' ? 'identical' : proof ? 'proved' : 'near'}`),
    level === 'identical' ? '' : score(proof ? value : cosine),
    proof?.agreement === undefined ? '' : t('proof.agreement', { percent: percent(proof.agreement) }),
    proof && level === 'similar' ? t('dup.differs') : '',
  ];
  return html`<details class="reasons"><summary>${t('dup.why')}</summary><ul>
    ${pairs.slice(0, 20).map((pair) => html`<li>${name(pair.a)} · ${name(pair.b)}: ${words(pair).filter(Boolean).join(', ')}</li>`)}</ul></details>`;
}

function Cluster({ library, cluster, number: position, onDone }) {
  const [keeping, keep] = useState(null);
  const others = (kept) => cluster.pictures.filter((one) => one !== kept);
  const keepOne = (kept) => (cluster.pictures.length - 1 > WITHOUT_QUESTION ? keep(kept) : remove(others(kept), onDone));
  const said = { pictures: cluster.pictures.map((one) => one.id) };
  const say = (verb) => call('POST', `/libraries/${library}/duplicates/${verb}`, said).then(onDone);
  const keepAll = () => say('dismiss').then(
    () => notify(t('dup.dismissed'), { label: t('undo'), action: () => say('reconsider').catch((problem) => notify(problem.message)), seconds: 10 }),
    (problem) => notify(problem.message));
  return html`<section class="panel cluster" aria-label=${t('dup.cluster', { position })}>
    <ul class="copies">${cluster.pictures.map((one) => html`<${Picture} key=${one.self} picture=${one} cluster=${cluster} onKeep=${() => keepOne(one)} />`)}</ul>
    <div class="row"><${Why} cluster=${cluster} /><span class="push"></span><button type="button" onClick=${keepAll}>${t('dup.keep_all')}</button></div>
    ${keeping && html`<${Confirm} title=${t('delete.title', { n: cluster.pictures.length - 1 })} text=${t('delete.text')} label=${t('delete')}
      onYes=${() => remove(others(keeping), onDone)} onClose=${() => keep(null)} />`}
  </section>`;
}

export default function Duplicates({ library }) {
  const [level, setLevel] = useState('same');
  const [cursors, setCursors] = useState(['']);
  const [problem, setProblem] = useState(null);
  const path = `/libraries/${library}/duplicates`;
  const query = new URLSearchParams({ level, limit: PAGE, ...(cursors.at(-1) ? { after: cursors.at(-1) } : {}) });
  const page = useLoad(() => call('GET', `${path}?${query}`), [`${path}?${query}`]);
  const jobs = useLoad(() => call('GET', '/jobs'), [library]);
  const job = jobs.value?.jobs.find((one) => one.kind === 'duplicates' && one.library === library);
  const open = job && (runs(job) || job.state !== 'done');
  const before = useRef(job?.state);
  useWatch(job ? [job] : [], jobs.reload);
  useEffect(() => {
    if (job?.state === 'done' && before.current !== 'done') [setCursors(['']), page.reload()];
    before.current = job?.state;
  }, [job?.state]);
  const start = () => call('POST', path).then(() => [setProblem(null), jobs.reload()], setProblem);
  const swept = page.value?.swept;
  const found = page.value?.clusters ?? [];
  const shown = useRef(false);
  useEffect(() => {
    if (!swept || shown.current) return;
    shown.current = true;
    setLevel(['same', 'identical', 'similar'].find((one) => swept.clusters[one] > 0) ?? level);
  }, [swept]);
  // Of a level that is on one page, what is there now is known; of others, what the sweep found.
  const whole = page.value && !page.loading && cursors.length === 1 && !page.value.next;
  const countOf = (one) => (one === level && whole ? found.length : swept.clusters[one]);
  const turn = (next) => [setCursors(next), scrollTo(0, 0)];
  return html`<div class="page">
    <div class="head"><h1>${t('title.duplicates')}</h1>
      <p class="faint"><a href=${`/console/l/${encodeURIComponent(library)}`}>${library}</a></p><p class="faint">${swept ? t('dup.swept', { when: date(swept.finished) }) : ''}</p><span class="push"></span>
      <${CodeButton} action=${{ method: 'POST', path }} />
      <button type="button" class="main" disabled=${!jobs.value || runs(job) || job?.state === 'paused'} onClick=${start}>${t('dup.look')}</button></div>
    ${problem && html`<${Trouble} problem=${problem} onRetry=${start} />`}
    ${open && html`<${Job} job=${job} onChanged=${jobs.reload} />`}
    ${swept && html`<div class="tabs">${LEVELS.map((one) => html`<button type="button" aria-pressed=${level === one} onClick=${() => [setLevel(one), setCursors([''])]}>${t(`dup.level.${one}`)} · ${number(countOf(one))}</button>`)}</div>
      <p class="faint">${t(`dup.about.${level}`)}</p>`}
    ${page.error ? html`<${Trouble} problem=${page.error} onRetry=${page.reload} />`
    : !page.value ? html`<div class="skeleton" aria-busy="true"></div>`
    : found.length ? found.map((one, i) => html`<${Cluster} key=${one.pictures.map((picture) => picture.self).join(' ')} library=${library} cluster=${one} number=${(cursors.length - 1) * PAGE + i + 1} onDone=${page.reload} />`)
    : html`<${Empty} icon="pictures" title=${t(swept ? 'dup.none' : 'dup.never')} text=${t(swept ? 'dup.none.text' : 'dup.never.text')} />`}
    ${(cursors.length > 1 || page.value?.next) && html`<nav class="pager" aria-label=${t('pages')}>
      <button type="button" disabled=${cursors.length < 2} onClick=${() => turn(cursors.slice(0, -1))}><${Icon} name="left" /> ${t('page.before')}</button>
      <span class="faint">${t('page', { page: cursors.length })}</span>
      <button type="button" disabled=${!page.value?.next} onClick=${() => turn([...cursors, page.value.next])}>${t('page.next')} <${Icon} name="right" /></button></nav>`}
  </div>`;
}
