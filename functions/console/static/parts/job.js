// A job: how far it is, and what can be done with it.
import { html, useEffect } from '../vendor/htm-preact.js';
import { call } from '../api.js';
import { number, t } from '../i18n.js';
import { notify } from '../state.js';

/** Milliseconds between two looks at a job that runs. */
const SECOND = 1000;

export const runs = (job) => job && ['queued', 'running'].includes(job.state);

/** Look again every second while one of the jobs runs. */
export function useWatch(jobs, reload) {
  const busy = jobs.some(runs);
  useEffect(() => {
    if (!busy) return undefined;
    const timer = setInterval(reload, SECOND);
    return () => clearInterval(timer);
  }, [busy]);
}

export function Job({ job, onChanged }) {
  const act = (verb) => call('POST', `${job.self}/${verb}`).catch((refused) => notify(refused.message)).then(onChanged);
  const open = runs(job) || job.state === 'paused';
  return html`<div class="job" role="status">
    <span>${t(`job.${job.state}`)}${job.detail ? `: ${job.detail}` : ''}</span>
    ${open && html`<progress max=${job.total || 1} value=${job.total ? job.done : null} aria-label=${t('job.progress')}></progress>
      <span class="faint">${job.total ? t('job.done_of', { done: number(job.done), all: number(job.total) }) : ''}</span>`}
    ${runs(job) && html`<button type="button" onClick=${() => act('pause')}>${t('job.pause')}</button>`}
    ${job.state === 'paused' && html`<button type="button" onClick=${() => act('resume')}>${t('job.resume')}</button>`}
    ${open && html`<button type="button" class="danger" onClick=${() => act('cancel')}>${t('cancel')}</button>`}
  </div>`;
}
