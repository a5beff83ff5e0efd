// Pictures in a grid, roamed with arrows; x selects, Shift and arrows select on.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js';
import { fileOf } from '../api.js';
import { t } from '../i18n.js';
import { Icon } from './dialog.js';

/** What is said of a picture: its brief, or a name in it, or else its id. */
export function nameOf(picture) {
  try {
    return JSON.parse(picture.brief).name ?? picture.brief;
  } catch {
    return picture.brief || picture.id;
  }
}

/** `selected`: a set of paths. `onSelect` is given the next set, `onOpen` and `act` the number of a picture. */
export function Grid({ pictures, selected, onSelect, onOpen, act = {} }) {
  const list = useRef();
  const [at, setAt] = useState(0);
  const current = Math.min(at, pictures.length - 1);
  const had = useRef(false);
  useEffect(() => {
    // What had the focus is gone, deleted: the next one has it.
    if (had.current && document.activeElement === document.body) list.current.children[current]?.focus();
  }, [pictures]);

  const columns = () => getComputedStyle(list.current).gridTemplateColumns.split(' ').length;
  const move = (to, extend) => {
    const next = Math.max(0, Math.min(pictures.length - 1, to));
    if (extend) onSelect(new Set([...selected, pictures[current].self, pictures[next].self]));
    setAt(next);
    list.current.children[next].focus();
  };
  const toggle = (i) => {
    const next = new Set(selected);
    if (!next.delete(pictures[i].self)) next.add(pictures[i].self);
    onSelect(next);
  };
  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns(), Home: -current, End: pictures.length };
    const acts = { ' ': onOpen, Enter: onOpen, x: toggle, ...act };
    if (event.key in steps) move(current + steps[event.key], event.shiftKey);
    else if (acts[event.key]) acts[event.key](current);
    else return;
    event.preventDefault();
  };
  const onClick = (event, i) => {
    setAt(i);
    if (event.target.closest('.tick') || event.shiftKey || event.ctrlKey || event.metaKey) toggle(i);
    else onOpen(i);
  };
  return html`<ul class="grid" ref=${list} role="listbox" aria-multiselectable="true" aria-label=${t('pictures.all')} onKeyDown=${onKeyDown}
      onfocusin=${() => (had.current = true)} onfocusout=${(event) => event.relatedTarget && (had.current = list.current.contains(event.relatedTarget))}>
    ${pictures.map((picture, i) => html`<li key=${picture.self} role="option" class="tile" tabindex=${i === current ? 0 : -1}
        aria-selected=${selected.has(picture.self) ? 'true' : 'false'} onClick=${(event) => onClick(event, i)} onFocus=${() => setAt(i)}>
      <img src=${fileOf(picture, 'thumb')} alt=${nameOf(picture)} loading="lazy" decoding="async" />
      <span class="caption" aria-hidden="true">${nameOf(picture)}</span>
      <span class="tick" aria-hidden="true"><${Icon} name="check" /></span>
    </li>`)}</ul>`;
}
