/** What may be said of an object's status, and whatever else is sent to `/status`. */
import { editOf } from '../edits.ts'
import { isObject, type Json } from '../exchange.ts'
import { change, creation, FORMS, type Family } from './begin.ts'

const SPEC_ONCE_IN = 5

export const statuses: Family = function* ({ chance, seeds, count, next }) {
  for (const seed of seeds.filter(({ subresources }) => subresources.includes('status'))) {
    for (let i = 0; i < count; i++) {
      const object = seed.object(next())
      const at = `${seed.collection}/${object.metadata.name}`
      const path = `${at}/status`
      const known: Json = { ...object, ...(isObject(seed.status?.['status']) && { status: seed.status['status'] }) }
      const first = { form: 'merge patch of /status', method: 'PATCH', path, type: 'application/merge-patch+json', body: seed.status ?? {} }
      const edit = chance.oneIn(SPEC_ONCE_IN) ? editOf(chance, seed, object) : editOf(chance, seed, known, 'status')
      yield { family: 'statuses', kind: seed.kind, object: at, steps: [creation(seed, object), ...(seed.status ? [first] : []), change(FORMS[i % FORMS.length] ?? 'PUT', path, known, edit)] }
    }
  }
}
