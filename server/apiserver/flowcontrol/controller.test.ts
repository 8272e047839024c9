/** What is written on flow schemas' status, and how often. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client, Informers } from '#api/client/client.ts'
import { FLOW_SCHEMAS, type FlowSchema, type FlowSchemaCondition, type KubeObject, type ResourceRef, type Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { createMemoryClient } from '../authn/memory-client.test-support.ts'
import { createFlowControlController } from './controller.ts'
import { FlowControl } from './flow-control.ts'

interface Stage { clock: FakeClock; writes: FlowSchemaCondition[]; set: (condition: FlowSchemaCondition) => void; stop: () => void }

/** `write` stands before each write of catch-all's status. */
async function stage(write: (stage: Stage) => void): Promise<Stage> {
  const clock = new FakeClock()
  const random = seededRandom(1)
  const log = createLog({ format: 'text', level: 'error', nowMs: () => 0, write: () => {} })
  const memory = createMemoryClient(() => clock.nowMs())
  const stopper = new AbortController()
  const set = (name: string, condition: FlowSchemaCondition): Stored<FlowSchema> => {
    const schema = memory.all<FlowSchema>(FLOW_SCHEMAS).find(({ metadata }) => metadata.name === name)
    assert.ok(schema)
    return memory.put(FLOW_SCHEMAS, { ...schema, status: { conditions: [condition] } })
  }
  const made: Stage = { clock, writes: [], set: (condition) => void set('catch-all', condition), stop: () => stopper.abort() }
  const client: Client = {
    ...memory,
    patch: (async (_ref: unknown, name: string, _namespace: unknown, _type: unknown, body: { status: { conditions: FlowSchemaCondition[] } }) => {
      const condition = body.status.conditions[0] as FlowSchemaCondition
      if (name === 'catch-all') {
        made.writes.push(condition)
        write(made)
      }
      return set(name, condition)
    }) as unknown as Client['patch'],
  }
  // Always as new as what they tell of.
  const informers = {
    of: (ref: ResourceRef) => ({
      list: () => memory.all(ref),
      onChange(listener: () => void) {
        memory.onWrite((changed: ResourceRef, _before: Stored<KubeObject> | undefined, _after: Stored<KubeObject> | undefined) => { if (changed.resource === ref.resource) listener() })
        // What is there already is told, too.
        for (let i = memory.all(ref).length; i > 0; i--) listener()
        return () => undefined
      },
    }),
  } as unknown as Informers
  const flowControl = new FlowControl({ clock, log, serverSeats: 10, waitMsMax: 1000 })
  const controller = createFlowControlController({ client, informers, flowControl, clock, random, log })
  await controller.run(stopper.signal)
  return made
}

test('a status that somebody else keeps changing is written six times in a minute, and then again after half a minute or more', async () => {
  const s = await stage(() => undefined)
  await s.clock.advance(1_000)
  assert.deepStrictEqual(s.writes.map(({ status, reason }) => [status, reason]), [['False', 'Found']])
  const [found] = s.writes
  for (let second = 0; second < 240; second++) {
    s.set({ ...found, status: 'True' })
    await s.clock.advance(1_000)
  }
  assert.ok(s.writes.length >= 12 && s.writes.length <= 24, `${s.writes.length} writes in four minutes`)
  // Nobody disputes it any more: the last word is the right one.
  await s.clock.advance(80_000)
  const { length } = s.writes
  await s.clock.advance(300_000)
  assert.deepStrictEqual([s.writes.length, s.writes.at(-1)?.status], [length, 'False'])
  s.stop()
})

test('a status that could not be written is written later', async () => {
  let refusals = 3
  const s = await stage(() => {
    if (refusals-- > 0) throw new Error('no')
  })
  await s.clock.advance(10_000)
  assert.deepStrictEqual(s.writes.map(({ reason }) => reason), ['Found', 'Found', 'Found', 'Found'])
  s.stop()
})
