// Search a library with a picture: what is like it, why, and where.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js';
import { call, given, pathOf, shownAt } from '../api.js';
import { number, score, t } from '../i18n.js';
import { CodeButton, Empty, Field, Trouble } from '../parts/dialog.js';
import { DropTargets, FileButton, usePaste } from '../parts/drop.js';
import { Crop } from '../parts/crop.js';
import { nameOf } from '../parts/grid.js';
import { Frame, Legend, factsOf, inverse, quadOf } from '../parts/overlay.js';
import { Preview } from '../parts/preview.js';
import { Tags } from '../parts/tags.js';
import { enqueue } from '../parts/uploads.js';
import { asked, compared, go, notify, useKeys, useLoad, useStore } from '../state.js';

function Result({ match, box, active, onActive, onOpen, onCompare, onSimilar }) {
  const { proof } = match;
  const name = nameOf(match);
  return html`<li class=${active ? 'result active' : 'result'} onMouseEnter=${onActive} onfocusin=${onActive}>
    <button type="button" class="bare" onClick=${onOpen} aria-label=${t('open', { name })}>
      <${Frame} src=${shownAt(match, 'thumb')} alt="" quad=${proof && quadOf(proof.transform, box ?? undefined)} proof=${proof} /></button>
    <div class="about">
      <div class="row"><output class="score">${score(match.score)}</output><span class=${`why ${match.why}`}>${t(`why.${match.why}`)}</span></div>
      <h3>${name}</h3>
      ${proof && html`<ul class="reasons">${factsOf(proof).map((fact) => html`<li>${fact}</li>`)}</ul>`}
      ${match.tags?.length > 0 && html`<p>${match.tags.map((tag) => html`<span class="tag">${tag}</span>`)}</p>`}
      <div class="row"><button type="button" onClick=${onCompare}>${t('compare')}</button><button type="button" class="quiet" onClick=${onSimilar}>${t('similar')}</button></div>
    </div></li>`;
}

/** What is nearest where nothing was found. */
function Nothing({ library, image, onShow }) {
  const path = `/libraries/${library}/check`;
  const { value, error, reload } = useLoad(async () => call('POST', path, { image: await given(image) }), [image]);
  if (error) return html`<${Trouble} problem=${error} onRetry=${reload} />`;
  const near = value?.nearest;
  return html`<${Empty} icon="search" title=${t('search.nothing')} text=${!value ? t('check.looking') : near ? t('search.nearest', { score: score(near.score) }) : t('search.empty_library')}>
    ${near && html`<button type="button" onClick=${() => onShow(near)}>${t('search.show_anyway')}</button>`}<//>`;
}

function useImage(library) {
  const { library: of, image } = useStore(asked);
  const id = new URLSearchParams(location.search).get('picture');
  const [problem, setProblem] = useState(null);
  const mine = of === library && image && (!id || image.id === id) ? image : null;
  useEffect(() => {
    if (!mine && id) call('GET', pathOf(library, id)).then((picture) => asked.set({ library, image: picture }), setProblem);
  }, [id]);
  return [mine, problem];
}

function Options({ said, say, children }) {
  const set = (event) => say({ ...said, [event.target.name]: Number(event.target.value) });
  return html`<details class="options" open=${innerWidth > 900}><summary>${t('search.options')}</summary>
    <${Field} label=${t('search.limit')}><select name="limit" value=${said.limit} onChange=${set}>${[10, 20, 50, 100].map((n) => html`<option value=${n} selected=${said.limit === n}>${n}</option>`)}</select><//>
    <${Field} label=${`${t('search.threshold')} ${said.threshold.toFixed(2)}`}><input name="threshold" type="range" min="0" max="1" step="0.01" value=${said.threshold} onChange=${set} /><//>
    <${Tags} label=${t('search.tags')} tags=${said.tags} onChange=${(tags) => say({ ...said, tags })} />${children}</details>`;
}

