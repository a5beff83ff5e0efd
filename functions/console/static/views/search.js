// Search a library with a picture: what is like it, why, and where.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js';
import { call, given, pathOf, shownAt, sketched } from '../api.js';
import { number, score, t } from '../i18n.js';
import { Asking, PLAIN, bodyOf, labelOf, vendorOf, withExample } from '../parts/asking.js';
import { CodeButton, Empty, Icon, Trouble } from '../parts/dialog.js';
import { DropTargets, FileButton, usePaste } from '../parts/drop.js';
import { Crop } from '../parts/crop.js';
import { nameOf } from '../parts/grid.js';
import { Frame, Legend, factsOf, inverse, quadOf } from '../parts/overlay.js';
import { Preview } from '../parts/preview.js';
import { Smaller } from '../parts/scale.js';
import { enqueue } from '../parts/uploads.js';
import { asked, compared, go, notify, useKeys, useLoad, useStore } from '../state.js';

function Result({ match, box, where, active, onActive, onOpen, onCompare, onSimilar, onExample }) {
  const { proof } = match;
  const name = nameOf(match);
  return html`<li class=${active ? 'result active' : 'result'} onMouseEnter=${onActive} onfocusin=${onActive}>
    <button type="button" class="bare" onClick=${onOpen} aria-label=${t('open', { name })}>
      <${Frame} src=${shownAt(match, 'thumb')} alt="" quad=${proof && quadOf(proof.transform, (!match.example && box) || undefined)} proof=${proof} /></button>
    <div class="about">
      <div class="row"><output class="score">${score(match.score)}</output><span class=${`why ${match.why}`}>${t(`why.${match.why}`)}</span><span class="push"></span>
        ${[['also', 'plus'], ['not', 'minus']].map(([kind, icon]) => html`<button type="button" class="quiet icon" aria-label=${t(`examples.${kind}.this`, { name })} title=${t(`examples.${kind}.this`, { name })} onClick=${() => onExample(kind)}><${Icon} name=${icon} /></button>`)}</div>
      <h3>${name}</h3>${where && html`<p class="faint">${where}</p>`}
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

export default function Search({ library: name }) {
  const [image, lost] = useImage(name);
  const [box, setBox] = useState(null);
  const [said, say] = useState(PLAIN);
  const [after, setAfter] = useState([]);
  const [active, setActive] = useState(0);
  const [extra, setExtra] = useState(null);
  const [open, setOpen] = useState(null);
  const camera = useRef({});
  const about = useLoad(() => call('GET', `/libraries/${name}`), [name]);
  const all = useLoad(() => call('GET', '/libraries'), []).value?.libraries ?? [];
  const others = all.filter((one) => one.kind === about.value?.kind && one.name !== name).map((one) => one.name);
  const path = said.libraries.length ? '/search' : `/libraries/${name}/search`;
  const find = async (more) => {
    if (!image) return null;
    const [also, not] = await Promise.all([said.also, said.not].map((some) => Promise.all(some.map(given))));
    return call('POST', path, { ...bodyOf(name, box, { ...said, also, not }, (one) => one), ...more, image: await given(image) });
  };
  const { value, error, loading, reload } = useLoad(() => find({}), [image, box, said]);
  useEffect(() => [setAfter([]), setActive(0), setExtra(null)], [image, box, said]);
  useEffect(() => setBox(null), [image]);
  const ask = (next) => {
    asked.set({ library: name, image: next });
    go(`/console/l/${encodeURIComponent(name)}/search${next.id ? `?picture=${encodeURIComponent(next.id)}` : ''}`);
  };
  const last = after.at(-1) ?? value;
  const more = () => find({ after: last.next }).then((page) => setAfter([...after, page]), (problem) => notify(problem.message));
  const matches = [...(value?.matches ?? []), ...after.flatMap((page) => page.matches), ...(extra ? [extra] : [])];
  const { proof, example } = matches[active] ?? {};
  const back = proof && !example && inverse(proof.transform);
  const compare = (match) => {
    compared.set({ a: match, b: match.example ? said.also[match.example - 1] : image });
    go('/console/compare');
  };
  const exemplify = (kind, one) => say((before) => withExample(before, kind, one));
  const file = ([one]) => ask({ file: one });
  const add = (files) => about.value && enqueue(files, about.value);
  usePaste((files, shift) => (shift ? add(files) : file(files)));
  useKeys({ '/': () => camera.current.current(), c: () => matches[active] && compare(matches[active]) });
  const pick = html`<${FileButton} icon="camera" kind="main" label=${t('search.choose')} open=${camera.current} onFiles=${file} />`;
  const action = { method: 'POST', path, json: { image: sketched(image), ...bodyOf(name, box, said) }, vendor: vendorOf(about.value, image, box, said) };
  const targets = [
    { icon: 'search', label: t('drop.search'), hint: t('drop.search.hint'), run: file },
    { icon: 'upload', label: t('drop.add'), hint: t('drop.add.hint', { library: name }), run: add },
    ...(image ? ['also', 'not'].map((kind) => ({ icon: kind === 'also' ? 'plus' : 'minus', label: t(`examples.${kind}`), hint: t(`examples.${kind}.add`), run: ([one]) => exemplify(kind, { file: one }) })) : []),
  ];
  return html`<div class="page">
    <div class="head"><h1>${t('search.title')}</h1><p class="faint"><a href=${`/console/l/${encodeURIComponent(name)}`}>${name}</a></p><div class="acts">
      <${CodeButton} action=${action} />
      ${image?.file && html`<button type="button" onClick=${() => add([image.file])}>${t('check.add')}</button>`}${image && pick}</div></div>
    ${lost && html`<${Trouble} problem=${lost} />`}
    ${!image ? !lost && html`<${Empty} icon="camera" title=${t('search.start')} text=${t('search.start.text')}>${pick}<//>` : html`
    <div class="searching"><section class="asked" aria-label=${t('query')}>
        <${Crop} src=${shownAt(image)} alt=${labelOf(image)} box=${box} onBox=${setBox} quad=${back && quadOf(back)} />
        <${Legend} proof=${proof} others=${matches.map((match) => match.proof)} />
        <${Asking} said=${said} say=${say} others=${others} /></section>
      <section class="found" aria-label=${t('results')} aria-busy=${loading ? 'true' : 'false'}>
        <p class="faint" role="status">${loading || !value ? !error && t('search.looking') : `${t('search.found', { n: matches.length })} · ${t('search.took', { n: Math.round(value.took_ms) })}${value.query ? ` · ${number(value.query.width)} × ${number(value.query.height)}` : ''}`}</p>
        ${error ? html`<${Trouble} problem=${error} onRetry=${reload}><${Smaller} file=${image.file} problem=${error} onFile=${(smaller) => file([smaller])} /><//>`
        : !value ? html`<ul class="results">${[1, 2, 3].map(() => html`<li class="result skeleton"></li>`)}</ul>`
        : matches.length ? html`<ul class="results">${matches.map((match, i) => html`<${Result} key=${match.self} match=${match} box=${box} active=${i === active} onActive=${() => setActive(i)}
            onOpen=${() => call('GET', match.self).then(setOpen, (problem) => notify(problem.message))} onCompare=${() => compare(match)} onSimilar=${() => ask(match)}
            where=${[said.libraries.length && match.library, match.example && t('examples.by', { name: labelOf(said.also[match.example - 1] ?? image) })].filter(Boolean).join(' · ')} onExample=${(kind) => exemplify(kind, match)} />`)}</ul>`
        : html`<${Nothing} library=${name} image=${image} onShow=${setExtra} />`}
        ${last?.next && html`<button type="button" onClick=${more}>${t('search.more')}</button>`}
        ${value?.trace?.length > 0 && html`<details class="trace"><summary>${t('search.trace')}</summary><table><thead><tr>${['look', 'views', 'prepare', 'embed', 'search', 'verify'].map((one) => html`<th scope="col">${t(`trace.${one}`)}</th>`)}</tr></thead>
          <tbody>${value.trace.map((look) => html`<tr><th scope="row">${look.name}</th>${[look.views, look.prepare_ms, look.embed_ms, look.search_ms, look.verify_ms].map((n) => html`<td>${number(n)}</td>`)}</tr>`)}</tbody></table></details>`}
      </section></div>`}
    <${DropTargets} targets=${targets} />
    ${open && about.value && html`<${Preview} picture=${open} library=${all.find((one) => one.name === open.library) ?? about.value} onClose=${() => setOpen(null)} onChanged=${reload} onSearch=${(picture) => [setOpen(null), ask(picture)]} />`}
  </div>`;
}
