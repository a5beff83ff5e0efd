// The same action as a program does it: curl, Python, and the vendor's way where it has such a call.
import { html, useState } from '../vendor/htm-preact.js';
import { BASE, FILE } from '../api.js';
import { t } from '../i18n.js';
import { Dialog } from './dialog.js';
import { baidu, jumdata, qiniu } from './vendors.js';
import { inJson, inPython } from './written.js';

const quoted = (text) => `'${text.replace(/'/g, `'\\''`)}'`;

const FILES = new RegExp(`"${JSON.stringify(FILE).slice(1, -1).replace('\\', '\\\\')}((?:[^"\\\\]|\\\\.)*)"`, 'g');

/** JSON in quotes of a shell, with the files read where they stand. */
const inShell = (text) => quoted(text).replace(FILES, (_, name) =>
  `"'"$(base64 < ${quoted(JSON.parse(`"${name.replace(/'\\''/g, "'")}"`))} | tr -d '\\n')"'"`);

function curl({ method, path, json, rows, upload }) {
  const address = `"$API${path}"`;
  const lines = [`API=${location.origin}${BASE} KEYS=API_KEY:SECRET_KEY`];
  const way = method === 'GET' ? '' : ` -X ${method}`;
  if (upload) lines.push(`curl -su $KEYS ${address} -F image=@${quoted(upload)} -F ${quoted('picture={"brief": "…"}')}`);
  else if (rows) lines.push(`printf '%s\\n' ${rows.map((row) => inShell(inJson(row))).join(` \\\n  `)} |`, `  curl -su $KEYS ${address} -H 'Content-Type: application/x-ndjson' --data-binary @-`);
  else if (json) lines.push(`printf %s ${inShell(inJson(json))} |`, `  curl -su $KEYS${method === 'POST' ? '' : way} ${address} -H 'Content-Type: application/json' --data-binary @-`);
  else lines.push(`curl -su $KEYS${way} ${address}`);
  return lines.join('\n');
}

function python({ method, path, json, rows, upload }) {
  const said = upload ? { image: { base64: FILE + upload }, brief: '…' } : json;
  const data = rows ? `"\\n".join(map(json.dumps, ${inPython(rows)})).encode()` : said && `json.dumps(${inPython(said)}).encode()`;
  const reads = data?.includes('file("') ? ['def file(name):', '    with open(name, "rb") as opened:', '        return base64.b64encode(opened.read()).decode()', '', ''] : [];
  return ['import base64, json, urllib.request', '', `API = ${JSON.stringify(location.origin + BASE)}`, 'API_KEY, SECRET_KEY = "API_KEY", "SECRET_KEY"', '', '',
    'def call(method, path, data=None, kind="application/json"):',
    '    keys = base64.b64encode(f"{API_KEY}:{SECRET_KEY}".encode()).decode()',
    '    headers = {"Authorization": f"Basic {keys}", "Content-Type": kind}',
    '    with urllib.request.urlopen(urllib.request.Request(API + path, data, headers, method=method)) as answer:',
    '        return answer.read().decode()', '', '', ...reads,
    `print(call(${[JSON.stringify(method), JSON.stringify(path), data, rows && '"application/x-ndjson"'].filter(Boolean).join(', ')}))`].join('\n');
}

const WAYS = { curl, Python: python, 'Baidu SDK': baidu, 'Qiniu SDK': qiniu, Jumdata: jumdata };

/** The ways that there are to do it, each with its text. */
export function ways(action) {
  const plain = { ...action, path: action.path.replace(BASE, '') };
  return Object.entries(WAYS).map(([name, write]) => [name, write(plain)]).filter(([, text]) => text);
}

export function Code({ action, onClose }) {
  const texts = ways(action);
  const [chosen, choose] = useState('curl');
  const [copied, setCopied] = useState(false);
  const text = Object.fromEntries(texts)[chosen];
  const copy = () => navigator.clipboard?.writeText(text).then(() => setCopied(true));
  return html`<${Dialog} title=${t('code.title')} onClose=${onClose} kind="code" actions=${html`<a class="button" href=${`${BASE}/openapi.json`} target="_blank" rel="noopener">OpenAPI</a><span class="push"></span>
      <button type="button" class="main" onClick=${copy}>${copied ? t('copied') : t('copy')}</button>`}>
    <div class="tabs" role="group" aria-label=${t('code.title')}>${texts.map(([name]) => html`<button type="button" aria-pressed=${name === chosen} onClick=${() => [choose(name), setCopied(false)]}>${name}</button>`)}</div>
    <pre tabindex="0" aria-label=${chosen}><code>${text}</code></pre><p class="faint">${t('code.keys')}</p><//>`;
}
