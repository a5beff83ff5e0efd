// The one way to the service: its public API, with the session's cookie.
import { online, store } from './state.js';

export const BASE = '/api/v1';

/** Who is signed in; null if nobody is, undefined until that is known. */
export const session = store(undefined);

/** Whether a call found the session over: then the sign-in dialog lies over the page. */
export const expired = store(false);

/** Seconds between two tries to reach the service again: they double, up to the most. */
const [LEAST_WAIT, MOST_WAIT] = [1, 15];

let chain = 0;
const later = (wait) => setTimeout(tryAgain, wait * 1000, chain, Math.min(2 * wait, MOST_WAIT));

async function tryAgain(mine, wait) {
  if (mine !== chain || online.get()) return;
  const answer = await fetch(BASE, { cache: 'no-store' }).catch(() => null);
  if (mine !== chain || online.get()) return;
  if (answer?.ok) online.set(true);
  else later(wait);
}

/** The service was not reached: try until it is. Then what has waited for it goes on. */
export function lost() {
  if (!online.get()) return;
  online.set(false);
  later(LEAST_WAIT);
}

const now = () => !online.get() && !document.hidden && tryAgain((chain += 1), LEAST_WAIT);
addEventListener('online', now);
addEventListener('offline', lost);
document.addEventListener('visibilitychange', now);

/** A problem that a call was answered with (RFC 9457). `retryAfter`: seconds, if the service says so. */
export class Problem extends Error {
  constructor(status, said = {}, retryAfter = 0) {
    super(said.detail || said.title || `${status}`);
    Object.assign(this, { status, retryAfter, code: 'offline', title: '', detail: '', ...said });
  }
}

/** Problems that a gateway answers with by itself, which knows no codes. */
const BY_STATUS = { 413: 'request_too_large', 429: 'too_many_requests', 503: 'busy' };

/** The problem of an answer, whatever its body is. */
export function problemOf(status, text, retryAfter) {
  const said = status ? { code: BY_STATUS[status] ?? `http_${status}` } : {};
  try {
    Object.assign(said, JSON.parse(text));
  } catch {
    // A gateway's own page: its status is what can be said.
  }
  return new Problem(status, said, Number(retryAfter) || 0);
}

/** Make a call below /api/v1 or by a path of an answer; its JSON. Throws Problem. */
export async function call(method, path, json, headers = {}) {
  const answer = await sent(method, path, json === undefined ? undefined : JSON.stringify(json), {
    ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
    ...headers,
  });
  return answer ? JSON.parse(answer) : null;
}

/** Make a call whose rows are lines of JSON; the lines of its answer but for the last, which are totals. */
export async function bulk(library, rows) {
  const body = rows.map((row) => JSON.stringify(row)).join('\n');
  const answer = await sent('POST', `/libraries/${library}/bulk`, body, { 'Content-Type': 'application/x-ndjson' });
  return answer.trim().split('\n').map((line) => JSON.parse(line)).slice(0, -1);
}

async function sent(method, path, body, headers) {
  let answer;
  try {
    answer = await fetch(path.startsWith(BASE) ? path : BASE + path, { method, body, headers, credentials: 'same-origin' });
  } catch {
    lost();
    throw new Problem(0);
  }
  if (!online.get()) online.set(true);
  const text = await answer.text();
  if (answer.ok) return text;
  if (answer.status === 401 && !path.endsWith('/session')) {
    await signedInAgain();
    return sent(method, path, body, headers);
  }
  throw problemOf(answer.status, text, answer.headers.get('Retry-After'));
}

/** Wait until somebody has signed in again. */
export function signedInAgain() {
  expired.set(true);
  return new Promise((resolve) => {
    const unwatch = expired.watch(() => {
      if (!expired.get()) {
        unwatch();
        resolve();
      }
    });
  });
}

const SIGNED = 'lookalike.signed';

