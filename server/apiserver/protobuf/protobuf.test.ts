/** The codec against kubectl's own bytes, against the schema, and against whatever fast-check thinks of. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { builtinSchema } from '#api/schema/index.ts'
import { protobufFields } from '#api/schema/protobuf-fields.ts'
import type { KubeObject } from '#api/types/index.ts'
import { decodeObject } from '../decode/index.ts'
import { objectOf } from './arbitrary.test-support.ts'
import { aroundProtobufList, decodeMessage, encodeProtobuf, encodeWatchFrame, hasProtobuf, parseEnvelope, PROTOBUF_TYPE, protobufModelOf, transcodeListItem, transcodeProtobuf } from './index.ts'
import { parseNumbers } from './message-plan.ts'
import { WireReader, WireWriter } from '#base/protobuf/wire.ts'

const DEPTH = 500

/** The other way to the same bytes: from text. */
function transcoded(object: KubeObject): Buffer {
  const bytes = transcodeProtobuf(Buffer.from(JSON.stringify(object)))
  assert.ok(bytes)
  return bytes
}

/** Undefined: what is no JSON, or no object of a kind. */
function bytesOrNone(text: string): Buffer | undefined {
  try {
    return transcodeProtobuf(Buffer.from(text))
  } catch (error) {
    assert.ok(error instanceof SyntaxError, String(error))
    return undefined
  }
}

function unwrap(bytes: Buffer): { apiVersion: string; kind: string; raw: Buffer } {
  const parsed = parseEnvelope(bytes)
  assert.ok(parsed.ok)
  return parsed.envelope
}

