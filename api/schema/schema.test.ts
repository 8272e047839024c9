import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtinSchema as schema, kindOf } from './index.ts'

test('a model has upstream\'s name, kinds and facts', () => {
  const pod = schema.model('Pod')
  assert.deepStrictEqual([pod?.definition, pod?.groupVersionKinds, pod?.structType], ['io.k8s.api.core.v1.Pod', [{ group: '', version: 'v1', kind: 'Pod' }], 'granular'])
  assert.deepStrictEqual(schema.model('Container')?.fields['ports'], {
    required: false,
    type: { kind: 'list', items: { kind: 'ref', model: 'ContainerPort' }, listType: 'map', listMapKeys: ['containerPort', 'protocol'], patchStrategy: 'merge', patchMergeKey: 'containerPort' },
  })
  assert.deepStrictEqual(schema.model('ResourceRequirements')?.fields['limits']?.type, { kind: 'map', values: { kind: 'scalar', scalar: 'quantity' }, mapType: 'granular' })
  assert.deepStrictEqual(schema.model('Secret')?.fields['data']?.type, { kind: 'map', values: { kind: 'scalar', scalar: 'byte' }, mapType: 'granular' })
  assert.deepStrictEqual(schema.model('LeaseSpec')?.fields['renewTime']?.type, { kind: 'scalar', scalar: 'micro-time' })
  assert.deepStrictEqual(schema.model('DeploymentSpec')?.fields['strategy'], { required: false, type: { kind: 'ref', model: 'DeploymentStrategy' }, patchStrategy: 'retainKeys', zero: 'written' })
  assert.deepStrictEqual(schema.model('ContainerPort')?.fields['protocol'], { required: false, type: { kind: 'scalar', scalar: 'string' }, default: 'TCP', zero: 'omitted' })
  assert.deepStrictEqual([schema.model('ContainerPort')?.fields['hostPort']?.zero, schema.model('SecurityContext')?.fields['privileged']?.zero], ['omitted', undefined])
  assert.deepStrictEqual(schema.model('ContainerPort')?.written, ['containerPort'])
  assert.equal(schema.model('LabelSelector')?.structType, 'atomic')
  assert.equal(schema.model('CoreV1Event')?.definition, 'io.k8s.api.core.v1.Event')
  assert.equal(schema.model('VersionInfo')?.definition, 'io.k8s.apimachinery.pkg.version.Info')
  assert.equal(schema.model('DeleteOptions')?.groupVersionKinds.length, 60)
})

test('unknown names and names of JavaScript\'s own are no models and no fields', () => {
  for (const name of ['Nope', '', 'constructor', '__proto__']) {
    assert.equal(schema.model(name), undefined)
    assert.equal(schema.model('Pod')?.fields[name], undefined)
  }
})

test('every reference resolves, every merge key is a field, every definition is there once', () => {
  const definitions = new Set<string>()
  const problems: string[] = []
  for (const model of schema.models()) {
    if (definitions.has(model.definition)) problems.push(`twice: ${model.definition}`)
    definitions.add(model.definition)
    for (const [name, { type }] of Object.entries(model.fields)) {
      const inner = type.kind === 'list' ? type.items : type.kind === 'map' ? type.values : type
      const target = inner.kind === 'ref' ? schema.model(inner.model) : undefined
      if (inner.kind === 'ref' && !target) problems.push(`${model.model}.${name}: no model ${inner.model}`)
      if (type.kind !== 'list') continue
      for (const key of [...(type.listMapKeys ?? []), type.patchMergeKey]) if (key !== undefined && !target?.fields[key]) problems.push(`${model.model}.${name}: no key ${key}`)
      if (type.listType === 'set' && inner.kind === 'ref' && target?.structType !== 'atomic') problems.push(`${model.model}.${name}: a set of granular structs`)
    }
  }
  assert.deepStrictEqual(problems, [])
  assert.equal(definitions.size, 760)
})

test('documentation is there for every model and almost every field', () => {
  const docs = schema.docs()
  assert.match(docs.get('Pod')?.description ?? '', /^Pod is a collection of containers/)
  assert.match(docs.get('Container')?.fields['image'] ?? '', /^Container image name/)
  // Upstream has none either.
  assert.deepStrictEqual([...schema.models()].filter((m) => !docs.get(m.model)?.description).map((m) => m.model), ['V1alpha1MatchCondition'])
})

test('model names lose their version, and prefixes that tell groups apart', () => {
  assert.deepStrictEqual(['Pod', 'V2HorizontalPodAutoscaler', 'V1beta1IPAddress', 'CoreV1Event', 'VolumeAttachment', 'VersionInfo'].map(kindOf), ['Pod', 'HorizontalPodAutoscaler', 'IPAddress', 'Event', 'VolumeAttachment', 'Info'])
})
