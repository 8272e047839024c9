/** Two who apply and one who writes, taking turns at one object: who owns what, and who is in whose way. */
import { editOf } from '../edits.ts'
import type { Case, Json, Step } from '../exchange.ts'
import { change, creation, type Family, type Form } from './begin.ts'

const TURNS_MAX = 6
const FORMS: readonly Form[] = ['apply', 'apply', 'apply --force', 'PUT', 'merge patch', 'strategic merge patch', 'JSON patch']

export const managers: Family = function* ({ chance, seeds, count, next }) {
  for (const seed of seeds) {
    for (let i = 0; i < count; i++) {
      const object = seed.object(next())
      const path = `${seed.collection}/${object.metadata.name}`
      const whole = (manager: string): Step => ({ form: 'apply', method: 'PATCH', path: `${path}?fieldManager=${manager}`, type: 'application/apply-patch+yaml', body: object })
      const steps: Step[] = [chance.oneIn(2) ? creation(seed, object) : { ...whole('one'), isSetUp: true }]
      for (let turn = 2 + chance.int(TURNS_MAX - 2); turn > 0; turn--) {
        const manager = chance.pick(['one', 'two'])
        if (chance.oneIn(5)) steps.push(whole(manager))
        else if (chance.oneIn(6) && seed.subresources.includes('scale')) steps.push(scaled(path, manager, chance.int(4)))
        else {
          const form = chance.pick(FORMS)
          steps.push(change(form, path, object, editOf(chance, seed, object), form.startsWith('apply') ? manager : 'writer'))
        }
      }
      yield { family: 'managers', kind: seed.kind, object: path, steps } satisfies Case
    }
  }
}

const scaled = (path: string, manager: string, replicas: number): Step => ({ form: 'merge patch of /scale', method: 'PATCH', path: `${path}/scale?fieldManager=${manager}`, type: 'application/merge-patch+json', body: { spec: { replicas } } satisfies Json })
