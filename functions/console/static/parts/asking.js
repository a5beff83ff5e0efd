// What else a search is told: further examples, examples of what is not meant, tags, other libraries.
import { html } from '../vendor/htm-preact.js';
import { shownAt, sketched } from '../api.js';
import { t } from '../i18n.js';
import { Field, Icon } from './dialog.js';
import { FileButton } from './drop.js';
import { nameOf } from './grid.js';
import { Tags } from './tags.js';

/** What a search is told at first. `also`, `not`: pictures; `all`, `any`, `none`: tags; `libraries`: names of others. */
export const PLAIN = { limit: 20, threshold: 0, also: [], not: [], all: [], any: [], none: [], libraries: [] };

/** Examples that a search takes, and as many of what is not meant. */
const MAX_EXAMPLES = 8;

const FILTERS = ['all', 'any', 'none'];

/** The body of a search, but for the image. `picture`: how a picture stands there. */
export function bodyOf(library, box, said, picture = sketched) {
  const some = (name, value) => (value.length ? { [name]: value } : {});
  const filter = Object.assign({}, ...FILTERS.map((name) => some(name, said[name].map((tag) => ({ tag })))));
  return {
    ...(said.libraries.length ? { libraries: [library, ...said.libraries] } : {}),
    ...some('also', said.also.map(picture)), ...some('not', said.not.map(picture)),
    ...(box ? { box } : {}), limit: said.limit, ...(said.threshold ? { threshold: said.threshold } : {}),
    ...(Object.keys(filter).length ? { filter } : {}), explain: true,
  };
}

/** What a vendor's call needs to do the same; null where it has no words for it. */
export function vendorOf(library, image, box, said) {
  if (box || !library || [...FILTERS, 'also', 'not'].some((name) => said[name].length)) return null;
  return { op: 'search', library, libraries: [library.name, ...said.libraries], limit: said.limit, threshold: said.threshold, url: image?.url, file: image?.file?.name };
}

export const labelOf = (image) => image.file?.name ?? image.url ?? nameOf(image);

/** More room for examples: nobody is asked for more than calls take. */
export const roomFor = (said, name) => said[name].length < (name === 'also' ? MAX_EXAMPLES - 1 : MAX_EXAMPLES);

/** What is said, with one more example. */
export const withExample = (said, name, image) => (roomFor(said, name) ? { ...said, [name]: [...said[name], image] } : said);

function Thumbs({ name, said, say }) {
  const without = (gone) => say({ ...said, [name]: said[name].filter((one) => one !== gone) });
  const add = (files) => say(files.reduce((before, file) => withExample(before, name, { file }), said));
  return html`<div class="field" role="group" aria-label=${t(`examples.${name}`)}><span>${t(`examples.${name}`)}</span><ul class="thumbs">
    ${said[name].map((image) => html`<li><img src=${shownAt(image, 'thumb')} alt=${labelOf(image)} />
      <button type="button" class="icon" aria-label=${t('examples.remove', { name: labelOf(image) })} title=${t('examples.remove', { name: labelOf(image) })} onClick=${() => without(image)}><${Icon} name="x" /></button></li>`)}
    ${roomFor(said, name) && html`<li><${FileButton} bare=${true} many=${true} icon="plus" label=${t(`examples.${name}.add`)} onFiles=${add} /></li>`}</ul></div>`;
}

/** Options of a search. `others`: names of further libraries that find the like. */
export function Asking({ said, say, others }) {
  const set = (event) => say({ ...said, [event.target.name]: Number(event.target.value) });
  const tick = (name) => say({ ...said, libraries: said.libraries.includes(name) ? said.libraries.filter((one) => one !== name) : [...said.libraries, name] });
  return html`<details class="options" open=${innerWidth > 900 || said.also.length + said.not.length > 0}><summary>${t('search.options')}</summary>
    <div class="examples">${['also', 'not'].map((name) => html`<${Thumbs} name=${name} said=${said} say=${say} />`)}</div>
    <${Field} label=${t('search.limit')}><select name="limit" value=${said.limit} onChange=${set}>${[10, 20, 50, 100].map((n) => html`<option value=${n} selected=${said.limit === n}>${n}</option>`)}</select><//>
    <${Field} label=${`${t('search.threshold')} ${said.threshold.toFixed(2)}`}><input name="threshold" type="range" min="0" max="1" step="0.01" value=${said.threshold} onChange=${set} /><//>
    ${FILTERS.map((name) => html`<${Tags} key=${name} label=${t(`filter.${name}`)} tags=${said[name]} onChange=${(tags) => say({ ...said, [name]: tags })} />`)}
    ${others.length > 0 && html`<fieldset><legend>${t('search.libraries')}</legend><div class="choices">${others.map((name) => html`
      <label class="check"><input type="checkbox" checked=${said.libraries.includes(name)} onChange=${() => tick(name)} /> ${name}</label>`)}</div></fieldset>`}</details>`;
}