/** The object that `bytes` hold, kind and apiVersion first. */
function decoded(bytes: Buffer): Record<string, unknown> {
  const { apiVersion, kind, raw } = unwrap(bytes)
  const model = protobufModelOf({ apiVersion, kind })
  assert.ok(model)
  const read = decodeMessage(raw, model, DEPTH)
  assert.ok(read.ok, read.ok ? '' : read.message)
  return { apiVersion, kind, ...read.value }
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const rawMessage = (text: string, model: string) => decodeMessage(hex(text), model, DEPTH)

describe('protobuf of kubectl 1.32', () => {
  interface Request { command: string; protobuf: string; json: KubeObject }
  const requests = JSON.parse(readFileSync(join(import.meta.dirname, 'testdata/kubectl-requests.json'), 'utf8')) as Request[]
  for (const { command, protobuf, json } of requests) {
    it(`${command}: decodes to what its JSON decodes to`, () => {
      const model = protobufModelOf(json)
      assert.ok(model)
      const options = { schema: builtinSchema, model, strictness: 'Strict' as const }
      const fromJson = decodeObject(Buffer.from(JSON.stringify(json)), 'application/json', options)
      assert.ok(fromJson.ok, JSON.stringify(fromJson))
      assert.deepStrictEqual(decodeObject(Buffer.from(protobuf, 'base64'), PROTOBUF_TYPE, options), fromJson)
    })
  }

  it('a zero is kept where Go has a pointer and dropped where JSON omits it', () => {
    // terminationGracePeriodSeconds=4: 0, nodeName=10: "", hostNetwork=11: false
    assert.deepStrictEqual(rawMessage('20 00 52 00 58 00', 'PodSpec'), { ok: true, value: { terminationGracePeriodSeconds: 0 } })
  })
})

describe('times', () => {
  // acquireTime=3 of LeaseSpec is a MicroTime, deletionTimestamp=9 of ObjectMeta a Time.
  const micro = (timestamp: string) => rawMessage(`1a ${sizeOf(timestamp)} ${timestamp}`, 'LeaseSpec')
  const whole = (timestamp: string) => rawMessage(`4a ${sizeOf(timestamp)} ${timestamp}`, 'ObjectMeta')
  const sizeOf = (text: string) => (text.replaceAll(' ', '').length / 2).toString(16).padStart(2, '0')
  const time = (text: string) => ({ ok: true, value: { deletionTimestamp: text } })
  const microTime = (text: string) => ({ ok: true, value: { acquireTime: text } })

  it('of no bytes, and the year 1, are no times', () => {
    assert.deepStrictEqual(whole(''), { ok: true, value: {} })
    assert.deepStrictEqual(whole('08 80 92 b8 c3 98 fe ff ff ff 01'), { ok: true, value: {} })
  })

  it('are whole seconds, or microseconds cut off', () => {
    assert.deepStrictEqual(whole('08 01 10 ff 93 eb dc 03'), time('1970-01-01T00:00:01Z'))
    assert.deepStrictEqual(micro('08 01 10 ff 93 eb dc 03'), microTime('1970-01-01T00:00:01.999999Z'))
    assert.deepStrictEqual(micro('08 ff ff ff ff ff ff ff ff ff 01'), microTime('1969-12-31T23:59:59.000000Z'))
  })

  it('beyond the year 9999 are refused', () => {
    assert.deepStrictEqual(whole('08 ff ff ff ff ff ff ff 7f'), { ok: false, message: 'Time.MarshalJSON: year outside of range [0,9999]' })
  })
})

describe('the table of protobuf fields', () => {
  const lines = new Map(protobufFields().split('\n').map((line) => [line.split(' ', 1)[0] ?? '', parseNumbers(line)]))

  it('numbers every field of every model, but for the kind and apiVersion that the envelope carries', () => {
    const missing: string[] = []
    const models = new Map([...builtinSchema.models()].map((m) => [m.model, m]))
    for (const [name, { fields }] of models) {
      const numbered = new Set(lines.get(name)?.map((f) => f.key) ?? (name.endsWith('List') ? ['metadata', 'items'] : []))
      for (const key of Object.keys(fields)) if (!numbered.has(key) && key !== 'kind' && key !== 'apiVersion') missing.push(`${name}.${key}`)
      for (const key of numbered) if (!(key in fields)) missing.push(`${name}.${key} is in no schema`)
    }
    for (const name of lines.keys()) if (!models.has(name)) missing.push(`${name} is in no schema`)
    // /version is JSON only.
    assert.deepStrictEqual(missing.filter((m) => !m.startsWith('VersionInfo.')), [])
    assert.equal(hasProtobuf('VersionInfo'), false)
  })

  it('gives no number twice within a message', () => {
    const twice = [...lines].filter(([, fields]) => new Set(fields.map((f) => f.path.join('.'))).size !== fields.length).map(([name]) => name)
    assert.deepStrictEqual(twice, [])
  })

  it('has a plan for every model', () => {
    for (const { model } of builtinSchema.models()) if (model !== 'VersionInfo') assert.deepStrictEqual(rawMessage('', model), { ok: true, value: {} }, model)
  })

  it('is sorted, so that a line is found and a change is seen', () => {
    assert.deepStrictEqual([...lines.keys()], [...lines.keys()].toSorted())
  })
})

describe('any object', () => {
  const kinds = [...builtinSchema.models()].filter((m) => m.groupVersionKinds.length > 0 && m.model !== 'VersionInfo' && protobufModelOf(named(m.model)) === m.model)

  function named(model: string): { apiVersion: string; kind: string } {
    const gvk = builtinSchema.model(model)?.groupVersionKinds[0]
    assert.ok(gvk)
    return { apiVersion: gvk.group === '' ? gvk.version : `${gvk.group}/${gvk.version}`, kind: gvk.kind }
  }

  it('comes back from the wire as it went', () => {
    assert.ok(kinds.length > 150, `${kinds.length} kinds`)
    for (const { model } of kinds) {
      fc.assert(fc.property(objectOf(model), (fields) => {
        const object = { ...fields, ...named(model) } as KubeObject
        assert.deepStrictEqual(decoded(encodeProtobuf(object, model)), object)
        assert.deepStrictEqual(decoded(transcoded(object)), object)
      }), { numRuns: 4 })
    }
  })

  it('comes back whole when it is a big one', () => {
    for (const model of ['Pod', 'Deployment', 'CustomResourceDefinition', 'Node', 'PersistentVolume', 'CertificateSigningRequest', 'SelfSubjectReview', 'V2HorizontalPodAutoscaler', 'Lease', 'APIResourceList']) {
      fc.assert(fc.property(objectOf(model), (fields) => {
        const object = { ...fields, ...named(model) } as KubeObject
        assert.deepStrictEqual(decoded(encodeProtobuf(object, model)), object)
        assert.deepStrictEqual(decoded(transcoded(object)), object)
      }), { numRuns: 60 })
    }
  })

  it('has the same bytes when it is made from JSON text as when it is made from the object, whatever the order of members', () => {
    for (const model of ['Pod', 'Node', 'CustomResourceDefinition', 'CertificateSigningRequest', 'V2HorizontalPodAutoscaler']) {
      fc.assert(fc.property(objectOf(model), (fields) => {
        const object = { ...fields, ...named(model) } as KubeObject
        const backwards = Object.fromEntries(Object.entries(object).toReversed()) as KubeObject
        for (const one of [object, backwards]) assert.equal(transcoded(one).toString('hex'), encodeProtobuf(object, model).toString('hex'))
      }), { numRuns: 60 })
    }
  })

  it('is made from JSON text with space in it, and not from what is no JSON', () => {
    fc.assert(fc.property(objectOf('Pod'), fc.nat(), fc.constantFrom('', '{', '}', ',', '"', ':', '[', ']', 'x'), (fields, at, spoil) => {
      const object = { ...fields, ...named('Pod') } as KubeObject
      assert.deepStrictEqual(decoded(transcodeProtobuf(Buffer.from(`\n${JSON.stringify(object, undefined, 2)}\n`)) as Buffer), object)
      const text = JSON.stringify(object)
      const half = text.slice(0, at % text.length) + spoil
      if (half !== text) assert.equal(bytesOrNone(half), undefined)
    }), { numRuns: 200 })
  })

  it('of a kind that has no form on the wire is not made', () => {
    for (const text of ['{}', '{"kind":"Widget","apiVersion":"example.com/v1"}', '{"kind":"Table","apiVersion":"meta.k8s.io/v1"}']) assert.equal(transcodeProtobuf(Buffer.from(text)), undefined)
  })

  it('is decoded or refused, never thrown at, when its bytes are spoiled', () => {
    const spoiled = fc.record({ fields: objectOf('Pod'), at: fc.nat(), by: fc.integer({ min: 1, max: 255 }), cut: fc.nat() })
    fc.assert(fc.property(spoiled, ({ fields, at, by, cut }) => {
      const bytes = encodeProtobuf({ ...fields, ...named('Pod') } as KubeObject, 'Pod')
      const index = at % bytes.length
      bytes[index] = (bytes[index] as number) ^ by
      const options = { schema: builtinSchema, model: 'Pod' }
      for (const input of [bytes, bytes.subarray(0, cut % bytes.length)]) {
        const result = decodeObject(input, PROTOBUF_TYPE, options)
        if (!result.ok) assert.deepStrictEqual([result.code, result.reason], [400, 'BadRequest'])
      }
    }), { numRuns: 300 })
  })

  it('is refused when it is no message at all', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom('Pod', 'CustomResourceDefinition', 'DeleteOptions', 'Lease'), (bytes, model) => {
      const read = decodeMessage(Buffer.from(bytes), model, DEPTH)
      assert.equal(typeof (read.ok ? read.value : read.message), read.ok ? 'object' : 'string')
    }), { numRuns: 2000 })
  })
})

