/** Requests that take too long. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { harness } from '../app.test-support.ts'
import { Deadlines } from './deadlines.ts'

const never = () => new Promise<string>(() => { /* it hangs */ })

describe('deadlines', () => {
  it('run out one after the other, each at its time, with one timer for all', async () => {
    const clock = new FakeClock()
    const deadlines = new Deadlines(clock, 1_000)
    const seen: string[] = []
    const start = (name: string, run: () => Promise<string> = never) => void deadlines.within(run, () => `${name} late`).then((text) => seen.push(text))
    start('a')
    await clock.advance(300)
    start('b')
    start('c', async () => 'c done')
    assert.equal(clock.pending, 1)
    await clock.advance(699)
    assert.deepEqual(seen, ['c done'])
    await clock.advance(1)
    assert.deepEqual(seen, ['c done', 'a late'])
    await clock.advance(300)
    assert.deepEqual([seen, clock.pending], [['c done', 'a late', 'b late'], 0])
  })
  it('a shorter one of the caller\'s own holds, a longer one does not', async () => {
    const clock = new FakeClock()
    const deadlines = new Deadlines(clock, 1_000)
    const [short, long] = [deadlines.within(never, () => clock.monotonicMs().toString(), 200), deadlines.within(never, () => clock.monotonicMs().toString(), 5_000)]
    await clock.advance(5_000)
    assert.deepEqual(await Promise.all([short, long]), ['200', '1000'])
  })
})

describe('--request-timeout', () => {
  const hanging = () => harness({ admission: [{ name: 'Test', validate: () => new Promise(() => { /* it hangs */ }) }] })
  const PATH = '/api/v1/namespaces/default/configmaps'
  it('a request that hangs is answered with 504; a watch lives on', async () => {
    const h = hanging()
    const watch = await h.watch(`${PATH}?watch=1`)
    const answer = h.call('POST', PATH, { metadata: { name: 'a' } })
    await h.clock.advance(60_000)
    const { status, json } = await answer
    assert.deepEqual([status, json['reason'], json['message']], [504, 'Timeout', 'Timeout: request did not complete within the allotted timeout'])
    assert.equal(await Promise.race([watch.ended.then(() => 'ended'), Promise.resolve('alive')]), 'alive')
    watch.stop()
    h.api.close()
  })
  it('the client may ask for less; what is no duration is refused', async () => {
    const h = hanging()
    const answer = h.call('POST', `${PATH}?timeout=1.5s`, { metadata: { name: 'a' } })
    await h.clock.advance(1_500)
    assert.equal((await answer).status, 504)
    for (const [text, problem] of [['soon', 'invalid duration "soon"'], ['5', 'missing unit in duration "5"'], ['1h5x', 'unknown unit "x" in duration "1h5x"'], ['-', 'invalid duration "-"'], ['.s', 'invalid duration ".s"']] as const) {
      const refused = await h.call('GET', `${PATH}?timeout=${text}`)
      assert.deepEqual([refused.status, refused.json['message']], [400, `invalid timeout specified in the request URL - time: ${problem}`])
    }
    for (const text of ['0', '-1s', '1h1m.5s']) assert.equal((await h.call('GET', `${PATH}?timeout=${text}`)).status, 200, text)
    h.api.close()
  })
})
