// What views share: stores, the address, loading, keys, notices.
import { useEffect, useLayoutEffect, useRef, useState } from './vendor/htm-preact.js';

/** A value that views watch. */
export function store(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      value = typeof next === 'function' ? next(value) : next;
      watchers.forEach((watcher) => watcher());
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

/** The value of a store; the view is drawn again when it changes. */
export function useStore(one) {
  const [, draw] = useState({});
  useEffect(() => {
    draw({});
    return one.watch(() => draw({}));
  }, [one]);
  return one.get();
}

/** Whether the service can be reached, as far as is known. */
export const online = store(true);

/** Milliseconds after which a call that did not get through is made again, if the service can be reached. */
const RETRY_CUT_MS = 5_000;

/** What a promise gives: {value}, {error} or neither yet; and reload. What an outage prevents is done when it is over; till then, what is there stays. */
export function useLoad(load, inputs) {
  const [state, set] = useState({});
  const [turn, again] = useState(0);
  useEffect(() => {
    let wanted = true;
    set(({ value, of }) => ({ value, of, loading: true }));
    const failed = (error) => ({ value, of }) => ({ ...(error.status === 0 && of?.every((one, i) => one === inputs[i]) ? { value, of } : { error }), cut: error.status === 0 });
    load().then(
      (value) => wanted && set({ value, of: inputs }),
      (error) => wanted && set(failed(error)),
    );
    return () => (wanted = false);
  }, [...inputs, turn]);
  useEffect(() => {
    if (!state.cut) return undefined;
    const retry = () => online.get() && again((n) => n + 1);
    const unwatch = online.watch(retry);
    const timer = setInterval(retry, RETRY_CUT_MS); // another call may have got through before this one was known to be cut
    return () => (clearInterval(timer), unwatch());
  }, [state.cut]);
  return { ...state, reload: () => again((n) => n + 1) };
}

const here = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });

/** The address: path and query. */
export const route = store(here());
addEventListener('popstate', () => route.set(here()));

/** Go to an address of the console. */
export function go(address, replace = false) {
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  route.set(here());
  if (!replace) scrollTo(0, 0);
}

const kept = (name) => JSON.parse(localStorage.getItem(`lookalike.${name}`) ?? 'null');

/** A store whose value outlives the page. */
export function keptStore(name, value) {
  const one = store(kept(name) ?? value);
  one.watch(() => localStorage.setItem(`lookalike.${name}`, JSON.stringify(one.get())));
  return one;
}

/** Whether single keys do something. */
export const keysOn = keptStore('keys', true);

const layers = [];

/** Let keys do something while the view is there. A modal layer hides the keys of those below it. */
export function useKeys(keys, modal = false) {
  const layer = useRef({ modal }).current;
  layer.keys = keys;
  useLayoutEffect(() => {
    layers.push(layer);
    return () => layers.splice(layers.indexOf(layer), 1);
  }, []);
}

const TYPED = 'input:not([type=checkbox],[type=radio],[type=range]), textarea, select';

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!keysOn.get() || event.target.closest?.(TYPED)) return;
  for (const layer of [...layers].reverse()) {
    const act = layer.keys[event.key];
    if (act) {
      event.preventDefault();
      act(event);
      return;
    }
    if (layer.modal) return;
  }
});

/** Notices: {id, text, action, label, seconds}. */
export const notices = store([]);

/** Show a notice for some seconds; `action` runs if its button, `label`, is pressed. */
export function notify(text, { label, action, seconds = 6 } = {}) {
  const id = Math.random();
  notices.set((all) => [...all.slice(-2), { id, text, label, action, seconds }]);
  setTimeout(() => dismiss(id), seconds * 1000);
}

export const dismiss = (id) => notices.set((all) => all.filter((one) => one.id !== id));

/** What is searched for, and in which library: {library, image}. */
export const asked = store({});

/** The two pictures that are compared: {a, b}; b is laid on a. */
export const compared = store({});

/** The drawer of uploads: {View}, once something was uploaded. */
export const drawer = store(null);

/** Paths of pictures that were deleted from this page. */
export const gone = store(new Set());

/** Do something with each of many, some at a time; what each gave, as allSettled says it. */
export async function each(many, act, atOnce = 4) {
  const given = new Array(many.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < many.length; i = next++) [given[i]] = await Promise.allSettled([act(many[i])]);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return given;
}