/** Sign in with keys or a one-time code. Throws Problem. */
export async function signIn(said) {
  await call('POST', '/session', said);
  localStorage.setItem(SIGNED, '1');
  session.set(await call('GET', '/session'));
  expired.set(false);
}

/** Whether a session may begin: there was one, or a link brings one. */
export const mayBeSigned = () => Boolean(localStorage.getItem(SIGNED)) || location.hash.startsWith('#once=');

/** Find out who is signed in, with the one-time code of the address if there is one. */
export async function begin() {
  const once = /^#once=(.{1,200})$/.exec(location.hash)?.[1];
  if (once) history.replaceState(null, '', location.pathname + location.search);
  const refused = once && (await signIn({ once }).then(() => null, (problem) => problem));
  if (once && !refused) return;
  try {
    // A link that is of no use signs nobody out who is signed in.
    session.set(localStorage.getItem(SIGNED) ? await call('GET', '/session') : null);
  } catch (problem) {
    if (problem.status === 401) localStorage.removeItem(SIGNED);
    session.set(null);
    if (problem.status !== 401) throw problem;
  }
  if (refused) throw refused;
}

export async function signOut() {
  await call('DELETE', '/session');
  localStorage.removeItem(SIGNED);
  session.set(null);
}

const PLAIN = /^(?!\.{1,2}$)[A-Za-z0-9._,-]{1,128}$/;

/** The path of a picture: an id that is not plain stands there in base64url. */
export function pathOf(library, id) {
  const bytes = () => String.fromCharCode(...new TextEncoder().encode(id));
  const segment = PLAIN.test(id) ? id : `~${btoa(bytes()).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')}`;
  return `${BASE}/libraries/${library}/pictures/${segment}`;
}

/** The address of a stored picture's file: size thumb, view or original. */
export function fileOf(picture, size) {
  const address = picture.image ?? `${picture.self}/image`;
  const query = `size=${size}${picture.state === 'deleted' ? '&state=deleted' : ''}`;
  return address + (address.includes('?') ? '&' : '?') + query;
}

/** Bytes from which a file is sent ahead of its call: what a gateway takes of one, in base64 and with its envelope. */
export const MAX_SENT = 4_400_000;

/** Send a form; the text that is answered. `progress` learns how many bytes of how many are sent. Throws Problem. */
export function sendForm(address, form, progress = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', address);
    request.upload.onprogress = ({ loaded, total }) => progress(loaded, total);
    request.onload = () => (request.status < 300 ? resolve(request.responseText)
      : reject(problemOf(request.status, request.responseText, request.getResponseHeader('Retry-After'))));
    request.onerror = () => reject(problemOf(0, ''));
    request.send(form);
  });
}

/** Send a file ahead of the one call that then names it: the picture as calls take it. Throws Problem. */
export async function sendAhead(file, progress) {
  const { upload, url, fields } = await call('POST', '/uploads');
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', file);
  await sendForm(url, form, progress);
  return { upload };
}

const unsent = (image) => (image.url ? { url: image.url } : { picture: image.id, library: image.library });

/** Stands before the name of a file where code shows its contents. */
export const FILE = '\u0001';

/** A picture as code shows it; any file, where there is none. */
export const sketched = (image) => (!image || image.file ? { base64: FILE + (image?.file.name ?? 'picture.jpg') } : unsent(image));

/** A picture as calls take it: {picture, library}, {url}, a file in base64, or one that was sent ahead. */
export async function given(image) {
  if (!image.file) return unsent(image);
  if (image.file.size > MAX_SENT) return sendAhead(image.file);
  const address = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(image.file);
  });
  return { base64: address.slice(address.indexOf(',') + 1) };
}

const addresses = new WeakMap();

/** The address at which the browser shows a picture: a file's own, or that of a stored one. '' if it may not. */
export function shownAt(image, size = 'view') {
  if (!image.file) return image.self ? fileOf(image, size) : '';
  if (!addresses.has(image.file)) addresses.set(image.file, URL.createObjectURL(image.file));
  return addresses.get(image.file);
}
