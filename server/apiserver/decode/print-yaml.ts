/** YAML answers, laid out as Go's (keys in order, lists not indented). Text that YAML 1.1, YAML 1.2 or Go's reader would take for something else is in quotes. */
import { dump, DUMP_SCHEMA, NOT_RESOLVED, type Schema } from 'js-yaml'
import { floatTag, intTag } from './yaml-scalars.ts'

/** Of all that may be a number. */
const FIRST_CHARS = '0123456789+-.'.split('')

const SCHEMA: Schema = DUMP_SCHEMA.withTags([intTag, floatTag].map((ours) => {
  const theirs = DUMP_SCHEMA.lookupScalarTag(ours.tagName)
  if (!theirs) return ours
  return {
    ...theirs, implicitFirstChars: FIRST_CHARS,
    resolve(source: string, isExplicit: boolean, name: string): unknown {
      const value = theirs.resolve(source, isExplicit, name)
      return value === NOT_RESOLVED ? ours.resolve(source, isExplicit, name) : value
    },
  }
}))

export function printYaml(value: unknown): Buffer {
  return Buffer.from(dump(value, { noRefs: true, lineWidth: -1, sortKeys: true, seqNoIndent: true, schema: SCHEMA }))
}