describe('malformed messages', () => {
  const cases: [string, string, string][] = [
    ['a varint without end', '20 ff', 'unexpected EOF'],
    ['a varint of more than 64 bits', `20 ${'ff '.repeat(10)}01`, 'proto: integer overflow'],
    ['a length beyond the message', '0a 05 61', 'unexpected EOF'],
    ['a negative length', '0a ff ff ff ff ff ff ff ff ff 01', 'proto: negative length found during unmarshaling'],
    ['a field of the wrong type', '50 01', 'proto: wrong wireType = 0 for field NodeName'],
    ['field 0', '00', 'proto: PodSpec: illegal tag 0 (wire type 0)'],
    ['the end of no group', '0c', 'proto: PodSpec: wiretype end group for non-group'],
    ['an unknown field of an unknown type', 'fe 7f', 'proto: illegal wireType 6'],
    ['a group without end', 'fb 7f 08 01', 'unexpected EOF'],
  ]
  for (const [what, bytes, message] of cases) {
    it(`${what} is refused`, () => assert.deepStrictEqual(rawMessage(bytes, 'PodSpec'), { ok: false, message }))
  }

  it('unknown fields are passed over, groups among them', () => {
    // 2047: group{1: varint}, 2046: bytes, 2045: fixed64, 2044: fixed32; nodeName=10 "n"
    assert.deepStrictEqual(rawMessage('fb 7f 08 01 fc 7f  f2 7f 02 61 62  e9 7f 01 02 03 04 05 06 07 08  e5 7f 01 02 03 04  52 01 6e', 'PodSpec'), { ok: true, value: { nodeName: 'n' } })
  })

  it('a map\'s value left out is its zero', () => {
    const zero = (model: string, entries: string) => {
      const read = rawMessage(entries, model)
      return read.ok ? read.value : read.message
    }
    assert.deepStrictEqual(zero('ConfigMap', '12 03 0a 01 61  1a 03 0a 01 62'), { data: { a: '' }, binaryData: { b: '' } })
    assert.deepStrictEqual(zero('ResourceQuotaSpec', '0a 03 0a 01 61'), { hard: { a: '0' } })
    assert.deepStrictEqual(zero('UserInfo', '22 03 0a 01 61'), { extra: { a: [] } })
    assert.deepStrictEqual(zero('PodDisruptionBudgetStatus', '12 03 0a 01 61'), { disruptedPods: { a: null } })
    assert.deepStrictEqual(zero('JSONSchemaProps', 'ea 01 03 0a 01 61'), { properties: { a: {} } })
  })

  it('nesting is bounded', () => {
    // JSONSchemaProps.not is field 32.
    let bytes: Buffer = Buffer.alloc(0)
    for (let depth = 0; depth < 600; depth++) {
      const writer = new WireWriter()
      writer.bytes(bytes)
      writer.tag(builtinNumber('JSONSchemaProps', 'not'), 2)
      bytes = writer.finish()
    }
    assert.deepStrictEqual(decodeMessage(bytes, 'JSONSchemaProps', DEPTH), { ok: false, message: 'exceeded max depth' })
  })

  it('JSON inside is bounded and checked', () => {
    const data = (json: string) => {
      const writer = new WireWriter()
      writer.string(json)
      writer.tag(1, 2)
      writer.length(0)
      writer.tag(2, 2)
      return decodeMessage(writer.finish(), 'ControllerRevision', DEPTH)
    }
    assert.deepStrictEqual(data('{"a":[1]}'), { ok: true, value: { data: { a: [1] } } })
    assert.deepStrictEqual(data(''), { ok: true, value: {} })
    assert.deepStrictEqual(data('{"a"'), { ok: false, message: 'unexpected end of JSON input' })
    assert.deepStrictEqual(data(`${'['.repeat(501)}${']'.repeat(501)}`), { ok: false, message: 'exceeded max depth' })
  })

  const builtinNumber = (model: string, key: string): number => {
    const line = protobufFields().split('\n').find((l) => l.startsWith(`${model} `)) ?? ''
    return parseNumbers(line).find((f) => f.key === key)?.path[0] ?? 0
  }
})

