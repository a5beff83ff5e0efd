// A field of tags: Enter or a comma adds one, Backspace takes the last away.
import { html, useState } from '../vendor/htm-preact.js';
import { t } from '../i18n.js';
import { Icon } from './dialog.js';

export function Tags({ tags, onChange, label }) {
  const [text, setText] = useState('');
  const add = () => {
    const fresh = text.split(',').map((tag) => tag.trim()).filter((tag) => tag && !tags.includes(tag));
    setText('');
    if (fresh.length) onChange([...tags, ...fresh]);
  };
  const onKeyDown = (event) => {
    if (event.isComposing) return;
    if ((event.key === 'Enter' && text.trim()) || event.key === ',') {
      event.preventDefault();
      add();
    } else if (event.key === 'Backspace' && !text && tags.length) onChange(tags.slice(0, -1));
  };
  return html`<div class="field"><span aria-hidden="true">${label}</span><div class="tags">
    ${tags.map((tag) => html`<span class="tag" key=${tag}>${tag}<button type="button" aria-label=${t('tag.remove', { tag })}
      onClick=${() => onChange(tags.filter((one) => one !== tag))}><${Icon} name="x" /></button></span>`)}
    <input value=${text} aria-label=${label} placeholder=${tags.length ? '' : t('tags.add')} onInput=${(event) => setText(event.target.value)} onKeyDown=${onKeyDown} onBlur=${add} />
  </div></div>`;
}
