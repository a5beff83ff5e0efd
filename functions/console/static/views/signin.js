// Sign in with an application's keys.
import { html, useState } from '../vendor/htm-preact.js';
import { expired, session, signIn } from '../api.js';
import { t } from '../i18n.js';
import { Dialog, Field, Trouble } from '../parts/dialog.js';

/** What whoever runs the service types for a link, as far as the address tells where it runs: `make run` has its own folder. */
function command() {
  const { hostname, origin } = location;
  if (/\.amazonaws\.com(\.cn)?$/.test(hostname)) return '.venv/bin/lookalike console --stack STACK';
  return origin === 'http://127.0.0.1:8000' ? '.venv/bin/lookalike console --data data' : `.venv/bin/lookalike console --data DATA_FOLDER --url ${origin}`;
}

function Form({ problem: before, children }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(before);
  const submit = async (event) => {
    event.preventDefault();
    const said = Object.fromEntries(new FormData(event.target));
    setBusy(true);
    setProblem(null);
    try {
      await signIn({ access_key: said.access_key.trim(), secret_key: said.secret_key.trim() });
    } catch (refused) {
      setProblem(refused);
      setBusy(false);
    }
  };
  return html`<form class="signin" onSubmit=${submit}>
    ${children}
    <${Field} label=${t('access_key')}><input name="access_key" required autocomplete="username" autofocus spellcheck="false" /><//>
    <${Field} label=${t('secret_key')}><input name="secret_key" type="password" required autocomplete="current-password" /><//>
    ${problem && html`<${Trouble} problem=${problem} />`}
    <button class="main" disabled=${busy}>${t('signin')}</button>
    <p class="faint">${t('signin.hint')} <code>${command()}</code></p>
  </form>`;
}

export default function SignIn({ problem, over }) {
  if (!over) return html`<section class="door"><${Form} problem=${problem}><h1>${t('signin.title')}</h1><p>${t('signin.about')}</p><//></section>`;
  const leave = () => {
    session.set(null);
    expired.set(false);
  };
  return html`<${Dialog} title=${t('signin.again')} kind="small" onClose=${leave}><${Form}><p>${t('signin.kept')}</p><//><//>`;
}
