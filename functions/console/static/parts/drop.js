// Files from outside: dropped (folders too), pasted, chosen.
import { html, useLayoutEffect, useRef, useState } from '../vendor/htm-preact.js';
import { Icon } from './dialog.js';

/** Files that file systems leave in folders, which nobody means to add. */
const LITTER = /^(\..*|Thumbs\.db|desktop\.ini)$/i;

async function walk(entry, found) {
  if (entry.isFile) {
    if (!LITTER.test(entry.name)) found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const one of some) await walk(one, found);
  }
}

/** The files that were dropped, those in folders too. */
async function filesOf(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === 'file').map((item) => item.webkitGetAsEntry?.());
  if (!entries.length || entries.includes(undefined) || entries.includes(null)) return [...transfer.files];
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

/** While files are dragged over the window, show what dropping them does: {icon, label, hint, run(files)} each. */
export function DropTargets({ targets }) {
  const [over, setOver] = useState(-1);
  const live = useRef();
  live.current = { targets, over };
  useLayoutEffect(() => {
    const carries = (event) => event.dataTransfer?.types.includes('Files') && !document.querySelector('dialog[open]');
    const at = (event) => Number(event.target.closest?.('[data-target]')?.dataset.target ?? 0);
    const acts = {
      dragover: (event) => carries(event) && setOver(at(event)),
      dragleave: (event) => event.relatedTarget === null && setOver(-1),
      drop: async (event) => {
        if (!carries(event)) return;
        const target = live.current.targets[at(event)];
        setOver(-1);
        const files = await filesOf(event.dataTransfer);
        if (files.length) target.run(files);
      },
    };
    for (const [name, act] of Object.entries(acts)) addEventListener(name, act);
    return () => {
      for (const [name, act] of Object.entries(acts)) removeEventListener(name, act);
    };
  }, []);
  if (over < 0) return null;
  return html`<div class="drops">${targets.map((target, i) => html`<div class=${i === over ? 'drop over' : 'drop'} data-target=${i}>
    <${Icon} name=${target.icon} /><strong>${target.label}</strong><span>${target.hint}</span></div>`)}</div>`;
}

/** The pictures of the clipboard; none if the reader does not allow it. */
async function picturesCopied() {
  const items = await navigator.clipboard.read().catch(() => []);
  const types = items.map((item) => item.types.find((type) => type.startsWith('image/')));
  const blobs = await Promise.all(items.map((item, i) => types[i] && item.getType(types[i])));
  return blobs.filter(Boolean).map((blob) => new File([blob], `clipboard.${blob.type.slice(6)}`, { type: blob.type }));
}

/** Let pasted pictures do something; `run` is given the files, and whether Shift was down. */
export function usePaste(run) {
  const live = useRef();
  live.current = run;
  useLayoutEffect(() => {
    let shift = false;
    const key = (event) => (shift = event.shiftKey);
    const paste = async (event) => {
      if (document.querySelector('dialog[open]')) return;
      const files = [...event.clipboardData.files];
      if (files.length) event.preventDefault();
      // With Shift, browsers paste text alone, and a picture only to whoever asks.
      else if (shift && !event.clipboardData.types.length) files.push(...(await picturesCopied()));
      if (files.length) live.current(files, shift);
    };
    addEventListener('keydown', key);
    addEventListener('paste', paste);
    return () => {
      removeEventListener('keydown', key);
      removeEventListener('paste', paste);
    };
  }, []);
}

/** A button that opens the system's dialog for files, or for a folder. `open`, a ref, is set to what opens it. */
export function FileButton({ onFiles, label, icon, kind = '', many = false, folder = false, bare = false, open = {} }) {
  const input = useRef();
  open.current = () => input.current.click();
  const chosen = () => {
    const files = [...input.current.files].filter((file) => !LITTER.test(file.name));
    input.current.value = '';
    if (files.length) onFiles(files);
  };
  return html`<input ref=${input} type="file" accept="image/*" multiple=${many} webkitdirectory=${folder} hidden onChange=${chosen} />
    <button type="button" class=${bare ? `${kind} icon` : kind} aria-label=${label} title=${bare ? label : undefined} onClick=${open.current}>
      <${Icon} name=${icon} />${bare ? '' : html` <span>${label}</span>`}</button>`;
}
