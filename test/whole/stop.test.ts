/** SIGTERM at any moment of a start: the process ends, soon and with 0, whatever was under way. */
import { strictEqual } from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import { Cluster } from '../lab/cluster.ts'

/** From the handlers' installation to a Ready node, about. The delays are the subject of the test, not a wait for something. */
const MOMENTS_MS = [200, 250, 300, 350, 400, 450, 500, 600, 800, 1_200]

describe('SIGTERM while a server with its agent starts', () => {
  let cluster: Cluster
  before(async () => { cluster = await Cluster.create({ hosts: 1 }) })
  after(async () => { await cluster.destroy() })

  test('ends it within the ten seconds of the contract at every moment, and the next start is whole', async () => {
    await cluster.stop(cluster.server)
    for (const ms of MOMENTS_MS) {
      cluster.start(cluster.server)
      await delay(ms)
      const startedMs = performance.now()
      const code = await cluster.stop(cluster.server)
      strictEqual(performance.now() - startedMs < 10_000, true, `after ${ms} ms of starting`)
      // null: so early that the signal met no handler yet.
      strictEqual(code === 0 || code === null, true, `exit code ${code} after ${ms} ms of starting`)
    }
    cluster.start(cluster.server)
    await cluster.waitForApi()
    await cluster.waitForNodes()
  })
})
