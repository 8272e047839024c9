/**
 * Where the store's keys live in etcd: `<root>/...` of the store is `<prefix>/...` there. Beside them, as `<prefix>.skiff/...`,
 * are a few keys of the store's own, which nobody sees; one watch covers both.
 */
export interface KeySpace {
  toEtcd(key: string): Buffer
  /** Undefined: one of the store's own. */
  fromEtcd(key: Buffer): string | undefined
  /** First and one past the last of all keys that begin with `prefix`; `after`: begins after that one. */
  rangeOf(prefix: string, after?: string): { key: Buffer; rangeEnd: Buffer }
  /** All keys, the store's own, too. */
  readonly all: { key: Buffer; rangeEnd: Buffer }
  own(name: string): Buffer
}

export function keySpace(root: string, prefix: string): KeySpace {
  const toEtcd = (key: string) => Buffer.from(prefix + key.slice(root.length))
  const start = `${prefix}/`
  return {
    toEtcd,
    fromEtcd(key) {
      const text = key.toString()
      return text.startsWith(start) ? root + text.slice(prefix.length) : undefined
    },
    rangeOf(given, after) {
      // Less than the root is all there is.
      const first = Buffer.from(given.length > root.length ? prefix + given.slice(root.length) : start)
      const rangeEnd = successor(first)
      if (after === undefined) return { key: first, rangeEnd }
      const next = Buffer.concat([toEtcd(after), Buffer.of(0)])
      return { key: Buffer.compare(next, first) > 0 ? next : first, rangeEnd }
    },
    // `.` comes just before `/`, `0` just after it.
    all: { key: Buffer.from(`${prefix}.`), rangeEnd: Buffer.from(`${prefix}0`) },
    own: (name) => Buffer.from(`${prefix}.skiff/${name}`),
  }
}

/** The smallest above all that start with `bytes`; a key's last byte is never 0xff in UTF-8. */
function successor(bytes: Buffer): Buffer {
  const next = Buffer.from(bytes)
  next[next.length - 1] = (next[next.length - 1] ?? 0) + 1
  return next
}
