// Words, numbers and dates in the language of the reader.
import { keptStore } from './state.js';

const MAPS = { en: () => import('./i18n/en.js'), zh: () => import('./i18n/zh.js') };
const preferred = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((code) => MAPS[code]) ?? 'en';

/** The language: en or zh. */
export const language = keptStore('language', preferred);

let words = {};
let plural, numbers, dates;

/** Load the words of the language. */
export async function loadWords() {
  const code = language.get();
  words = (await MAPS[code]()).default;
  document.documentElement.lang = code === 'zh' ? 'zh-CN' : 'en';
  plural = new Intl.PluralRules(code);
  numbers = new Intl.NumberFormat(code);
  dates = new Intl.DateTimeFormat(code, { dateStyle: 'medium', timeStyle: 'short' });
}

/** The words of a key. {name} is replaced by a value; of words with | the first are for one, the last for other `n`. */
export function t(key, values = {}) {
  const forms = (words[key] ?? key).split('|');
  const said = values.n === undefined || plural.select(values.n) === 'one' ? forms[0] : forms.at(-1);
  return said.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === 'number' ? number(values[name]) : values[name]));
}

/** Words of a key, or another text where there are none. */
export const wordsOr = (key, other) => words[key] ?? other;

export const number = (value) => numbers.format(value);
/** Four digits of a score, rounded down: 1 is said of the identical picture alone. The term is there because 0.0003 × 10,000 < 3. */
export const score = (value) => (Math.floor(value * 1e4 + 1e-6) / 1e4).toFixed(4);
export const date = (text) => dates.format(new Date(text));
