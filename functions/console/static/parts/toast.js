// Notices at the foot of the page; one with a button can be undone until it goes.
import { html } from '../vendor/htm-preact.js';
import { t } from '../i18n.js';
import { dismiss, notices, useStore } from '../state.js';
import { Icon } from './dialog.js';

function Notice({ notice }) {
  const act = () => {
    dismiss(notice.id);
    notice.action();
  };
  return html`<div class="toast"><span>${notice.text}</span>
    ${notice.label && html`<button type="button" class="link" onClick=${act}>${notice.label}</button>`}
    <button type="button" class="quiet icon" aria-label=${t('close')} onClick=${() => dismiss(notice.id)}><${Icon} name="x" /></button>
  </div>`;
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${useStore(notices).map((notice) => html`<${Notice} key=${notice.id} notice=${notice} />`)}</div>`;
}
