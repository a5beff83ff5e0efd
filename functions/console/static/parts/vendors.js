// What programs of the vendors call for an action, with the address of this service in place of theirs. Null where they have no such call.
// An action's `vendor`: {op, library, pictures, said, libraries, limit, threshold, url, file}.
import { inPython } from './written.js';

const reads = ({ file = 'picture.jpg' }) => [`with open(${JSON.stringify(file)}, "rb") as file:`, '    picture = file.read()'];

const PREFIXES = { same_hq: 'sameHq', similar: 'similar', product: 'product' };

/** Tags as Baidu takes them: two numbers, in products each in its class. */
function baiduTags({ kind }, tags = []) {
  const form = kind === 'product' ? /^([12]):([1-9]\d{0,4})$/ : /^()([1-9]\d{0,4})$/;
  const parts = tags.map((tag) => form.exec(tag));
  if (!parts.length || parts.length > 2 || parts.includes(null)) return {};
  return kind === 'product' ? Object.fromEntries(parts.map(([, place, id]) => [`class_id${place}`, Number(id)])) : { tags: tags.join(',') };
}

function baiduCall({ op, library, pictures, said = {}, url, ...how }) {
  const signs = JSON.stringify(pictures?.map((one) => one.cont_sign).join(';'));
  if (op === 'add') return 'Add(picture, "…")';
  if (op === 'search' && !how.threshold && how.libraries.length === 1) {
    const options = `{"rn": ${how.limit}}`;
    return url ? `SearchUrl(${JSON.stringify(url)}, ${options})` : `Search(picture, ${options})`;
  }
  const options = { ...(said.brief === undefined ? {} : { brief: said.brief }), ...baiduTags(library, said.tags) };
  if (op === 'update' && Object.keys(options).length) return `UpdateContSign(${signs}, ${inPython(options)})`;
  return op === 'delete' ? `DeleteBySign(${signs})` : null;
}

/** Baidu's SDK, in the libraries that it knows. */
export function baidu({ vendor }) {
  const prefix = vendor?.library?.identity === 'picture' && PREFIXES[vendor.library.name];
  const call = prefix && baiduCall(vendor);
  if (!call) return null;
  return ['from aip import AipImageSearch', '',
    'for cls in AipImageSearch.__mro__:', '    for name, value in list(vars(cls).items()):',
    '        if isinstance(value, str) and value.startswith("https://aip.baidubce.com"):',
    `            setattr(cls, name, value.replace("https://aip.baidubce.com", ${JSON.stringify(location.origin)}))`, '',
    'client = AipImageSearch("APP_ID", "API_KEY", "SECRET_KEY")', ...(call.includes('(picture') ? reads(vendor) : []),
    `print(client.${prefix}${call})`].join('\n');
}

/** Method, path and body of a call on Qiniu's groups: every library is one. In JSON, "uri" stands for the picture. */
function qiniuCall({ op, library, pictures, said, libraries, limit, threshold }) {
  const group = `/v1/image/group/${library?.name}`;
  const own = library?.identity === 'own';
  if (op === 'libraries') return ['get', '/v1/image/group'];
  if (op === 'list') return ['get', `${group}?limit=${limit}`];
  if (op === 'make' && library.kind === 'similar' && !said.capacity) return ['post', `${group}/new`, '{"data": []}'];
  if (op === 'drop') return ['post', `${group}/remove`, '{}'];
  if (op === 'add') return ['post', `${group}/add`, `{"data": [{"uri": uri${own ? ', "attribute": {"desc": "…"}' : ''}}]}`];
  if (op === 'delete') return ['post', `${group}/delete`, inPython({ images: pictures.map((one) => (own ? one.id : one.cont_sign)) })];
  if (op !== 'search' || libraries.length > 2) return null;
  const params = { groups: libraries, limit, ...(threshold ? { threshold } : {}) };
  return ['post', '/v1/image/groups/search', `{"data": {"uri": uri}, "params": ${inPython(params)}}`];
}

/** Qiniu's SDK, which has no calls of its own for groups: its helper signs them. */
export function qiniu({ vendor }) {
  const call = vendor && qiniuCall(vendor);
  if (!call) return null;
  const [method, path, said] = call;
  const helper = method === 'get' ? ['def get(path):', '    answer, info = http._get_with_qiniu_mac(HOST + path, None, auth)']
    : ['def post(path, said):', '    headers = {"Content-Type": "application/json"}', '    answer, info = http._post_with_qiniu_mac_and_headers(HOST + path, json.dumps(said), auth, headers)'];
  const uri = !said?.includes('"uri": uri') ? [] : vendor.url ? [`uri = ${JSON.stringify(vendor.url)}`]
    : [...reads(vendor), 'uri = "data:application/octet-stream;base64," + base64.b64encode(picture).decode()'];
  return ['import base64, json', 'from qiniu import QiniuMacAuth, http', '', `HOST = ${JSON.stringify(location.origin)}`,
    'auth = QiniuMacAuth("API_KEY", "SECRET_KEY")', '', '', ...helper, '    return info.text_body if answer is None else answer', '', '',
    ...uri, `print(${method}(${JSON.stringify(path)}${said ? `, ${said}` : ''}))`].join('\n');
}

/** The fields of a Jumdata call, whose pictures are all in one library. */
function jumdataCall({ op, pictures, libraries, limit, threshold, url }) {
  const image = url ? `url=${JSON.stringify(url)}` : 'base64=base64.b64encode(picture).decode()';
  if (op === 'add') return `"input", ${image}, description="…"`;
  if (op === 'search' && !threshold && libraries.length === 1) return `"search", ${image}, start=0, end=${limit}`;
  const signs = pictures?.map((one) => btoa(one.cont_sign).replace(/=+$/, '')).join();
  return op === 'delete' ? `"delete", contSign=${JSON.stringify(signs)}` : null;
}

/** Jumdata's calls, for which there is no SDK. */
export function jumdata({ vendor }) {
  const call = vendor?.library?.identity === 'picture' && vendor.library.name === 'jumdata' && jumdataCall(vendor);
  if (!call) return null;
  return ['import base64, hashlib, json, time', 'from urllib.parse import urlencode', 'from urllib.request import urlopen', '', 'APP_ID, SECRET_KEY = "APP_ID", "SECRET_KEY"', '', '',
    'def call(operation, **fields):', '    timestamp = str(int(time.time() * 1000))',
    '    sign = hashlib.sha256((APP_ID + SECRET_KEY + timestamp).encode()).hexdigest()',
    '    form = urlencode({"appId": APP_ID, "timestamp": timestamp, "sign": sign, **fields})',
    `    return json.load(urlopen(f"${location.origin}/image/similarity/v2/{operation}", form.encode()))`, '', '',
    ...(call.includes('(picture') ? reads(vendor) : []), `print(call(${call}))`].join('\n');
}
