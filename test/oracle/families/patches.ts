/** Changes of objects of all kinds, in each form. */
import { editOf } from '../edits.ts'
import { change, creation, FORMS, type Family } from './begin.ts'

export const patches: Family = function* ({ chance, seeds, count, next }) {
  for (const seed of seeds) {
    for (let i = 0; i < count; i++) {
      const object = seed.object(next())
      const path = `${seed.collection}/${object.metadata.name}`
      const edit = editOf(chance, seed, object)
      yield { family: 'patches', kind: seed.kind, object: path, steps: [creation(seed, object), change(FORMS[i % FORMS.length] ?? 'PUT', path, object, edit)] }
    }
  }
}
