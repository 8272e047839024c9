/** @kubernetes/client-node's informer goes on after the server was killed and started again, and misses nothing. */
import { strictEqual } from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Cluster } from '../lab/cluster.ts'
import { Program } from '../lab/program.ts'

test('an informer goes on after the server was killed, and misses nothing', { timeout: 120_000 }, async () => {
  const cluster = await Cluster.create({ hosts: 1 })
  try {
    await using program = new Program(cluster.server, ['env', '-u', 'NODE_TEST_CONTEXT', `KUBECONFIG=${cluster.server.kubeconfig}`, process.execPath, join(import.meta.dirname, 'informer.inside.ts')])
    await program.says(/^RESTART$/m)
    await cluster.stop(cluster.server, 'SIGKILL')
    cluster.start(cluster.server)
    await cluster.waitForApi()
    program.write('done\n')
    strictEqual(await program.says(/^TOLD .*$/m), 'TOLD add early, add late, delete early; HAS late')
  } finally {
    await cluster.destroy()
  }
})
