/** Each part of a pod changed in each phase of its life. */
import { editOf } from '../edits.ts'
import type { Json, Step } from '../exchange.ts'
import type { Seed } from '../seeds.ts'
import { change, creation, type Family, type Form } from './begin.ts'

type Phase = (path: string) => readonly Step[]

const status = (path: string, body: Json): Step => ({ form: 'merge patch of /status', method: 'PATCH', path: `${path}/status`, type: 'application/merge-patch+json', body: { status: body }, isSetUp: true })
const binding = (path: string): Step => ({ form: 'POST of /binding', method: 'POST', path: `${path}/binding`, body: { apiVersion: 'v1', kind: 'Binding', metadata: { name: path.split('/').at(-1) }, target: { kind: 'Node', name: 'node-1' } }, isSetUp: true })
const read = (path: string): Step => ({ form: 'GET', method: 'GET', path })
const running = { phase: 'Running', podIP: '10.42.0.9', podIPs: [{ ip: '10.42.0.9' }], startTime: '2026-01-01T00:00:00Z', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }] }
const ended = { ...running, phase: 'Succeeded', conditions: [{ type: 'Ready', status: 'False', reason: 'PodCompleted', lastTransitionTime: '2026-01-01T00:00:00Z' }] }
const ending = (path: string): Step => ({ form: 'DELETE', method: 'DELETE', path, body: { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 30 }, isSetUp: true })

const PHASES: Readonly<Record<string, Phase>> = {
  pending: () => [],
  gated: () => [],
  assigned: (path) => [binding(path), read(path)],
  running: (path) => [binding(path), status(path, running)],
  terminal: (path) => [binding(path), status(path, ended)],
  terminating: (path) => [binding(path), status(path, running), ending(path)],
}
const FORMS: readonly Form[] = ['PUT', 'strategic merge patch', 'merge patch']

export const podUpdates: Family = function* ({ chance, seeds, count, next }) {
  for (const seed of seeds.filter(({ kind }) => kind === 'v1 pods')) {
    for (const [phase, steps] of Object.entries(PHASES)) {
      for (let i = 0; i < count; i++) {
        const object = phase === 'gated' ? gated(seed, next()) : seed.object(next())
        const path = `${seed.collection}/${object.metadata.name}`
        yield { family: `pod updates, ${phase}`, kind: seed.kind, object: path, steps: [creation(seed, object), ...steps(path), change(FORMS[i % FORMS.length] ?? 'PUT', path, object, editOf(chance, seed, object))] }
      }
    }
  }
}

function gated(seed: Seed, n: number): ReturnType<Seed['object']> {
  const object = seed.object(n)
  return { ...object, spec: { ...(object['spec'] as Json), schedulingGates: [{ name: 'example.com/g' }, { name: 'example.com/h' }] } }
}
