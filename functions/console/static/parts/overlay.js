// What a proof says, drawn on a picture: where the other lies, what does not agree, what has other colours.
import { html } from '../vendor/htm-preact.js';
import { t } from '../i18n.js';

const UNIT = [[0, 0], [1, 0], [1, 1], [0, 1]];

/** Where the query, or the part of it in a box, lies on the picture: its corners, as fractions. */
export function quadOf([a, b, c, d, e, f], [left, top, right, bottom] = [0, 0, 1, 1]) {
  const corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
  return corners.map(([x, y]) => [a * x + b * y + c, d * x + e * y + f]);
}

/** The transform back, from the picture to the query; null if there is none. */
export function inverse([a, b, c, d, e, f]) {
  const area = a * e - b * d;
  if (!area) return null;
  return [e / area, -b / area, (b * f - c * e) / area, -d / area, a / area, (c * d - a * f) / area];
}

/** A transform of fractions as CSS takes it for an element of that size, turned about its left upper corner. */
export const cssOf = ([a, b, c, d, e, f], width, height) =>
  `matrix(${a}, ${(d * height) / width}, ${(b * width) / height}, ${e}, ${c * width}, ${f * height})`;

const box = ([left, top, right, bottom]) => ({ x: left, y: top, width: right - left, height: bottom - top });

/** A picture with what is drawn on it. `quad`: corners; `proof`: regions that disagree; `children` lie on top. */
export function Frame({ src, alt, quad, proof, onLoad, children, kind = '' }) {
  if (!src) return html`<div class="frame none"><span>${alt}</span>${children}</div>`;
  return html`<div class=${`frame ${kind}`}><img src=${src} alt=${alt} draggable="false" onLoad=${onLoad} />
    <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
      ${quad && quad !== UNIT && html`<polygon class="halo" points=${quad.map(String).join(' ')} /><polygon class="quad" points=${quad.map(String).join(' ')} />`}
      ${proof?.disagreeing?.map((region) => html`<rect class="differs" ...${box(region)} />`)}
      ${proof?.recoloured?.map((region) => html`<rect class="recoloured" ...${box(region)} />`)}
    </svg>${children}</div>`;
}

/** What the marks on a picture mean, for those that are there. */
export function Legend({ proof, others = [] }) {
  const shown = [proof, ...others].filter(Boolean);
  if (!shown.length) return null;
  const some = (name) => shown.some((one) => one[name]?.length > 0);
  return html`<ul class="legend"><li><i class="quad"></i>${t('legend.frame')}</li>
    ${some('disagreeing') && html`<li><i class="differs"></i>${proof?.disagreeing?.length > 0 ? t('legend.differs', { n: proof.disagreeing.length }) : t('legend.differs.others')}</li>`}
    ${some('recoloured') && html`<li><i class="recoloured"></i>${proof?.recoloured?.length > 0 ? t('legend.recoloured', { n: proof.recoloured.length }) : t('legend.recoloured.others')}</li>`}</ul>`;
}

/** What a proof says, in words: of a query and a picture, or of a pair. */
export function factsOf(proof, pair = '') {
  const percent = (value) => `${Math.round(value)}\u00a0%`;
  return [
    t(`proof.query${pair}`, { percent: percent(proof.query_percent) }),
    t(`proof.picture${pair}`, { percent: percent(proof.picture_percent) }),
    proof.agreement !== undefined && t('proof.agreement', { percent: percent(100 * proof.agreement) }),
    proof.recoloured_share > 0.005 && t('proof.recoloured', { percent: percent(100 * proof.recoloured_share) }),
    proof.inliers > 0 && t('proof.inliers', { n: proof.inliers }),
    proof.mirrored && t('proof.mirrored'),
    proof.inverted && t('proof.inverted'),
  ].filter(Boolean);
}
