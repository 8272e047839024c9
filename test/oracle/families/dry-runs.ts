/** Each verb as a dry run, and with each answer to fields that nobody knows. */
import { editOf } from '../edits.ts'
import type { Case, Json, Step } from '../exchange.ts'
import { change, creation, FORMS, patchType, type Family } from './begin.ts'

const DRY = ['dryRun=All', 'dryRun=All&dryRun=All', 'dryRun=Nope', 'dryRun=', 'dryRun=all']
const VALIDATIONS = ['', 'fieldValidation=Strict', 'fieldValidation=Warn', 'fieldValidation=Ignore', 'fieldValidation=Nope', 'fieldValidation=']
const KINDS = new Set(['v1 configmaps', 'v1 pods', 'apps/v1 deployments', 'v1 services', 'networking.k8s.io/v1 ingresses', 'rbac.authorization.k8s.io/v1 clusterroles', 'v1 persistentvolumes', 'batch/v1 cronjobs', 'admissionregistration.k8s.io/v1 validatingadmissionpolicies'])

export const dryRuns: Family = function* ({ chance, seeds, next }) {
  const kinds = new Set<string>()
  for (const seed of seeds.toReversed()) {
    if (kinds.has(seed.kind)) continue
    kinds.add(seed.kind)
    const begun = () => {
      const object = seed.object(next())
      return { object, path: `${seed.collection}/${object.metadata.name}` }
    }
    const of = (path: string, steps: readonly Step[]): Case => ({ family: 'dry runs', kind: seed.kind, object: path, steps: [...steps, { form: 'GET after a dry run', method: 'GET', path }] })
    const dry = (step: Step, query: string): Step => ({ ...step, form: `${step.form}, ${query}`, path: `${String(step.path)}${String(step.path).includes('?') ? '&' : '?'}${query}` })
    for (const query of DRY) {
      const { object, path } = begun()
      yield of(path, [dry({ ...creation(seed, object), isSetUp: undefined as never }, query)])
    }
    for (const form of FORMS) {
      const { object, path } = begun()
      yield of(path, [creation(seed, object), dry(change(form, path, object, editOf(chance, seed, object)), 'dryRun=All')])
      const second = begun()
      if (seed.subresources.includes('status')) yield of(second.path, [creation(seed, second.object), dry(change(form, `${second.path}/status`, second.object, editOf(chance, seed, { ...second.object, ...seed.status }, 'status')), 'dryRun=All')])
    }
    const { object, path } = begun()
    yield of(path, [creation(seed, object), dry({ form: 'DELETE', method: 'DELETE', path }, 'dryRun=All')])
    if (KINDS.has(seed.kind)) yield* unknownFields(seed, begun)
  }
}

/** Fields that are unknown, sent twice, or both, on the way to each verb. */
function* unknownFields(seed: Parameters<typeof creation>[0], begun: () => { object: Json & { metadata: Json & { name: string } }; path: string }): Iterable<Case> {
  const twice = (object: Json): string => JSON.stringify(object).replace('"metadata":{', '"metadata":{"labels":{"z":"1"},"labels":{"z":"2"},').replace(/^\{/, '{"nope":1,')
  const deep = (object: Json): Json => JSON.parse(JSON.stringify(object).replaceAll('{"name":', '{"nopes":[{"x":1}],"name":').replace('"spec":{', '"spec":{"nope":{"a":1},')) as Json
  for (const query of VALIDATIONS) {
    const of = (form: string, step: (object: Json & { metadata: Json & { name: string } }, path: string) => Omit<Step, 'form'>, isMade: boolean): Case => {
      const { object, path } = begun()
      const asked = step(object, path)
      return { family: 'unknown fields', kind: seed.kind, object: path, steps: [...(isMade ? [creation(seed, object)] : []), { ...asked, form: `${form} of unknown fields`, path: `${String(asked.path)}${String(asked.path).includes('?') ? '&' : '?'}${query}` }] }
    }
    const without = (object: Json): Json => ({ ...object, metadata: { name: (object['metadata'] as Json)['name'] } })
    yield of('POST', (object) => ({ method: 'POST', path: seed.collection, body: deep(object) }), false)
    yield of('POST', (object) => ({ method: 'POST', path: seed.collection, body: twice(without(object)) }), false)
    yield of('POST of YAML', (object) => ({ method: 'POST', path: seed.collection, type: 'application/yaml', body: `${Object.entries(without(object)).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`).join('')}nope: 1\nnope: 2\n` }), false)
    yield of('PUT', (object, path) => ({ method: 'PUT', path, body: deep(object) }), true)
    yield of('PUT', (object, path) => ({ method: 'PUT', path, body: twice(without(object)) }), true)
    for (const form of ['merge patch', 'strategic merge patch'] as const) {
      yield of(form, (object, path) => ({ method: 'PATCH', path, type: patchType(form), body: deep(object) }), true)
      yield of(form, (object, path) => ({ method: 'PATCH', path, type: patchType(form), body: twice(without(object)) }), true)
    }
    yield of('JSON patch', (_, path) => ({ method: 'PATCH', path, type: patchType('JSON patch'), body: [{ op: 'add', path: '/nope', value: 1 }, { op: 'add', path: '/metadata/nope', value: { a: 1 } }] }), true)
    yield of('JSON patch', (_, path) => ({ method: 'PATCH', path, type: patchType('JSON patch'), body: '[{"op":"add","op":"add","path":"/metadata/labels","value":{"a":"1","a":"2"}}]' }), true)
    yield of('apply', (object, path) => ({ method: 'PATCH', path: `${path}?fieldManager=x&force=true`, type: patchType('apply'), body: deep(object) }), true)
    yield of('apply', (object, path) => ({ method: 'PATCH', path: `${path}?fieldManager=x&force=true`, type: patchType('apply'), body: twice(without(object)) }), true)
  }
}
