// The application: its libraries as pictures, its limits, its calls.
import { html, useState } from '../vendor/htm-preact.js';
import { call, fileOf, session } from '../api.js';
import { date, number, t } from '../i18n.js';
import { CodeButton, Dialog, Empty, Field, Icon, Trouble } from '../parts/dialog.js';
import { go, notify, useKeys, useLoad } from '../state.js';

function Card({ library }) {
  const { value } = useLoad(() => call('GET', `/libraries/${library.name}/pictures?limit=4`), [library.name, library.pictures]);
  const pictures = value?.pictures ?? [];
  const full = library.capacity ? Math.min(1, library.pictures / library.capacity) : null;
  return html`<li><a class="card" href=${`/console/l/${encodeURIComponent(library.name)}`}>
    <div class="cover" data-n=${pictures.length}>
      ${pictures.map((one) => html`<img src=${fileOf(one, 'thumb')} alt="" loading="lazy" />`)}
      ${value && !pictures.length && html`<${Icon} name="pictures" />`}
    </div>
    <div class="about"><h3>${library.name}</h3><p class="faint">${t(`kind.${library.kind}`)} · ${t('pictures', { n: library.pictures })}</p>
      ${full !== null && html`<meter min="0" max="1" high="0.9" value=${full} aria-label=${t('capacity')}></meter>
        <small class="faint">${t('capacity.of', { used: library.pictures, all: library.capacity })}</small>`}
    </div></a></li>`;
}

/** Libraries that programs of the vendors use by these names, and what they find there. */
const VENDORS = { same_hq: 'same', similar: 'similar', product: 'product', jumdata: 'similar' };

function NewLibrary({ onClose, onMade }) {
  const [problem, setProblem] = useState(null);
  const [said, say] = useState({ name: '', kind: 'same', capacity: '' });
  const theirs = VENDORS[said.name];
  const kind = theirs ?? said.kind;
  const body = { kind, ...(theirs ? { identity: 'picture' } : {}), ...(said.capacity ? { capacity: Number(said.capacity) } : {}) };
  const path = `/libraries/${encodeURIComponent(said.name)}`;
  const set = (event) => say({ ...said, [event.target.name]: event.target.value });
  const make = async (event) => {
    event.preventDefault();
    try {
      await call('PUT', path, body);
      onMade(said.name);
    } catch (refused) {
      setProblem(refused);
    }
  };
  return html`<${Dialog} title=${t('library.new')} onClose=${onClose} kind="small" actions=${html`
      <${CodeButton} action=${{ method: 'PUT', path: `/libraries/${said.name || 'shop'}`, json: body, vendor: { op: 'make', library: { name: said.name || 'shop', kind }, said: body } }} />
      <span class="push"></span><button type="button" onClick=${onClose}>${t('cancel')}</button>
      <button class="main" form="new-library">${t('library.make')}</button>`}>
    <form id="new-library" onSubmit=${make}>
      <${Field} label=${t('library.name')} hint=${theirs ? t('library.name.vendor') : t('library.name.hint')}>
        <input name="name" value=${said.name} onInput=${set} required maxlength="128" pattern="[A-Za-z0-9._\\-]+" spellcheck="false" autofocus /><//>
      <fieldset><legend>${t('library.kind')}</legend>${['same', 'similar', 'product'].map((one) => html`
        <label class="choice"><input type="radio" name="kind" value=${one} checked=${kind === one} disabled=${!!theirs} onChange=${set} />
          <span><strong>${t(`kind.${one}`)}</strong><small>${t(`kind.${one}.about`)}</small></span></label>`)}</fieldset>
      <${Field} label=${t('capacity')} hint=${t('capacity.hint')}><input name="capacity" type="number" min="1" max="1000000000" value=${said.capacity} onInput=${set} /><//>
      ${problem && html`<${Trouble} problem=${problem} />`}
    </form>
  <//>`;
}

/** What calls do, from the foot of a bar upwards. */
const OPERATIONS = ['search', 'add', 'update', 'delete', 'groups', 'other'];

/** Calls of a day by what they do; those that are not told apart are others. */
function splitOf({ calls, operations = {} }) {
  const told = Object.values(operations).reduce((sum, one) => sum + one, 0);
  return { ...operations, other: calls - told };
}

/** The parts of a day's bar: name, upper edge and height, of 58. */
function barsOf(day, most) {
  const split = splitOf(day);
  let y = 58;
  return OPERATIONS.filter((name) => split[name] > 0).map((name) => {
    const height = (split[name] / most) * 56;
    y -= height;
    return [name, y, height];
  });
}

/** Calls of all days by what they do. */
function totalsOf(days) {
  const splits = days.map(splitOf);
  return OPERATIONS.map((name) => [name, splits.reduce((sum, one) => sum + (one[name] ?? 0), 0)]).filter(([, n]) => n > 0);
}

