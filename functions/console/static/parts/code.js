// The same action as a program does it: curl, Python, and the vendor's SDK where it has such a call.
import { html, useState } from '../vendor/htm-preact.js';
import { BASE } from '../api.js';
import { t } from '../i18n.js';
import { Dialog } from './dialog.js';

const quoted = (text) => `'${text.replace(/'/g, `'\\''`)}'`;
const spaced = (value) => JSON.stringify(value, null, 1).replace(/\n\s*/g, ' ').replace(/([[{]) /g, '$1').replace(/ ([\]}])/g, '$1');

/** Stands for a picture's file in base64. */
const FILE = '"…"';

function curl({ method, path, json, upload, file = 'picture.jpg' }) {
  const address = `"$API${path}"`;
  const lines = [`API=${location.origin}${BASE} KEYS=API_KEY:SECRET_KEY`];
  const json_header = `-H 'Content-Type: application/json'`;
  if (upload) lines.push(`curl -u $KEYS ${address} -F image=@${upload} -F ${quoted('picture={"brief": "…"}')}`);
  else if (!json) lines.push(`curl -u $KEYS${method === 'GET' ? '' : ` -X ${method}`} ${address}`);
  else if (spaced(json).includes(FILE)) {
    const body = quoted(spaced(json)).replaceAll(FILE, `"'"$(base64 -w0 ${quoted(file)})"'"`);
    lines.push(`printf %s ${body} |`, `  curl -u $KEYS ${address} ${json_header} --data-binary @-`);
  } else lines.push(`curl -u $KEYS${method === 'POST' ? '' : ` -X ${method}`} ${address} ${json_header} -d ${quoted(spaced(json))}`);
  return lines.join('\n');
}

const python_value = (value) => spaced(value).replace(/\btrue\b/g, 'True').replace(/\bfalse\b/g, 'False').replace(/\bnull\b/g, 'None').replaceAll(FILE, 'picture');

function python({ method, path, json, upload, file = upload ?? 'picture.jpg' }) {
  const body = upload ? { image: { base64: '…' }, brief: '…!' } : json;
  const reads = body && spaced(body).includes(FILE) ? [`with open(${JSON.stringify(file)}, "rb") as file:`, '    picture = base64.b64encode(file.read()).decode()', ''] : [];
  return ['import base64, json, urllib.request', '', `API, KEYS = ${JSON.stringify(location.origin + BASE)}, f"{API_KEY}:{SECRET_KEY}"`, '', '',
    'def call(method, path, said=None):',
    '    headers = {"Authorization": "Basic " + base64.b64encode(KEYS.encode()).decode(), "Content-Type": "application/json"}',
    '    data = None if said is None else json.dumps(said).encode()',
    '    with urllib.request.urlopen(urllib.request.Request(API + path, data, headers, method=method)) as answer:',
    '        return json.loads(answer.read() or "null")', '', '', ...reads,
    `print(call(${JSON.stringify(method)}, ${JSON.stringify(path)}${body ? `, ${python_value(body).replace('…!', '…')}` : ''}))`].join('\n');
}

const PREFIX = { same_hq: 'sameHq', similar: 'similar', product: 'product' };

/** The line of Baidu's SDK, in the libraries that it knows. */
function baidu({ vendor, library, json, sign }) {
  const prefix = PREFIX[library?.name ?? library];
  if (!vendor || !prefix) return null;
  const options = json?.brief === undefined ? '{"tags": "1,2"}' : `{"brief": ${JSON.stringify(json.brief)}}`;
  const call = {
    add: 'Add(picture, {"brief": "…"})',
    search: `Search(picture, {"rn": ${json?.limit ?? 20}})`,
    update: `UpdateContSign(${JSON.stringify(sign)}, ${options})`,
    delete: `DeleteBySign(${JSON.stringify(sign)})`,
  }[vendor];
  const reads = call.includes('picture') ? ['with open("picture.jpg", "rb") as file:', '    picture = file.read()'] : [];
  return ['from aip import AipImageSearch', '', 'client = AipImageSearch(APP_ID, API_KEY, SECRET_KEY)', ...reads, `print(client.${prefix}${call})`].join('\n');
}

const WAYS = { curl, Python: python, 'Baidu SDK': baidu };

export function Code({ action, onClose }) {
  const plain = { ...action, path: action.path.replace(BASE, '') };
  const texts = Object.entries(WAYS).map(([name, write]) => [name, write(plain)]).filter(([, text]) => text);
  const [chosen, choose] = useState('curl');
  const [copied, setCopied] = useState(false);
  const text = Object.fromEntries(texts)[chosen];
  const copy = () => navigator.clipboard?.writeText(text).then(() => setCopied(true));
  return html`<${Dialog} title=${t('code.title')} onClose=${onClose} actions=${html`<a class="button" href=${`${BASE}/openapi.json`} target="_blank" rel="noopener">OpenAPI</a><span class="push"></span>
      <button type="button" class="main" onClick=${copy}>${copied ? t('copied') : t('copy')}</button>`}>
    <div class="tabs" role="group" aria-label=${t('code.title')}>${texts.map(([name]) => html`<button type="button" aria-pressed=${name === chosen} onClick=${() => [choose(name), setCopied(false)]}>${name}</button>`)}</div>
    <pre tabindex="0"><code>${text}</code></pre><//>`;
}
