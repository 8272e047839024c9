/**
 * What a browser needs of answers that come through `/proxy`: links to the server behind lead back through the proxy. As
 * upstream's util/proxy: the Location header, and in HTML the attributes that hold URLs, if they name the same host and start at its root.
 */
import { posix } from 'node:path'
import { Transform, type TransformCallback } from 'node:stream'

export interface ProxyPlace {
  /** Path of the proxy itself, as the client asks for it, e.g. `/api/v1/namespaces/n/pods/p/proxy`. */
  prefix: string
  /** `address:port` of the server behind. */
  behind: string
  /** What the client calls us: links that name it keep the name. */
  host: string
}

/** Longer tags are passed on as they are. */
const TAG_MAX = 65_536
const ABSOLUTE = /^((?:[a-z][a-z0-9+.-]*:)?(?:\/\/(?:[^/?#@]*@)?([^/?#]*))?)(\/[^?#]*)?([^]*)$/i
const START_TAG = /<([a-zA-Z][^\s/>]*)(?:[^"'>]|"[^"]*"|'[^']*')*>/y
const ATTRIBUTE = /([^\s"'>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/g

/** Attributes that hold URLs, by element (HTML 4 and 5). */
const URLS = new Map(Object.entries({
  a: 'href', applet: 'codebase', area: 'href', audio: 'src', base: 'href', blockquote: 'cite', body: 'background', button: 'formaction', command: 'icon', del: 'cite', embed: 'src', form: 'action',
  frame: 'longdesc src', head: 'profile', html: 'manifest', iframe: 'longdesc src', img: 'longdesc src usemap', input: 'src usemap formaction', ins: 'cite', link: 'href',
  object: 'classid codebase data usemap', q: 'cite', script: 'src', source: 'src', video: 'poster src',
}).map(([element, attributes]) => [element, new Set(attributes.split(' '))]))
/** Elements whose content is text up to their end tag, whatever it looks like. */
const RAW: ReadonlySet<string> = new Set(['iframe', 'noembed', 'noframes', 'noscript', 'plaintext', 'script', 'style', 'textarea', 'title', 'xmp'])

export function rewriteUrl(url: string, place: ProxyPlace): string {
  const [, origin = '', host = '', path, rest = ''] = ABSOLUTE.exec(url) ?? []
  if (path === undefined || (host !== '' && host !== place.behind && host !== place.host)) return url
  const kept = host !== '' && host === place.host ? origin : ''
  return kept + (path.startsWith(place.prefix) ? path : posix.join(place.prefix, path)) + rest
}

/** HTML in pieces, in any encoding that agrees with ASCII. */
export class LinkRewriter extends Transform {
  readonly #place: ProxyPlace
  #held = ''
  /** In lower case: nothing is looked at until it is found. */
  #until = ''

  constructor(place: ProxyPlace) {
    super()
    this.#place = place
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    done(null, Buffer.from(this.#rewritten(this.#held + chunk.toString('latin1')), 'latin1'))
  }

  override _flush(done: TransformCallback): void {
    done(null, Buffer.from(this.#held, 'latin1'))
  }

  #rewritten(text: string): string {
    let out = ''
    let at = 0
    for (;;) {
      const end = this.#until === '' ? text.indexOf('<', at) : endOf(text, this.#until, at)
      if (end < 0) {
        // The beginning of what is looked for may be at the end of this piece.
        const safe = this.#until === '' ? text.length : Math.max(at, text.length - this.#until.length + 1)
        this.#held = text.slice(safe)
        return out + text.slice(at, safe)
      }
      out += text.slice(at, end)
      at = end
      if (this.#until !== '') {
        this.#until = ''
        continue
      }
      if (text.startsWith('<!--', at)) {
        this.#until = '-->'
        out += '<!--'
        at += 4
        continue
      }
      START_TAG.lastIndex = at
      const tag = START_TAG.exec(text)
      if (tag) {
        const name = (tag[1] ?? '').toLowerCase()
        out += this.#tag(tag[0], name)
        at += tag[0].length
        if (RAW.has(name)) this.#until = `</${name}`
      } else if (isUnfinished(text, at)) {
        this.#held = text.slice(at)
        return out
      } else {
        out += '<'
        at++
      }
    }
  }

  #tag(tag: string, name: string): string {
    const attributes = URLS.get(name)
    if (!attributes) return tag
    return tag.replaceAll(ATTRIBUTE, (whole, attribute: string, equals: string, value: string) => {
      if (!attributes.has(attribute.toLowerCase())) return whole
      const quote = /^["']/.exec(value)?.[0] ?? ''
      return `${attribute}${equals}${quote}${rewriteUrl(quote === '' ? value : value.slice(1, -1), this.#place)}${quote}`
    })
  }
}

/** Where the text that ended the wait ends; -1: not here. */
function endOf(text: string, until: string, from: number): number {
  const at = text.toLowerCase().indexOf(until, from)
  return at < 0 ? -1 : at + until.length
}

/** A tag or comment may begin here that is not complete yet. */
function isUnfinished(text: string, at: number): boolean {
  return text.length - at < TAG_MAX && (/^<(?:[a-zA-Z]|$)/.test(text.slice(at, at + 2)) || '<!--'.startsWith(text.slice(at)))
}
