// A picture larger than allowed, made smaller by the browser: never without being asked, as other pixels are another picture.
import { html, useState } from '../vendor/htm-preact.js';
import { call } from '../api.js';
import { t } from '../i18n.js';
import { notify } from '../state.js';
import { isTooLarge } from './dialog.js';

/** Bytes up to which a picture stays PNG if it was; a larger one becomes JPEG. */
const MAX_PNG = 20_000_000;

/** The file, upright and with sides that the service takes. Throws if the browser cannot read it. */
export async function scaledDown(file) {
  const { max_side: side } = (await call('GET', '')).pictures;
  const image = await createImageBitmap(file, { imageOrientation: 'from-image' });
  const share = Math.min(1, side / Math.max(image.width, image.height));
  const canvas = Object.assign(document.createElement('canvas'), { width: Math.max(1, Math.round(image.width * share)), height: Math.max(1, Math.round(image.height * share)) });
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  const as = (type) => new Promise((resolve) => canvas.toBlob(resolve, type, 0.95));
  const png = file.type === 'image/png' && (await as('image/png'));
  const blob = png && png.size <= MAX_PNG ? png : await as('image/jpeg');
  return new File([blob], file.name, { type: blob.type });
}

/** Where a file was refused as too large: a button that goes on with a smaller one. */
export function Smaller({ file, problem, onFile }) {
  const [busy, setBusy] = useState(false);
  if (!file || !isTooLarge(problem)) return null;
  const act = () => [setBusy(true), scaledDown(file).then(onFile, () => [setBusy(false), notify(t('reason.unreadable'))])];
  return html`<button type="button" disabled=${busy} onClick=${act}>${t('scale')}</button>`;
}
