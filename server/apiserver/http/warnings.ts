/** The `Warning: 299` header (RFC 7234 5.5), bounded as upstream bounds it (`WithWarningRecorder`). */
const TEXT_MAX = 4 * 1024
/** Of each text, once all of them together are too long. */
const CUT_TEXT_MAX = 256

/** What a request is warned of, in order; repeats are dropped. Costs the same however many there are. */
export class Warnings {
  readonly #texts = new Set<string>()
  /** Of the texts as they will be shown. */
  #length = 0
  #isCut = false

  add(text: string): void {
    if (text === '' || (this.#isCut && this.#length >= TEXT_MAX) || this.#texts.has(text)) return
    this.#texts.add(text)
    if (!this.#isCut && this.#length + text.length > TEXT_MAX) {
      this.#isCut = true
      this.#length = [...this.#texts].reduce((sum, each) => sum + Math.min(each.length, CUT_TEXT_MAX), 0)
    } else {
      this.#length += this.#isCut ? Math.min(text.length, CUT_TEXT_MAX) : text.length
    }
  }

  /** Undefined where there is nothing to warn of. */
  header(): string | undefined {
    const shown = [...this.#texts].map((text) => (this.#isCut ? text.slice(0, CUT_TEXT_MAX) : text)).filter((text) => !hasControls(text)).map(quoted)
    return shown.length === 0 ? undefined : shown.join(', ')
  }
}

/** One text by itself. */
export const warningHeader = (text: string): string => quoted(text)

/** A header is written byte by byte: as UTF-8, as upstream sends it. */
const quoted = (text: string): string => `299 - "${Buffer.from(text.replace(/["\\]/g, '\\$&'), 'utf8').toString('latin1')}"`

const hasControls = (text: string): boolean => /\p{Cc}/u.test(text)
