// The part of a picture to search for: dragged over it, or said in percent.
import { html, useRef, useState } from '../vendor/htm-preact.js';
import { t } from '../i18n.js';
import { Frame } from './overlay.js';

/** The least side of a part, as a fraction; less is a click. */
const LEAST = 0.02;

const SIDES = ['left', 'top', 'right', 'bottom'];
const kept = (value) => Math.round(Math.max(0, Math.min(1, value)) * 1000) / 1000;

/** `box`: left, top, right, bottom as fractions, or null for the whole picture. */
export function Crop({ src, alt, box, onBox, quad }) {
  const area = useRef();
  const [drag, setDrag] = useState(null);
  const at = (event) => {
    const { left, top, width, height } = area.current.getBoundingClientRect();
    return [kept((event.clientX - left) / width), kept((event.clientY - top) / height)];
  };
  const between = ([x, y], [u, v]) => [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
  const large = ([left, top, right, bottom]) => right - left >= LEAST && bottom - top >= LEAST;
  const down = (event) => {
    if (event.button) return;
    area.current.setPointerCapture(event.pointerId);
    setDrag({ from: at(event), to: at(event) });
  };
  const move = (event) => drag && setDrag({ ...drag, to: at(event) });
  const up = () => {
    const next = drag && between(drag.from, drag.to);
    setDrag(null);
    if (next && large(next)) onBox(next);
  };
  const type = (i) => (event) => {
    const next = [...(box ?? [0, 0, 1, 1])];
    next[i] = kept(event.target.value / 100);
    if (large(next)) onBox(next.join() === '0,0,1,1' ? null : next);
  };
  const shown = drag ? between(drag.from, drag.to) : box;
  const style = shown && { left: `${shown[0] * 100}%`, top: `${shown[1] * 100}%`, width: `${(shown[2] - shown[0]) * 100}%`, height: `${(shown[3] - shown[1]) * 100}%` };
  if (!src) return html`<p class="frame none">${alt}</p>`;
  return html`<${Frame} src=${src} alt=${alt} quad=${quad} kind="crop">
      <div class="area" ref=${area} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${() => setDrag(null)}>${shown && html`<div class="part" style=${style}></div>`}</div><//>
    <div class="row"><details><summary>${t('crop')}</summary><div class="sides">${SIDES.map((side, i) => html`<label><span>${t(`crop.${side}`)}</span>
      <input type="number" min="0" max="100" step="1" value=${Math.round((box ?? [0, 0, 1, 1])[i] * 100)} onChange=${type(i)} /></label>`)}</div></details>
      ${box && html`<button type="button" class="quiet" onClick=${() => onBox(null)}>${t('crop.whole')}</button>`}</div>`;
}