function Usage() {
  const { value, error, reload } = useLoad(() => call('GET', '/usage?days=30'), []);
  const service = useLoad(() => call('GET', ''), []).value;
  if (error) return html`<${Trouble} problem=${error} onRetry=${reload} />`;
  if (!value) return html`<div class="skeleton low" aria-busy="true"></div>`;
  const calls = value.days.map((day) => day.calls);
  const most = Math.max(1, ...calls);
  const total = calls.reduce((sum, one) => sum + one, 0);
  const limits = ['capacity', 'per_second', 'per_day', 'in_total'].filter((name) => value[name] != null);
  const who = session.get();
  const copy = (text) => navigator.clipboard?.writeText(text).then(() => notify(t('copied')));
  return html`<dl class="facts">
      <div><dt>${t('application')}</dt><dd>${value.application}</dd></div>
      <div><dt>${t('app_id')}</dt><dd><code>${value.app_id}</code></dd></div>
      ${who.access_key && html`<div><dt>${t('access_key')}</dt><dd><code>${who.access_key}</code>
        <button type="button" class="quiet small" onClick=${() => copy(who.access_key)}>${t('copy')}</button></dd></div>`}
      ${limits.map((name) => html`<div><dt>${t(`limit.${name}`)}</dt><dd>${name === 'capacity' && value.pictures != null ? t('capacity.of', { used: number(value.pictures), all: number(value.capacity) }) : number(value[name])}</dd></div>`)}
      ${who.may?.length > 0 && html`<div><dt>${t('key.may')}</dt><dd>${who.may.join(', ')}</dd></div>`}
      ${who.libraries?.length > 0 && html`<div><dt>${t('key.libraries')}</dt><dd>${who.libraries.join(', ')}</dd></div>`}
      ${service && html`<div><dt>${t('service')}</dt><dd>${service.version} · ${service.model}</dd></div>
        <div><dt>${t('picture.limits')}</dt><dd>${t('picture.limits.are', { size: Math.floor(service.pictures.max_upload_bytes / 1e5) / 10, least: service.pictures.min_side, most: service.pictures.max_side, formats: service.pictures.formats.join(', ') })}</dd></div>`}
      ${!limits.length && html`<div><dt>${t('limits')}</dt><dd>${t('limits.none')}</dd></div>`}
    </dl>
    ${value.counted ? html`<figure class="usage"><svg viewBox="0 0 300 60" preserveAspectRatio="none" role="img" aria-label=${t('usage.total', { n: total })}>
      ${value.days.map((day, i) => html`<g><title>${day.day}: ${number(day.calls)}</title>${barsOf(day, most).map(([name, y, height]) => html`<rect class=${`op-${name}`} x=${(i * 300) / calls.length + 1} width=${300 / calls.length - 2} y=${y} height=${height} />`)}</g>`)}</svg>
      <ul class="legend">${totalsOf(value.days).map(([name, n]) => html`<li><i class=${`op-${name}`}></i>${t(`operation.${name}`)} ${number(n)}</li>`)}</ul>
      <figcaption class="faint">${t('usage.today', { n: calls.at(-1) })} · ${t('usage.total', { n: total })}</figcaption></figure>`
    : html`<p class="faint">${t('usage.off')} <code>LOOKALIKE_COUNT_USAGE=1</code></p>`}
    <p class="faint">${t('limits.raise')} <code>lookalike keys change</code></p>`;
}

export default function Application() {
  const [making, setMaking] = useState(false);
  const { value, error, reload } = useLoad(() => call('GET', '/libraries'), []);
  useKeys({ n: () => setMaking(true) });
  const made = (name) => go(`/console/l/${encodeURIComponent(name)}`);
  const button = html`<button type="button" class="main" onClick=${() => setMaking(true)}><${Icon} name="plus" /> ${t('library.new')}</button>`;
  return html`<div class="page">
    <div class="head"><h1>${t('libraries')}</h1><span class="push"></span><${CodeButton} action=${{ method: 'GET', path: '/libraries', vendor: { op: 'libraries' } }} />${value?.libraries.length > 0 && button}</div>
    ${error ? html`<${Trouble} problem=${error} onRetry=${reload} />`
    : !value ? html`<ul class="cards" aria-busy="true">${[1, 2, 3].map(() => html`<li class="card skeleton"></li>`)}</ul>`
    : value.libraries.length ? html`<ul class="cards">${value.libraries.map((library) => html`<${Card} key=${library.name} library=${library} />`)}</ul>`
    : html`<${Empty} icon="pictures" title=${t('libraries.none')} text=${t('libraries.none.text')}>${button}<//>`}
    <section class="panel"><div class="head"><h2>${t('application')}</h2><span class="push"></span><${CodeButton} action=${{ method: 'GET', path: '/usage?days=30' }} /></div><${Usage} /></section>
    ${making && html`<${NewLibrary} onClose=${() => setMaking(false)} onMade=${made} />`}
  </div>`;
}
