// Pictures beside the grid's order: those just added, and those whose briefs have some words.
import { html } from '../vendor/htm-preact.js';
import { call, fileOf } from '../api.js';
import { t } from '../i18n.js';
import { gone, useLoad, useStore } from '../state.js';
import { nameOf } from './grid.js';
import { uploads } from './uploads.js';

/** Pictures that are shown. */
const MAX_SHOWN = 24;

/** Pictures whose briefs are looked at, and how many are read at a time. */
const [MAX_READ, READ] = [5000, 1000];

const Strip = ({ title, pictures, onOpen }) => html`<section class="strip" aria-label=${title}><h2>${title}</h2><ul>
  ${pictures.map((one) => html`<li key=${one.self}><button type="button" class="bare" title=${nameOf(one)} aria-label=${t('open', { name: nameOf(one) })} onClick=${() => onOpen(one)}>
    <img src=${fileOf(one, 'thumb')} alt="" /></button></li>`)}</ul></section>`;

/** What was added from this page, the latest first. */
export function Fresh({ library, onOpen }) {
  const away = useStore(gone);
  const added = useStore(uploads).filter((one) => one.library === library && one.state === 'added' && !away.has(one.picture.self));
  if (!added.length) return null;
  return html`<${Strip} title=${t('fresh')} pictures=${added.map((one) => one.picture).reverse().slice(0, MAX_SHOWN)} onOpen=${(one) => onOpen(one.id)} />`;
}

async function named(library, text) {
  const words = text.toLowerCase();
  const found = [];
  let [after, read] = ['', 0];
  do {
    const page = await call('GET', `/libraries/${library}/pictures?limit=${READ}${after ? `&after=${encodeURIComponent(after)}` : ''}`);
    found.push(...page.pictures.filter((one) => nameOf(one).toLowerCase().includes(words)));
    read += page.pictures.length;
    after = page.next;
  } while (after && read < MAX_READ && found.length < MAX_SHOWN);
  return { found: found.slice(0, MAX_SHOWN), read: after && found.length < MAX_SHOWN ? read : 0 };
}

/** Pictures whose briefs have these words. */
export function Named({ library, text, onOpen }) {
  const { value } = useLoad(() => named(library, text), [library, text]);
  if (!value) return null;
  return html`${value.found.length > 0 && html`<${Strip} title=${t('named', { n: value.found.length })} pictures=${value.found} onOpen=${onOpen} />`}
    ${value.read > 0 && html`<p class="faint">${t('named.many', { n: value.read })}</p>`}`;
}
