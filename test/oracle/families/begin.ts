/** What the families' cases have in common: an object that is made first, and the forms of a change to it. */
import type { Chance } from '../../fuzz/chance.ts'
import type { Edit } from '../edits.ts'
import type { Case, Json, Step } from '../exchange.ts'
import { applied, edited, jsonPatch, mergePatch, strategicPatch } from '../forms.ts'
import type { Seed } from '../seeds.ts'

/** The makers of a family's cases know of nothing but these: the same seed makes the same cases. */
export interface Making { chance: Chance; seeds: readonly Seed[]; /** Per kind. */ count: number; /** A number that no other case has. */ next: () => number }
export type Family = (making: Making) => Iterable<Case>

export const FORMS = ['PUT', 'JSON patch', 'merge patch', 'strategic merge patch', 'apply', 'apply --force'] as const
export type Form = (typeof FORMS)[number]

const TYPES: Readonly<Record<Exclude<Form, 'PUT'>, string>> = {
  'JSON patch': 'application/json-patch+json', 'merge patch': 'application/merge-patch+json', 'strategic merge patch': 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml', 'apply --force': 'application/apply-patch+yaml',
}

export const patchType = (form: Exclude<Form, 'PUT'>): string => TYPES[form]

export const creation = (seed: Seed, object: Json): Step => ({ form: 'POST', method: 'POST', path: seed.collection, body: object, isSetUp: true })

/** `object`: as the client believes it to be. Patches of a PUT's kind are made of what the server answered last. */
export function change(form: Form, path: string, object: Json, edit: Edit, manager = 'oracle'): Step {
  const sub = path.split('/').at(-1)
  const label = sub === 'status' || sub === 'scale' ? `${form} of /${sub}` : form
  const query = `?fieldManager=${manager}${form === 'apply --force' ? '&force=true' : ''}`
  const patch = (of: Exclude<Form, 'PUT'>, body: unknown): Step => ({ form: label, method: 'PATCH', path: path + query, type: TYPES[of], body })
  switch (form) {
    case 'PUT': return { form: label, method: 'PUT', path: path + query, body: (last: Json) => edited(last, edit) }
    case 'JSON patch': return patch(form, jsonPatch(object, edit))
    case 'merge patch': return patch(form, mergePatch(object, edit))
    case 'strategic merge patch': return patch(form, strategicPatch(object, edit))
    case 'apply': case 'apply --force': return patch(form, { ...applied(object, edit), apiVersion: object['apiVersion'], kind: object['kind'], metadata: { ...(applied(object, edit)['metadata'] as Json | undefined), name: (object['metadata'] as Json)['name'] } })
  }
}

export interface World { steps: readonly Step[]; /** The namespace: goes at the end. */ object: string; collection: string }

/** A namespace of its own with objects in it, for what asks about all of them. */
export function world(n: number | string, resource: string, objects: readonly Json[], root = '/api/v1'): World {
  const name = `oracle-${String(n).replace('.', '-')}`
  const collection = `${root}/namespaces/${name}/${resource}`
  const namespace: Step = { form: 'POST', method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name } }, isSetUp: true }
  return { object: `/api/v1/namespaces/${name}`, collection, steps: [namespace, ...objects.map((body): Step => ({ form: 'POST', method: 'POST', path: collection, body, isSetUp: true }))] }
}
