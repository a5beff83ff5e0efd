// The index: how much of what was added searches find by now, and what looks after it.
import { html, useEffect } from '../vendor/htm-preact.js';
import { call } from '../api.js';
import { date, number, t } from '../i18n.js';
import { CodeButton, Icon, Trouble } from '../parts/dialog.js';
import { useLoad } from '../state.js';

/** Milliseconds between two looks, while the page is open. */
const AGAIN = 15_000;

function State({ lag_seconds: lag, dead_letters: dead }) {
  const behind = lag > 0;
  return html`<p class=${`health ${behind || dead ? 'warns' : ''}`} role="status"><${Icon} name=${behind || dead ? 'alert' : 'check'} />
    <span>${behind ? t('index.behind', { n: Math.round(lag) }) : t('index.level')}${dead > 0 ? ` ${t('index.dead', { n: dead })}` : ''}</span></p>`;
}

export default function Index() {
  const { value, error, reload } = useLoad(() => call('GET', '/index'), []);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && reload(), AGAIN);
    return () => clearInterval(timer);
  }, []);
  const fact = (key, said) => said !== undefined && said !== '' && html`<div><dt>${t(`index.${key}`)}</dt><dd>${said}</dd></div>`;
  return html`<div class="page">
    <div class="head"><h1>${t('title.index')}</h1><div class="acts"><${CodeButton} action=${{ method: 'GET', path: '/index' }} /></div></div>
    ${error ? html`<${Trouble} problem=${error} onRetry=${reload} />`
    : !value ? html`<div class="skeleton low" aria-busy="true"></div>`
    : html`<section class="panel first"><${State} ...${value} />
      <dl class="facts across">${fact('pictures', number(value.pictures))}${fact('model', value.model)}
        ${fact('oldest', value.oldest_unindexed && date(value.oldest_unindexed))}${fact('purge', value.last_purge && date(value.last_purge))}
        ${Object.entries(value.generations ?? {}).map(([kind, name]) => html`<div><dt>${t('index.generation', { kind: t(`kind.${kind}`) })}</dt><dd><code>${name}</code></dd></div>`)}</dl>
      <p class="faint">${t('index.about')}</p></section>`}
  </div>`;
}
