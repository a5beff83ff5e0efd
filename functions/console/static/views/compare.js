// Two pictures, laid on each other as the proof says: blink, wipe, onion skin, or side by side.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js';
import { BASE, call, given, shownAt, sketched } from '../api.js';
import { score, t } from '../i18n.js';
import { CodeButton, Empty, Field, Icon, Trouble } from '../parts/dialog.js';
import { DropTargets, FileButton, usePaste } from '../parts/drop.js';
import { nameOf } from '../parts/grid.js';
import { Frame, Legend, cssOf, factsOf, inverse, quadOf } from '../parts/overlay.js';
import { compared, go, route, useKeys, useLoad, useStore } from '../state.js';

const MODES = ['blink', 'wipe', 'onion', 'side'];

/** Milliseconds that each picture is seen when they blink by themselves: slower than three flashes a second. */
const BLINK = 700;

const named = (image) => image?.file?.name ?? image?.url ?? (image ? nameOf(image) : '');

/** The two pictures: those that were chosen, or those of the address. */
function usePair() {
  const pair = useStore(compared);
  const [problem, setProblem] = useState(null);
  const { query } = useStore(route);
  useEffect(() => {
    const paths = ['a', 'b'].map((name) => query.get(name));
    if (!pair.a && paths.every((path) => path?.startsWith(`${BASE}/libraries/`))) {
      Promise.all(paths.map((path) => call('GET', path))).then(([a, b]) => compared.set({ a, b }), setProblem);
    } else if (pair.a?.self && pair.b?.self) go(`/console/compare?${new URLSearchParams({ a: pair.a.self, b: pair.b.self })}`, true);
  }, [pair]);
  return [pair, problem];
}

function useSize() {
  const element = useRef();
  const [size, setSize] = useState(null);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setSize(entry.contentRect));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, size];
}

/** One picture on the other. `how`: the style of the upper one. */
function Stack({ a, b, transform, how, share, proof, marks }) {
  const [element, size] = useSize();
  const [ratio, setRatio] = useState(0);
  const onLoad = ({ target }) => target.matches('.frame > img') && setRatio(target.naturalWidth / target.naturalHeight);
  const style = size && transform ? { transform: cssOf(transform, size.width, size.height) } : {};
  return html`<div class="stack" ref=${element} style=${ratio ? { '--ratio': ratio } : {}} onLoadCapture=${onLoad}><${Frame} src=${shownAt(a)} alt=${named(a)} quad=${marks && proof && quadOf(proof.transform)} proof=${marks && proof}>
    <div class="upper" style=${how}><img src=${shownAt(b)} alt=${named(b)} style=${style} class=${transform ? '' : 'fit'} draggable="false" /></div>
    ${how['clip-path'] && html`<div class="edge" style=${{ left: `${share}%` }}></div>`}<//></div>`;
}

function Side({ a, b, proof }) {
  const [zoom, setZoom] = useState(1);
  const [at, setAt] = useState([0.5, 0.5]);
  const back = proof && inverse(proof.transform);
  const there = back ? [back[0] * at[0] + back[1] * at[1] + back[2], back[3] * at[0] + back[4] * at[1] + back[5]] : at;
  const point = (event) => {
    const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
    setAt([(event.clientX - left) / width, (event.clientY - top) / height]);
  };
  const pan = (x, y) => () => setAt([at[0] + x / zoom / 5, at[1] + y / zoom / 5].map((one) => Math.max(0, Math.min(1, one))));
  useKeys({ ArrowLeft: pan(-1, 0), ArrowRight: pan(1, 0), ArrowUp: pan(0, -1), ArrowDown: pan(0, 1) });
  const style = ([x, y]) => ({ transform: `scale(${zoom})`, 'transform-origin': `${x * 100}% ${y * 100}%` });
  return html`<div class="pair">
      <figure><div class="lens" onPointerMove=${point}><div style=${style(at)}><${Frame} src=${shownAt(a)} alt=${named(a)} quad=${proof && quadOf(proof.transform)} proof=${proof} /></div></div><figcaption>${named(a)}</figcaption></figure>
      <figure><div class="lens"><div style=${style(there)}><${Frame} src=${shownAt(b)} alt=${named(b)} quad=${back && quadOf(back)} /></div></div><figcaption>${named(b)}</figcaption></figure></div>
    <${Field} label=${`${t('zoom')} ${zoom.toFixed(1)} ×`}><input type="range" min="1" max="8" step="0.5" value=${zoom} onInput=${(event) => setZoom(Number(event.target.value))} /><//>`;
}

