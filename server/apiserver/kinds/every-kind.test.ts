/** Laws that hold for every row, tried with generated objects. */
import { deepStrictEqual, ok } from 'node:assert'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { builtinSchema } from '#api/schema/index.ts'
import { apiVersionOf, type KubeObject } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decodeObject, decodeValue } from '../decode/index.ts'
import { printYaml } from '../decode/print-yaml.ts'
import type { KindContext, KindRow } from '../kind.ts'
import { objectOf } from '../protobuf/arbitrary.test-support.ts'
import { encodeProtobuf, PROTOBUF_TYPE } from '../protobuf/index.ts'
import { rows } from '../registry.ts'
import { encodeStored } from '../storage/bytes.ts'

const RUNS = 15
const ctx: KindContext = { nowMs: 1_700_000_000_000, random: seededRandom(1), user: { name: 'u', groups: ['g'] } }
const nameOf = (r: KindRow): string => `${apiVersionOf(r.ref)}/${r.ref.resource}`
const clone = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T
const generated = (r: KindRow): fc.Arbitrary<KubeObject> => objectOf(r.model).map((o) => ({ ...o, metadata: { name: 'x', ...(o['metadata'] as object | undefined), ownerReferences: [] }, kind: r.ref.kind, apiVersion: apiVersionOf(r.ref) }))

describe('every kind', () => {
  for (const r of rows) {
    const { strategy, model } = r

    test(`${nameOf(r)}: defaults are the same the second time, and no rule throws, whatever a client sends`, () => {
      fc.assert(fc.property(generated(r), (object) => {
        strategy.defaults?.(object)
        const once = clone(object)
        strategy.defaults?.(object)
        deepStrictEqual(clone(object), once)
        strategy.prepareCreate?.(object, ctx)
        strategy.validate?.(object, ctx)
        strategy.warnings?.(object)
        for (const column of strategy.columns ?? []) column.value(object, ctx.nowMs)
        for (const field of Object.values(strategy.selectableFields ?? {})) ok(typeof field(object) === 'string')
        const old = clone(object)
        const update = clone(object)
        strategy.defaults?.(update)
        strategy.prepareUpdate?.(update, old, ctx)
        strategy.validateUpdate?.(update, old, ctx)
        strategy.prepareStatusUpdate?.(update, old, ctx)
        strategy.validateStatusUpdate?.(update, old, ctx)
        if (strategy.generation) strategy.generation(update, old)
      }), { numRuns: RUNS })
    })

    test(`${nameOf(r)}: what is stored is the same whether it came as JSON, YAML or protobuf`, () => {
      fc.assert(fc.property(generated(r), (sent) => {
        const received = decodeValue(sent as KubeObject & Record<string, unknown>, { schema: builtinSchema, model, expect: r.ref })
        ok(received.ok)
        const { object } = received
        strategy.defaults?.(object)
        const stored = encodeStored(object, model).toString()
        const back = { ...(JSON.parse(stored) as KubeObject), kind: r.ref.kind, apiVersion: apiVersionOf(r.ref) }
        const read = (bytes: Buffer, type: string): string => {
          const decoded = decodeObject(bytes, type, { schema: builtinSchema, model, expect: r.ref, strictness: 'Strict' })
          if (!decoded.ok) return decoded.message
          strategy.defaults?.(decoded.object)
          return encodeStored(decoded.object, model).toString()
        }
        deepStrictEqual(JSON.parse(read(Buffer.from(JSON.stringify(back)), 'application/json')), JSON.parse(stored))
        deepStrictEqual(JSON.parse(read(printYaml(back), 'application/yaml')), JSON.parse(stored))
        deepStrictEqual(JSON.parse(read(encodeProtobuf(back, model), PROTOBUF_TYPE)), JSON.parse(stored))
      }), { numRuns: RUNS })
    })
  }
})
