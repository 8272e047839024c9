import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { StartQueue } from './start-queue.ts'

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