describe('a request body', () => {
  const decode = (bytes: Buffer, model = 'ConfigMap') => decodeObject(bytes, `${PROTOBUF_TYPE}; charset=x`, { schema: builtinSchema, model })
  const configMap = (over: Partial<KubeObject> = {}) => encodeProtobuf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, ...over }, 'ConfigMap')

  it('without a kind means the one expected', () => {
    assert.deepStrictEqual(decode(configMap({ apiVersion: '', kind: '' })), { ok: true, object: { metadata: { name: 'a' }, kind: 'ConfigMap', apiVersion: 'v1' }, problems: [] })
  })

  it('of another kind or version is refused as in JSON', () => {
    const refusal = (bytes: Buffer) => {
      const result = decode(bytes)
      return result.ok ? undefined : result.message
    }
    assert.equal(refusal(configMap({ kind: 'Secret' })), 'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion')
    assert.equal(refusal(configMap({ apiVersion: 'v9' })), 'ConfigMap in version "v9" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v9" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"')
  })

  it('that is no protobuf is refused with upstream words', () => {
    const refused = (message: string) => ({ ok: false, code: 400, reason: 'BadRequest', message })
    assert.deepStrictEqual(decode(Buffer.alloc(0)), refused('the object provided is unrecognized (must be of type ConfigMap): empty data (<empty>)'))
    assert.deepStrictEqual(decode(Buffer.from('{"a":1}')), refused('the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({"a":1})'))
    assert.deepStrictEqual(decode(hex('6b387300')), refused('the object provided is unrecognized (must be of type ConfigMap): empty body (6b387300)'))
    assert.deepStrictEqual(decode(hex('6b387300 0aff')), refused("the object provided is unrecognized (must be of type ConfigMap): unexpected EOF (6b3873000aff)"))
    const spoiled = Buffer.concat([hex('6b387300 0a0f 0a027631 1209'), Buffer.from('ConfigMap'), hex('1203 0a0561')])
    assert.deepStrictEqual(decode(spoiled), refused('ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF'))
  })

  it('of an unknown type is told of protobuf as well', () => {
    assert.deepStrictEqual(decodeObject(configMap(), 'text/plain', { schema: builtinSchema, model: 'ConfigMap' }), {
      ok: false, code: 415, reason: 'UnsupportedMediaType',
      message: 'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    })
  })

  it('has its quantities and times made canonical', () => {
    const bytes = encodeProtobuf({ apiVersion: 'v1', kind: 'ResourceQuota', spec: { hard: { cpu: '1000m' } } } as KubeObject, 'ResourceQuota')
    assert.deepStrictEqual(decode(bytes, 'ResourceQuota'), { ok: true, object: { spec: { hard: { cpu: '1' } }, apiVersion: 'v1', kind: 'ResourceQuota', metadata: {}, status: {} }, problems: [] })
  })
})

