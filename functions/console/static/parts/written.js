// Values as languages write them, on one line.
import { FILE } from '../api.js';

const JSON_WORDS = { true: 'true', false: 'false', null: 'null', file: (name) => JSON.stringify(FILE + name) };
const PYTHON_WORDS = { true: 'True', false: 'False', null: 'None', file: (name) => `file(${JSON.stringify(name)})` };

/** A value on one line, in the words of a language; `file` writes what stands for a file. */
function written(value, words) {
  if (Array.isArray(value)) return `[${value.map((one) => written(one, words)).join(', ')}]`;
  if (typeof value === 'string') return value.startsWith(FILE) ? words.file(value.slice(1)) : JSON.stringify(value);
  if (value === null || typeof value === 'boolean') return words[value];
  if (typeof value !== 'object') return String(value);
  const members = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{${members.map(([name, one]) => `${JSON.stringify(name)}: ${written(one, words)}`).join(', ')}}`;
}

/** A value as JSON on one line. */
export const inJson = (value) => written(value, JSON_WORDS);

/** A value as Python writes it. */
export const inPython = (value) => written(value, PYTHON_WORDS);
