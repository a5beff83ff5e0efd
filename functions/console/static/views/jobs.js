// Jobs of the application, the latest first.
import { html } from '../vendor/htm-preact.js';
import { call } from '../api.js';
import { date, t } from '../i18n.js';
import { CodeButton, Empty, Trouble } from '../parts/dialog.js';
import { Job, useWatch } from '../parts/job.js';
import { useLoad } from '../state.js';

export default function Jobs() {
  const { value, error, reload } = useLoad(() => call('GET', '/jobs'), []);
  const jobs = value?.jobs ?? [];
  useWatch(jobs, reload);
  if (error) return html`<div class="page"><${Trouble} problem=${error} onRetry=${reload} /></div>`;
  return html`<div class="page">
    <div class="head"><h1>${t('title.jobs')}</h1><span class="push"></span><${CodeButton} action=${{ method: 'GET', path: '/jobs' }} /></div>
    ${!value ? html`<div class="skeleton" aria-busy="true"></div>`
    : jobs.length ? html`<ul class="jobs">${jobs.map((job) => html`<li key=${job.id} class="panel">
        <h2><a href=${`/console/l/${job.library}/duplicates`}>${t(`job.kind.${job.kind}`)}: ${job.library}</a></h2>
        <p class="faint">${date(job.created)} · ${job.id}</p><${Job} job=${job} onChanged=${reload} /></li>`)}</ul>`
    : html`<${Empty} icon="empty" title=${t('job.none')} text=${t('job.none.text')} />`}
  </div>`;
}
