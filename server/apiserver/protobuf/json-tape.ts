/**
 * JSON text as a flat list of what is in it, made in one pass: where each value begins and ends, and which follows it. No object
 * is made of it, so that what goes out in another form is copied from bytes to bytes.
 */

/** Cells a value takes: its kind, where it begins and ends in the bytes, the node after all that is in it. */
const CELLS = 4
const FIRST_CELLS = 4096

export const KIND = { null: 0, false: 1, true: 2, number: 3, text: 4, /** Not as it stands there: has backslashes. */ escaped: 5, list: 6, object: 7 } as const

const SPACE = 0x20
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN = 0x7b
const CLOSE = 0x7d

/** Of a member's key as it stands in the bytes. */
export function keyHash(key: string): number {
  let hash = 0
  for (const byte of Buffer.from(key)) hash = (Math.imul(hash, 31) + byte) | 0
  return hash
}

/**
 * Read again and again; what it told of the bytes before is void then. Nodes are numbers. In an object keys and values take turns:
 * `first` of it is a key, `after` a key its value, `after` the value the next key.
 */
export class JsonTape {
  bytes: Buffer = Buffer.alloc(0)
  #cells = new Int32Array(FIRST_CELLS)
  #used = 0
  #hash = 0
  #isEscaped = false

  /** Returns the node of the whole. Throws SyntaxError for what is no JSON. */
  read(bytes: Buffer): number {
    this.bytes = bytes
    this.#used = 0
    if (this.#space(this.#value(this.#space(0))) !== bytes.length) throw this.#unexpected(bytes.length)
    return 0
  }

  kind(node: number): number { return this.#cells[node] as number }
  start(node: number): number { return this.#cells[node + 1] as number }
  end(node: number): number { return this.#cells[node + 2] as number }
  /** Of a key. */
  hash(node: number): number { return this.#cells[node + 3] as number }
  first(node: number): number { return node + CELLS }
  /** Of a value: what stands after all that is in it. */
  after(node: number): number { return this.#cells[node + 3] as number }
  valueOf(key: number): number { return key + CELLS }

  /** A key or a text without escapes: whether it is these bytes. */
  is(node: number, text: Uint8Array): boolean {
    const start = this.start(node) + 1
    if (this.end(node) - 1 - start !== text.length) return false
    for (let i = 0; i < text.length; i++) if (this.bytes[start + i] !== text[i]) return false
    return true
  }

  /** The value of an object's member. */
  member(object: number, name: string): number | undefined {
    const text = Buffer.from(name)
    for (let key = this.first(object); key < this.after(object); key = this.after(this.valueOf(key))) if (this.is(key, text)) return this.valueOf(key)
    return undefined
  }

  /** As JSON.parse gives it. */
  parse(node: number): unknown {
    return JSON.parse(this.bytes.toString('utf8', this.start(node), this.end(node))) as unknown
  }

  #node(): number {
    const node = this.#used
    this.#used += CELLS
    if (this.#used > this.#cells.length) {
      const more = new Int32Array(this.#cells.length * 2)
      more.set(this.#cells)
      this.#cells = more
    }
    return node
  }

  #set(node: number, kind: number, start: number, end: number, after: number): number {
    const cells = this.#cells
    cells[node] = kind
    cells[node + 1] = start
    cells[node + 2] = end
    cells[node + 3] = after
    return end
  }

  /** Returns where it ends. */
  #value(start: number): number {
    const node = this.#node()
    switch (this.bytes[start]) {
      case QUOTE: {
        const end = this.#string(start)
        return this.#set(node, this.#isEscaped ? KIND.escaped : KIND.text, start, end, this.#used)
      }
      case OPEN: return this.#object(node, start)
      case OPEN_LIST: return this.#list(node, start)
      default: return this.#set(node, this.#plainKind(start), start, this.#plainEnd(start), this.#used)
    }
  }

  #object(node: number, start: number): number {
    const { bytes } = this
    let at = this.#space(start + 1)
    if (bytes[at] === CLOSE) return this.#set(node, KIND.object, start, at + 1, this.#used)
    for (;;) {
      if (bytes[at] !== QUOTE) throw this.#unexpected(at)
      const key = this.#node()
      const keyEnd = this.#key(at)
      this.#set(key, this.#isEscaped ? KIND.escaped : KIND.text, at, keyEnd, this.#hash)
      at = this.#space(keyEnd)
      if (bytes[at] !== COLON) throw this.#unexpected(at)
      at = this.#space(this.#value(this.#space(at + 1)))
      if (bytes[at] === CLOSE) return this.#set(node, KIND.object, start, at + 1, this.#used)
      if (bytes[at] !== COMMA) throw this.#unexpected(at)
      at = this.#space(at + 1)
    }
  }

  #list(node: number, start: number): number {
    const { bytes } = this
    let at = this.#space(start + 1)
    if (bytes[at] === CLOSE_LIST) return this.#set(node, KIND.list, start, at + 1, this.#used)
    for (;;) {
      at = this.#space(this.#value(at))
      if (bytes[at] === CLOSE_LIST) return this.#set(node, KIND.list, start, at + 1, this.#used)
      if (bytes[at] !== COMMA) throw this.#unexpected(at)
      at = this.#space(at + 1)
    }
  }

  /** Returns where it ends, after its quote. */
  #string(start: number): number {
    const { bytes } = this
    const end = bytes.length
    let isEscaped = false
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at] as number
      if (byte === QUOTE) {
        this.#isEscaped = isEscaped
        return at + 1
      }
      if (byte === BACKSLASH) {
        isEscaped = true
        at++
      }
    }
    throw this.#unexpected(end)
  }

  /** The same of a key, whose hash is made on the way. */
  #key(start: number): number {
    const { bytes } = this
    const end = bytes.length
    let hash = 0
    let isEscaped = false
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at] as number
      if (byte === QUOTE) {
        this.#hash = hash
        this.#isEscaped = isEscaped
        return at + 1
      }
      if (byte === BACKSLASH) {
        isEscaped = true
        at++
      }
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    throw this.#unexpected(end)
  }

  #plainKind(start: number): number {
    switch (this.bytes[start]) {
      case 0x6e: return KIND.null
      case 0x74: return KIND.true
      case 0x66: return KIND.false
      default: return KIND.number
    }
  }

  #plainEnd(start: number): number {
    const { bytes } = this
    let at = start
    while (at < bytes.length && isPlain(bytes[at] as number)) at++
    if (at === start) throw this.#unexpected(at)
    return at
  }

  #space(from: number): number {
    const { bytes } = this
    const end = bytes.length
    let at = from
    while (at < end && (bytes[at] as number) <= SPACE) at++
    return at
  }

  #unexpected(at: number): SyntaxError {
    return new SyntaxError(at < this.bytes.length ? `unexpected byte ${this.bytes[at] ?? 0} at ${at}` : 'unexpected end of JSON')
  }
}

/** Digits, letters, sign, point: what numbers, true, false and null are made of. */
const isPlain = (byte: number): boolean => byte > SPACE && byte !== COMMA && byte !== CLOSE && byte !== CLOSE_LIST && byte !== COLON && byte !== QUOTE && byte !== OPEN && byte !== OPEN_LIST
