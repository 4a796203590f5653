// The texts of the components: English and Chinese, and those of the application. They are ICU messages.
import { MessageFormatter, pluralTypeHandler, selectTypeHandler } from '@ultraq/icu-message-formatter';
import { en } from './en.js';

/** The name of a text. */
export type TextKey = keyof typeof en;

/** Texts by their names, in the ICU message format. */
export type Texts = Record<TextKey, string>;

/** The values in a text. */
export type TextValues = Record<string, string | number>;

/** The languages that are complete. For another one, give all texts to the provider. */
export type Language = 'en' | 'zh';

const rightToLeft = new Set(['ar', 'arc', 'ckb', 'dv', 'fa', 'he', 'ps', 'sd', 'ug', 'ur', 'yi']);

/** Returns the complete language that is nearest to a locale. */
export function languageOf(locale: string): Language {
  return /^zh\b/i.test(locale) ? 'zh' : 'en';
}

/** Returns a valid locale for the texts: without texts of the application, one of a complete language. */
export function localeOf(locale: string, own: boolean): string {
  let valid = 'en';
  try {
    valid = Intl.getCanonicalLocales(locale.replaceAll('_', '-'))[0] ?? 'en';
  } catch {
    // not a language tag
  }
  const language = languageOf(valid);
  return own || valid.split('-')[0] === language ? valid : language;
}

/** Returns the direction of a locale's writing. */
export function directionOf(locale: string): 'ltr' | 'rtl' {
  return rightToLeft.has(locale.split('-')[0]!.toLowerCase()) ? 'rtl' : 'ltr';
}

/** Formatter formats the texts of one locale. */
export class Formatter<K extends string> {
  readonly locale: string;
  #texts: Record<K, string>;
  #messages: MessageFormatter;

  constructor(locale: string, texts: Record<K, string>) {
    this.locale = locale;
    this.#texts = texts;
    this.#messages = new MessageFormatter(locale, { plural: pluralTypeHandler, select: selectTypeHandler });
  }

  /** Returns a text with its values. */
  text(key: K, values?: TextValues): string {
    const message = this.#texts[key];
    if (!message.includes('{')) return message;
    return this.#messages.process(message, values).flat(Infinity).join(''); // format keeps each result
  }
}

/** Translator formats the texts, times and lists of one locale. */
export class Translator extends Formatter<TextKey> {
  #times: Record<'time' | 'day' | 'longDay', Intl.DateTimeFormat>;

  /** texts are those of the language, with those of the application over them. */
  constructor(locale: string, texts: Texts) {
    super(locale, texts);
    this.#times = {
      time: new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' }),
      day: new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' }),
      longDay: new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }),
    };
  }

  /** Returns names as a list in one text. */
  list(names: string[]): string {
    return new Intl.ListFormat(this.locale, { style: 'short', type: 'unit' }).format(names);
  }

  /** Returns the time of today, and the day of earlier times. now and ms are in milliseconds since 1970. */
  when(ms: number, now = Date.now()): string {
    return sameDay(ms, now) ? this.time(ms) : this.#times.day.format(ms);
  }

  /** Returns the time of day. */
  time(ms: number): string {
    return this.#times.time.format(ms);
  }

  /** Returns the name of a day: today, yesterday, or its date. */
  day(ms: number, now = Date.now()): string {
    if (sameDay(ms, now)) return this.text('day.today');
    const yesterday = new Date(now);
    yesterday.setDate(yesterday.getDate() - 1);
    return sameDay(ms, yesterday.getTime()) ? this.text('day.yesterday') : this.#times.longDay.format(ms);
  }
}

/** Reports whether two times are on the same day, by the clock of the device. */
export function sameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

/** Returns the texts of a language with those of the application over them. Chinese is loaded when it is needed. */
export async function loadTexts(locale: string, own: Partial<Texts> | undefined): Promise<Texts> {
  const { zh } = languageOf(locale) === 'zh' ? await import('./zh.js') : { zh: undefined };
  return { ...en, ...zh, ...own };
}
