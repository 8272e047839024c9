/**
 * Custom resources in the store: canonical JSON, a line break (which no JSON of ours contains) and the version it is of. Reading
 * brings a value to what the present schema makes of it and to the version asked for; bytes that need neither go out as they are.
 */
import type { KubeObject } from '#api/types/index.ts'
import type { StoredForm } from '../kind.ts'
import { encodeFree } from '../storage/bytes.ts'
import type { Converter } from './conversion.ts'
import { applyDefaults, pruneNulls } from './schema/defaults.ts'
import type { Json, SchemaNode } from './schema/node.ts'
import { prune } from './schema/prune.ts'

const LINE_BREAK = 0x0a

export interface FormParts {
  /** Tells states of the definition apart. */
  id: string
  storageVersion: string
  readonly schemaOf: (version: string) => SchemaNode
  converter: Converter
}

/** The forms of all versions of one definition in one state. */
export class StoredForms {
  readonly #parts: FormParts
  /** Stored values written in this state: they are known to be as the schema wants them. */
  readonly #clean = new WeakSet<Buffer>()

  constructor(parts: FormParts) { this.#parts = parts }

  of(version: string): StoredForm {
    return {
      id: `${this.#parts.id}/${version}`,
      isOutdated: (stored) => versionIn(stored) !== this.#parts.storageVersion && versionIn(stored) !== undefined,
      read: (values) => this.#read(values, version),
      write: (value) => this.#write(value, version),
    }
  }

  #read(values: readonly Buffer[], version: string): readonly Buffer[] | Promise<readonly Buffer[]> {
    const texts = values.map((stored) => this.#present(stored))
    const isOther = texts.map((text) => text.version !== version)
    if (!isOther.includes(true)) return texts.map(({ value }) => value)
    const others = texts.filter((_, i) => isOther[i])
    const merge = (converted: readonly Buffer[]): Buffer[] => {
      let at = 0
      return texts.map((text, i) => (isOther[i] ? (converted[at++] ?? text.value) : text.value))
    }
    const converted = this.#convert(others, version)
    return converted instanceof Promise ? converted.then(merge) : merge(converted)
  }

  async #write(value: Buffer, version: string): Promise<Buffer> {
    const { storageVersion } = this.#parts
    const [own = value] = version === storageVersion ? [value] : await this.#convert([{ value, version }], storageVersion)
    const tail = `\n${storageVersion}`
    const stored = Buffer.allocUnsafeSlow(own.length + tail.length)
    own.copy(stored)
    stored.write(tail, own.length, 'latin1')
    // What was converted may lack defaults of this version's own: reading fills them in.
    if (version === storageVersion) this.#clean.add(stored)
    return stored
  }

  /** As the schema of its own version has it today. */
  #present(stored: Buffer): Versioned {
    const version = versionIn(stored) ?? this.#parts.storageVersion
    const at = stored.lastIndexOf(LINE_BREAK)
    const value = at < 0 ? stored : stored.subarray(0, at)
    if (this.#clean.has(stored)) return { value, version }
    const object = JSON.parse(value.toString()) as KubeObject & Json
    const schema = this.#parts.schemaOf(version)
    const pruned = prune(object, schema, true).changed
    const nulls = pruneNulls(object, schema)
    const changed = applyDefaults(object, schema) || pruned || nulls
    return { value: changed ? encodeFree(object) : value, version }
  }

  #convert(values: readonly Versioned[], version: string): readonly Buffer[] | Promise<readonly Buffer[]> {
    const { converter, schemaOf } = this.#parts
    const schema = schemaOf(version)
    if (converter.strategy === 'None') return values.map(({ value }) => fitted(value, schema))
    const objects = values.map(({ value, version: from }) => ({ from, object: JSON.parse(value.toString()) as KubeObject & Json }))
    return converter.convert(objects, version).then((converted) => converted.map((object) => {
      prune(object, schema, true)
      return encodeFree(object)
    }))
  }
}

/** Undefined: it was stored before versions were. */
function versionIn(stored: Buffer): string | undefined {
  const at = stored.lastIndexOf(LINE_BREAK)
  return at < 0 ? undefined : stored.toString('latin1', at + 1)
}

interface Versioned { value: Buffer; version: string }

function fitted(value: Buffer, schema: SchemaNode): Buffer {
  const object = JSON.parse(value.toString()) as KubeObject & Json
  return prune(object, schema, true).changed ? encodeFree(object) : value
}