describe('what goes out', () => {
  it('is framed as upstream frames it', () => {
    const bytes = encodeProtobuf({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n', creationTimestamp: '1970-01-01T00:00:01Z' } }, 'Namespace')
    assert.equal(bytes.toString('hex'), hex(`6b387300 0a0f 0a02 7631 1209 ${Buffer.from('Namespace').toString('hex')} 120b 0a09 0a016e 4204 08011000 1a00 2200`).toString('hex'))
  })

  it('of a list is put together of its items, each made by itself', () => {
    const items = [0, 1, 2].map((i) => transcodeListItem(['{"metadata":', Buffer.from(`{"name":"c${i}"}`), '}'], 'ConfigMap'))
    const { head, tail } = aroundProtobufList({ apiVersion: 'v1', kind: 'ConfigMapList', metadata: { resourceVersion: '7' } }, Buffer.concat(items).length)
    assert.deepStrictEqual(decoded(Buffer.concat([head, ...items, tail])), { apiVersion: 'v1', kind: 'ConfigMapList', metadata: { resourceVersion: '7' }, items: [0, 1, 2].map((i) => ({ metadata: { name: `c${i}` } })) })
  })

  it('in a watch has its length in front', () => {
    assert.equal(encodeWatchFrame('ADDED', Buffer.from('xy')).toString('hex'), hex(`0000000d 0a05 ${Buffer.from('ADDED').toString('hex')} 1204 0a02 7879`).toString('hex'))
  })

  it('leaves out what the type does not have', () => {
    assert.deepStrictEqual(decoded(encodeProtobuf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', creationTimestamp: null }, unknown: 1 } as unknown as KubeObject, 'ConfigMap')), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } })
  })
})

describe('varints', () => {
  it('come back as they went, over the whole range that numbers are exact in', () => {
    fc.assert(fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constantFrom(0, -1, 127, 128, 2 ** 32 - 1, 2 ** 32, -(2 ** 63), 2 ** 53)), (value) => {
      const writer = new WireWriter()
      writer.int(value)
      const bytes = writer.finish()
      assert.equal(new WireReader(bytes, 1).int64(), value)
      if (Math.abs(value) < 2 ** 31) assert.equal(new WireReader(bytes, 1).int32(), value)
      if (value < 0) assert.equal(bytes.length, 10)
    }))
  })

  it('beyond what the wire can say are as near as it can', () => {
    for (const value of [2 ** 63, 2 ** 63 + 4096, 2 ** 64]) {
      const writer = new WireWriter()
      writer.int(value)
      assert.equal(writer.finish().toString('hex'), 'ffffffffffffffff7f')
    }
  })
})