function Looks({ a, b, proof }) {
  const [mode, setMode] = useState(proof ? 'blink' : 'side');
  const [upper, setUpper] = useState(true);
  const [auto, setAuto] = useState(false);
  const [share, setShare] = useState(50);
  const [marks, setMarks] = useState(false);
  const flip = () => [setMode('blink'), setAuto(false), setUpper(!upper)];
  useKeys({ b: flip });
  useEffect(() => {
    if (!auto || mode !== 'blink') return undefined;
    const timer = setInterval(() => setUpper((one) => !one), BLINK);
    return () => clearInterval(timer);
  }, [auto, mode]);
  const how = { blink: { opacity: upper ? 1 : 0 }, wipe: { 'clip-path': `inset(0 0 0 ${share}%)` }, onion: { opacity: share / 100 } }[mode];
  return html`<div class="tabs" role="group" aria-label=${t('compare.how')}>${MODES.map((one) => html`<button type="button" aria-pressed=${mode === one} onClick=${() => setMode(one)}>${t(`compare.${one}`)}</button>`)}
      <span class="push"></span>${mode !== 'side' && proof && html`<label class="check"><input type="checkbox" checked=${marks} onChange=${() => setMarks(!marks)} /> ${t('compare.marks')}</label>`}</div>
    ${mode === 'side' ? html`<${Side} a=${a} b=${b} proof=${proof} />` : html`<${Stack} a=${a} b=${b} how=${how} share=${share} transform=${proof?.transform} proof=${proof} marks=${marks} />
      <div class="row center">${mode === 'blink' ? html`<button type="button" class="main" onClick=${flip}>${t('compare.flip')} <kbd>b</kbd></button>
        <button type="button" aria-pressed=${auto} onClick=${() => setAuto(!auto)}>${t('compare.auto')}</button><span class="faint" role="status">${named(upper ? b : a)}</span>`
      : html`<${Field} label=${`${t(`compare.${mode}.share`)} ${share} %`}><input type="range" min="0" max="100" value=${share} onInput=${(event) => setShare(Number(event.target.value))} /><//>`}</div>`}
    ${(marks || mode === 'side') && html`<${Legend} proof=${proof} />`}`;
}

function Verdict({ said }) {
  const { proof, score: same } = said.same;
  const kind = said.identical ? 'identical' : proof ? 'proved' : 'near';
  return html`<section class="panel verdicts"><p class="row"><span class=${`why ${kind}`}>${t(`why.${kind}`)}</span><strong>${t(`compare.is.${kind}`)}</strong></p>
    <dl class="facts across">${[['same', same], ['similar', said.similar], ['product', said.product]].map(([name, value]) => html`<div><dt>${t(`kind.${name}`)}</dt><dd class="score">${score(value)}</dd></div>`)}</dl>
    ${proof && html`<ul class="reasons">${factsOf(proof, '.pair').map((fact) => html`<li>${fact}</li>`)}</ul>`}</section>`;
}

export default function Compare() {
  const [{ a, b }, lost] = usePair();
  const both = a && b;
  const json = async () => ({ a: await given(a), b: await given(b) });
  const { value, error, reload } = useLoad(async () => both && call('POST', '/compare', await json()), [a, b]);
  const put = (files) => (files.length > 1 ? compared.set({ a: { file: files[0] }, b: { file: files[1] } })
    : compared.set(a && !b ? { a, b: { file: files[0] } } : { a: { file: files[0] }, b }));
  usePaste(put);
  const slot = (name, image) => html`<li>${image ? html`<${Icon} name="check" /> ${named(image)}` : html`<${FileButton} icon="plus" label=${t(`compare.pick.${name}`)} onFiles=${([file]) => compared.set((pair) => ({ ...pair, [name]: { file } }))} />`}</li>`;
  return html`<div class="page">
    <div class="head"><h1>${t('compare.title')}</h1><div class="acts">
      <${CodeButton} action=${{ method: 'POST', path: '/compare', json: { a: sketched(a), b: sketched(b) } }} />
      ${both && html`<button type="button" onClick=${() => compared.set({ a: b, b: a })}>${t('compare.swap')}</button>`}
      ${(a || b) && html`<button type="button" class="quiet" onClick=${() => [compared.set({}), go('/console/compare', true)]}>${t('compare.others')}</button>`}</div></div>
    ${lost && html`<${Trouble} problem=${lost} />`}
    ${!both ? html`<${Empty} icon="compare" title=${t('compare.start')} text=${t('compare.start.text')}><ul class="slots">${slot('a', a)}${slot('b', b)}</ul><//>`
    : error ? html`<${Trouble} problem=${error} onRetry=${reload} />`
    : !value ? html`<div class="skeleton tall" aria-busy="true"></div>`
    : html`<div class="comparing"><section aria-label=${t('compare.title')}><${Looks} key=${`${named(a)} ${named(b)} ${!!value.same.proof}`} a=${a} b=${b} proof=${value.same.proof} /></section><${Verdict} said=${value} /></div>`}
    <${DropTargets} targets=${[{ icon: 'compare', label: t('drop.compare'), hint: t('drop.compare.hint'), run: put }]} />
  </div>`;
}
