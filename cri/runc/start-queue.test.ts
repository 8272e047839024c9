import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '#base/clock-fake.ts'
import { CONTAINERS_IN_A_ROW_MAX, StartQueue } from './start-queue.ts'

/** Starts that end when they are told to; `begun` names those that were let in. */
function starts(limit: number) {
  const clock = new FakeClock()
  const queue = new StartQueue(limit, clock)
  const begun: string[] = []
  const ends = new Map<string, (error?: Error) => void>()
  const start = (of: 'container' | 'sandbox', name: string) => queue.run(of, () => new Promise<string>((resolve, reject) => {
    begun.push(name)
    ends.set(name, (error) => (error ? reject(error) : resolve(name)))
  }))
  return { clock, begun, start, end: (name: string, error?: Error) => ends.get(name)?.(error) }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('few are under way at once; containers, whose pods are further, come before sandboxes that have waited longer', async () => {
  const { begun, start, end } = starts(2)
  const all = [start('sandbox', 's1'), start('sandbox', 's2'), start('sandbox', 's3'), start('sandbox', 's4'), start('container', 'c1'), start('container', 'c2')]
  await settle()
  assert.deepEqual(begun, ['s1', 's2'])
  for (const name of ['s2', 's1', 'c1', 'c2', 's3', 's4']) {
    end(name)
    await settle()
  }
  assert.deepEqual(begun, ['s1', 's2', 'c1', 'c2', 's3', 's4'])
  assert.deepEqual(await Promise.all(all), ['s1', 's2', 's3', 's4', 'c1', 'c2'])
})

test('a start that fails lets the next one in', async () => {
  const { begun, start, end } = starts(1)
  const failing = start('sandbox', 's1')
  const next = start('sandbox', 's2')
  await settle()
  end('s1', new Error('no address'))
  await assert.rejects(failing, /no address/)
  await settle()
  assert.deepEqual(begun, ['s1', 's2'])
  end('s2')
  assert.equal(await next, 's2')
})

test('a start that hangs holds the others up for five seconds, and gives its turn away once', async () => {
  const { clock, begun, start, end } = starts(1)
  const hanging = start('container', 'hangs')
  const others = [start('container', 'a'), start('container', 'b')]
  await settle()
  await clock.advance(4_999)
  assert.deepEqual(begun, ['hangs'])
  await clock.advance(1)
  await settle()
  assert.deepEqual(begun, ['hangs', 'a'])
  end('hangs')
  assert.equal(await hanging, 'hangs')
  await settle()
  assert.deepEqual(begun, ['hangs', 'a'])
  end('a')
  await settle()
  end('b')
  assert.deepEqual(await Promise.all(others), ['a', 'b'])
})

test('a sandbox has its turn though starts of containers never stop', async () => {
  const { begun, start, end } = starts(1)
  let containers = 0
  const restart = () => { void start('container', `c${++containers}`) }
  restart()
  for (let i = 0; i < 3; i++) restart()
  void start('sandbox', 's1')
  void start('sandbox', 's2')
  await settle()
  for (let turn = 0; turn < 3 * CONTAINERS_IN_A_ROW_MAX; turn++) {
    restart()
    end(begun.at(-1) ?? '')
    await settle()
  }
  assert.deepEqual(begun.flatMap((name, i) => (name.startsWith('s') ? [i] : [])), [CONTAINERS_IN_A_ROW_MAX + 1, 2 * (CONTAINERS_IN_A_ROW_MAX + 1)])
})

test('whatever comes and ends when: never more than are let at once, none idles while one waits, each kind in its order, containers first, and no sandbox is passed by more than so often', async () => {
  const step = fc.oneof({ weight: 3, arbitrary: fc.constant('container' as const) }, { weight: 2, arbitrary: fc.constant('sandbox' as const) }, { weight: 5, arbitrary: fc.nat(7) })
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 80 }), async (limit, steps) => {
    const { begun, start, end } = starts(limit)
    const asked: string[] = []
    const ended = new Set<string>()
    const waiting = (kind: string) => asked.filter((name) => name.startsWith(kind) && !begun.includes(name))
    let passedBy = 0
    for (const one of steps) {
      const [sandboxes, containers, before] = [waiting('sandbox'), waiting('container'), begun.length]
      if (typeof one === 'string') {
        asked.push(`${one}-${asked.length}`)
        void start(one, asked.at(-1) ?? '')
      } else {
        const running = begun.filter((name) => !ended.has(name))
        const name = running[one % Math.max(1, running.length)]
        if (name === undefined) continue
        ended.add(name)
        end(name)
      }
      await settle()
      const running = begun.filter((name) => !ended.has(name)).length
      assert.equal(running, Math.min(limit, asked.length - ended.size))
      for (const name of begun.slice(before)) {
        if (typeof one === 'string') continue
        if (name.startsWith('sandbox')) {
          assert.ok(containers.length === 0 || passedBy === CONTAINERS_IN_A_ROW_MAX, 'containers come first')
          assert.equal(name, sandboxes[0])
          passedBy = 0
        } else {
          assert.equal(name, containers[0])
          passedBy = sandboxes.length > 0 ? passedBy + 1 : 0
          assert.ok(passedBy <= CONTAINERS_IN_A_ROW_MAX)
        }
      }
    }
  }), { numRuns: 300 })
})
