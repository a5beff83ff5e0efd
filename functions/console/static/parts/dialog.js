// Dialogs, and the states that every view has: loading, a problem, nothing there.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../vendor/htm-preact.js';
import { language, t, wordsOr } from '../i18n.js';
import { useKeys } from '../state.js';

/** A modal dialog. `keys` act while it is the topmost one. */
export function Dialog({ title, onClose, keys = {}, kind = '', actions, children }) {
  const dialog = useRef();
  const id = useRef(`d${Math.random().toString(36).slice(2)}`).current;
  useKeys(keys, true);
  useLayoutEffect(() => {
    const opener = document.activeElement;
    const element = dialog.current;
    element.showModal();
    return () => {
      element.close(); // what is below can have the focus again
      opener?.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    if (event.target === dialog.current) onClose();
  };
  // Browsers close it without asking at a second Esc: then it is opened again, and asked.
  const shut = ({ target }) => {
    if (target !== dialog.current || !target.isConnected || target.open) return;
    target.showModal();
    onClose();
  };
  return html`<dialog ref=${dialog} class=${kind} aria-labelledby=${id} onCancel=${cancel} onClose=${shut}
      onMouseDown=${(event) => event.target === dialog.current && onClose()}>
    <div class="sheet">
      <header><h2 id=${id}>${title}</h2>
        <button type="button" class="quiet icon" onClick=${onClose} aria-label=${t('close')} title=${t('close')}><${Icon} name="x" /></button>
      </header>
      <div class="body">${children}</div>
      ${actions && html`<footer>${actions}</footer>`}
    </div>
  </dialog>`;
}

/** Ask before something is done that many would miss. */
export function Confirm({ title, text, label, code, onYes, onClose }) {
  const yes = () => {
    onClose();
    onYes();
  };
  return html`<${Dialog} title=${title} onClose=${onClose} kind="small" actions=${html`
    ${code && html`<${CodeButton} action=${code} /><span class="push"></span>`}<button type="button" onClick=${onClose}>${t('cancel')}</button>
    <button type="button" class="danger" onClick=${yes}>${label}</button>`}><p>${text}</p><//>`;
}

/** A labelled field; `error` is what the service said of it. */
export function Field({ label, hint, error, children }) {
  return html`<label class="field"><span>${label}</span>${children}
    ${hint && html`<small>${hint}</small>`}${error && html`<small class="bad" role="alert">${error}</small>`}</label>`;
}

/** Statuses of refusals that the same call would only meet again. */
const FINAL = [400, 403, 404, 405, 410, 413, 422];

/** What a problem means, what to do about it, and by which number the log knows it. */
export function Trouble({ problem, onRetry, children }) {
  const [left, setLeft] = useState(problem.retryAfter);
  useEffect(() => setLeft(problem.retryAfter), [problem]);
  useEffect(() => {
    if (left <= 0) return undefined;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  const field = problem.field && wordsOr(problem.field.replace(/^\//, ''), '');
  const reason = reasonOf(problem);
  const remedy = wordsOr(`remedy.${problem.code}`, language.get() === 'en' ? problem.remedy : '');
  const details = [problem.status, problem.code, problem.field, problem.detail, problem.request].filter(Boolean).join(' · ');
  return html`<div class="trouble" role="alert">
    <${Icon} name="alert" />
    <div><strong>${titleOf(problem)}</strong>
      ${reason && html`<p>${field ? `${field}: ` : ''}${reason}</p>`}
      ${remedy && html`<p>${remedy}</p>`}
      ${problem.code === 'unavailable' && html`<p>${t('problem.adds_safe')}</p>`}
      ${problem.request && html`<p class="faint">${t('problem.request')} <code>${problem.request}</code></p>`}
      <div class="row">${children}
        ${onRetry && !FINAL.includes(problem.status) && html`<button type="button" disabled=${left > 0} onClick=${onRetry}>${left > 0 ? t('retry_in', { n: left }) : t('retry')}</button>`}
        <button type="button" class="quiet" onClick=${() => navigator.clipboard?.writeText(details)}>${t('copy')}</button>
      </div></div>
  </div>`;
}

/** The title of a problem in the reader's language; the service's own, where there are no words for it. */
export const titleOf = (problem) => wordsOr(`problem.${problem.code}`, problem.title || t('problem.other'));

const numbersOf = ({ detail }) => (detail.match(/\d+/g) ?? []).map(Number);

/** Codes whose details name bytes: those of the file, if they are known, and the most. */
const OF_BYTES = ['picture_size', 'request_too_large', 'upload_too_large', 'url_answer_too_long'];

/** Why, in the reader's language, told from the code and the numbers of the detail; the detail itself where there are no words for it. */
export function reasonOf(problem) {
  const { code, detail = '' } = problem;
  const n = numbersOf(problem);
  const mb = (bytes) => Math.floor(bytes / 1e5) / 10;
  if (code === 'picture_size' && n.length > 3) return t('reason.sides', { w: n[0], h: n[1], least: n[2], most: n[3] });
  if (OF_BYTES.includes(code) && n.length) return t(n.length > 1 ? 'reason.bytes' : 'reason.most', { size: mb(n[0]), most: mb(n.at(-1)) });
  if (code === 'too_many_failures') return problem.retryAfter > 0 ? t('reason.wait', { n: problem.retryAfter }) : '';
  if (code === 'empty_picture') return '';
  if (code !== 'not_a_picture') return detail;
  const [, formats] = /^not one of (.*)$/.exec(detail) ?? [];
  if (formats) return t('reason.formats', { formats });
  return t(/cut|no more than|truncated/i.test(detail) ? 'reason.cut' : 'reason.broken');
}

/** Whether the picture would be taken if it was smaller. */
export function isTooLarge(problem) {
  const n = numbersOf(problem);
  return problem.code === 'picture_size' && n.length > 3 ? Math.max(n[0], n[1]) > n[3] : OF_BYTES.includes(problem.code);
}

/** What one sees where there is nothing, and the one thing to do. */
export function Empty({ icon, title, text, children }) {
  return html`<div class="empty"><${Icon} name=${icon} /><h2>${title}</h2>${text && html`<p>${text}</p>`}${children}</div>`;
}

/** A button that shows how a program would do the same: {method, path, json, rows, upload, vendor}. */
export function CodeButton({ action }) {
  const [Code, setCode] = useState(null);
  const show = async () => setCode({ View: (await import('./code.js')).Code });
  return html`<button type="button" class="quiet icon" onClick=${show} aria-label=${t('code.show')} title=${t('code.show')}><${Icon} name="code" /></button>
    ${Code && html`<${Code.View} action=${action} onClose=${() => setCode(null)} />`}`;
}

const PATHS = {
  x: 'M6 6l12 12M18 6L6 18',
  plus: 'M12 5v14M5 12h14',
  code: 'M8 7l-5 5 5 5M16 7l5 5-5 5',
  alert: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  camera: 'M4 8h3l2-3h6l2 3h3v11H4zM12 10a3.4 3.4 0 100 6.800 3.400 3.400 0 000-6.800z',
  upload: 'M12 16V5M7 9l5-5 5 5M4 20h16',
  folder: 'M3 6h6l2 2h10v11H3zM12 16v-5M9.500 13.500l2.500-2.500 2.500 2.500',
  search: 'M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l4 4',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  undo: 'M9 6L4 11l5 5M4 11h10a5 5 0 010 10h-3',
  check: 'M5 12l5 5L19 7',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  compare: 'M12 3v18M4 6h5v12H4M20 6h-5v12h5',
  pictures: 'M3 5h14v14H3zM3 16l5-5 5 5 2-2 2 2M21 8v14H8',
  crop: 'M7 2v15h15M2 7h15v15',
  sun: 'M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2',
  moon: 'M20 14A8.500 8.500 0 1110 4a7 7 0 0010 10z',
  auto: 'M12 3a9 9 0 100 18 9 9 0 000-18zM12 3v18M15 4v16M18 6v12',
  keys: 'M3 6h18v12H3zM7 10h.5M12 10h.5M17 10h.5M8 14h8',
  out: 'M14 4h6v16h-6M10 8l-4 4 4 4M6 12h9',
  download: 'M12 4v11M7 11l5 5 5-5M4 20h16',
  save: 'M5 12l5 5L19 7',
  gear: 'M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4',
  minus: 'M5 12h14',
  empty: 'M4 8l8-4 8 4-8 4zM4 8v8l8 4 8-4V8M12 12v8',
};

export function Icon({ name }) {
  return html`<svg class="glyph" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