export default function Search({ library: name }) {
  const [image, lost] = useImage(name);
  const [box, setBox] = useState(null);
  const [said, say] = useState({ limit: 20, threshold: 0, tags: [] });
  const [after, setAfter] = useState([]);
  const [active, setActive] = useState(0);
  const [extra, setExtra] = useState(null);
  const [open, setOpen] = useState(null);
  const camera = useRef({});
  const about = useLoad(() => call('GET', `/libraries/${name}`), [name]);
  const body = { image: { base64: '…' }, ...(box ? { box } : {}), limit: said.limit, ...(said.threshold ? { threshold: said.threshold } : {}),
    ...(said.tags.length ? { filter: { all: said.tags.map((tag) => ({ tag })) } } : {}), explain: true };
  const path = `/libraries/${name}/search`;
  const shape = JSON.stringify(body);
  const find = async (more) => (image ? call('POST', path, { ...body, ...more, image: await given(image) }) : null);
  const { value, error, loading, reload } = useLoad(() => find({}), [image, shape]);
  useEffect(() => [setAfter([]), setActive(0), setExtra(null)], [image, shape]);
  useEffect(() => setBox(null), [image]);
  const ask = (next) => {
    asked.set({ library: name, image: next });
    go(`/console/l/${encodeURIComponent(name)}/search${next.id ? `?picture=${encodeURIComponent(next.id)}` : ''}`);
  };
  const last = after.at(-1) ?? value;
  const more = () => find({ after: last.next }).then((page) => setAfter([...after, page]), (problem) => notify(problem.message));
  const matches = [...(value?.matches ?? []), ...after.flatMap((page) => page.matches), ...(extra ? [extra] : [])];
  const proof = matches[active]?.proof;
  const back = proof && inverse(proof.transform);
  const compare = (match) => {
    compared.set({ a: match, b: image });
    go('/console/compare');
  };
  const file = ([one]) => ask({ file: one });
  const add = (files) => about.value && enqueue(files, about.value);
  usePaste((files, shift) => (shift ? add(files) : file(files)));
  useKeys({ '/': () => camera.current.current(), c: () => matches[active] && compare(matches[active]) });
  const pick = html`<${FileButton} icon="camera" kind="main" label=${t('search.choose')} open=${camera.current} onFiles=${file} />`;
  const action = { method: 'POST', path, json: image && !image.file ? { ...body, image: image.url ? { url: image.url } : { picture: image.id } } : body, library: about.value, vendor: 'search', file: image?.file?.name ?? 'picture.jpg' };
  return html`<div class="page">
    <div class="head"><h1>${t('search.title')}</h1><p class="faint"><a href=${`/console/l/${encodeURIComponent(name)}`}>${name}</a></p><span class="push"></span>
      <${CodeButton} action=${action} />
      ${image?.file && html`<button type="button" onClick=${() => add([image.file])}>${t('check.add')}</button>`}${image && pick}</div>
    ${lost && html`<${Trouble} problem=${lost} />`}
    ${!image ? !lost && html`<${Empty} icon="camera" title=${t('search.start')} text=${t('search.start.text')}>${pick}<//>` : html`
    <div class="searching"><section class="asked" aria-label=${t('query')}>
        <${Crop} src=${shownAt(image)} alt=${image.file?.name ?? image.url ?? nameOf(image)} box=${box} onBox=${setBox} quad=${back && quadOf(back)} />
        <${Legend} proof=${proof} />
        <${Options} said=${said} say=${say} /></section>
      <section class="found" aria-label=${t('results')} aria-busy=${loading ? 'true' : 'false'}>
        <p class="faint" role="status">${loading || !value ? !error && t('search.looking') : `${t('search.found', { n: matches.length })} · ${t('search.took', { n: Math.round(value.took_ms) })}${value.query ? ` · ${number(value.query.width)} × ${number(value.query.height)}` : ''}`}</p>
        ${error ? html`<${Trouble} problem=${error} onRetry=${reload} />`
        : !value ? html`<ul class="results">${[1, 2, 3].map(() => html`<li class="result skeleton"></li>`)}</ul>`
        : matches.length ? html`<ul class="results">${matches.map((match, i) => html`<${Result} key=${match.self} match=${match} box=${box} active=${i === active} onActive=${() => setActive(i)}
            onOpen=${() => call('GET', match.self).then(setOpen, (problem) => notify(problem.message))} onCompare=${() => compare(match)} onSimilar=${() => ask(match)} />`)}</ul>`
        : html`<${Nothing} library=${name} image=${image} onShow=${setExtra} />`}
        ${last?.next && html`<button type="button" onClick=${more}>${t('search.more')}</button>`}
        ${value?.trace?.length > 0 && html`<details class="trace"><summary>${t('search.trace')}</summary><table><thead><tr>${['look', 'views', 'prepare', 'embed', 'search', 'verify'].map((one) => html`<th scope="col">${t(`trace.${one}`)}</th>`)}</tr></thead>
          <tbody>${value.trace.map((look) => html`<tr><th scope="row">${look.name}</th>${[look.views, look.prepare_ms, look.embed_ms, look.search_ms, look.verify_ms].map((n) => html`<td>${number(n)}</td>`)}</tr>`)}</tbody></table></details>`}
      </section></div>`}
    <${DropTargets} targets=${[{ icon: 'search', label: t('drop.search'), hint: t('drop.search.hint'), run: file }, { icon: 'upload', label: t('drop.add'), hint: t('drop.add.hint', { library: name }), run: add }]} />
    ${open && about.value && html`<${Preview} picture=${open} library=${about.value} onClose=${() => setOpen(null)} onChanged=${reload} onSearch=${() => [setOpen(null), ask(open)]} />`}
  </div>`;
}
