// A field of tags: Enter or a comma adds one, Backspace takes the last away.
import { html, useState } from '../vendor/htm-preact.js';
import { t } from '../i18n.js';
import { Icon } from './dialog.js';

/** Libraries whose tags are numbers, as Baidu has them; in products each number has a class before it. */
const NUMBERED = { same_hq: /^(\d{1,5})$/, similar: /^(\d{1,5})$/, product: /^[12]:(\d{1,5})$/ };
const MAX_TAG = 65535;

function isTag(tag, library) {
  const form = NUMBERED[library?.name];
  if (!form) return true;
  const [, number] = form.exec(tag) ?? [];
  return number >= 1 && number <= MAX_TAG;
}

/** `library`: the one that the tags are for, if they are of a picture. What cannot be a tag there stays text, and the hint says why. */
export function Tags({ tags, onChange, label, library }) {
  const [text, setText] = useState('');
  const [refused, refuse] = useState(false);
  const add = () => {
    const said = text.split(',').map((tag) => tag.trim()).filter((tag) => tag && !tags.includes(tag));
    const fresh = said.filter((tag) => isTag(tag, library));
    refuse(fresh.length < said.length);
    setText(said.filter((tag) => !fresh.includes(tag)).join(', '));
    if (fresh.length) onChange([...tags, ...new Set(fresh)]);
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
  </div>${NUMBERED[library?.name] && html`<small key=${refused} ...${refused && { class: 'bad', role: 'alert' }}>${t(library.name === 'product' ? 'tags.classes' : 'tags.numbers')}</small>`}</div>`;
}
