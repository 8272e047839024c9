/** Damage to bytes, and texts that are not what they seem. */
import type { Chance } from './chance.ts'

export function mutateBytes(chance: Chance, bytes: Buffer): Buffer {
  let out: Buffer = Buffer.from(bytes)
  for (let n = 1 + chance.int(4); n > 0; n--) {
    const at = chance.int(out.length + 1)
    switch (chance.int(6)) {
      case 0: if (at < out.length) out[at] = chance.int(256); break
      case 1: out = Buffer.concat([out.subarray(0, at), Buffer.from([chance.int(256)]), out.subarray(at)]); break
      case 2: out = Buffer.concat([out.subarray(0, at), out.subarray(at + chance.int(8))]); break
      case 3: out = out.subarray(0, at); break
      case 4: out = Buffer.concat([out.subarray(0, at), out.subarray(chance.int(out.length + 1), at), out.subarray(at)]); break
      default: out = Buffer.concat([out.subarray(0, at), Buffer.from(chance.pick(SNIPPETS)), out.subarray(at)])
    }
  }
  return out
}

const SNIPPETS = ['{', '}', '[', ']', '"', '\\', '\\u0000', ',', ':', 'null', '1e999', '-', '\n', '\r\n', '&a ', '*a', '<<: ', '!!js/function ', '---\n', '\u2028', '\ufeff', '%00', '\u0000', '[[[[[[[[[[[[[[[[', '{"a":{"a":{"a":{"a":']

/** In the place of whole bodies. */
export const BODIES: readonly Buffer[] = [
  '', ' ', 'null', '[]', '{}', '""', '0', '"', '{"kind":1}', '{"apiVersion":{},"kind":[]}', 'a: &a [*a]', 'a: &a {<<: *a}', '- - - - x', '? {a: b}\n: c', '{"metadata":null,"spec":null}', '--- !!binary x', 'k8s\u0000',
  `${'['.repeat(5_000)}`, `${'{"a":'.repeat(600)}1${'}'.repeat(600)}`, `a: &a [x]\nb: &b [${'*a,'.repeat(30)}]\nc: &c [${'*b,'.repeat(30)}]\nd: [${'*c,'.repeat(30)}]`, `{"metadata":{"labels":{${'"a":"b",'.repeat(2_000)}"c":"d"}}}`,
].map((text) => Buffer.from(text))
