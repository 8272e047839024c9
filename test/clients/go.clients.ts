/**
 * client-go, as Debian ships it, against a lab cluster: each way of encoding, with watch lists and without, over a
 * restart of the server. SKIFF_GO_CLIENTS: the program that scripts/clients-test.sh builds of test/clients/go.
 */
import { strictEqual } from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Cluster } from '../lab/cluster.ts'
import { Program } from '../lab/program.ts'
import { openShop, runningPods } from '../whole/shop.ts'

const PROGRAM = process.env['SKIFF_GO_CLIENTS'] ?? ''
const RUN_MS_MAX = 600_000

describe('client-go', { skip: PROGRAM === '' ? 'needs SKIFF_GO_CLIENTS: run scripts/clients-test.sh' : false }, () => {
  let cluster: Cluster
  let pod: string

  before(async () => {
    cluster = await Cluster.create({ hosts: 1 })
    await openShop(cluster, { namespace: 'shop' })
    pod = (await runningPods(cluster, 'shop'))[0] ?? ''
  })
  after(() => cluster?.destroy())

  async function all(content: string, features: readonly string[]): Promise<void> {
    const only = process.env['SKIFF_CLIENTS_ONLY'] ?? ''
    await using program = new Program(cluster.server, ['env', ...features.map((f) => `KUBE_FEATURE_${f}`), PROGRAM, '-kubeconfig', cluster.server.kubeconfig, '-content', content, '-namespace', `go-${content}`, '-pod', `shop/${pod}`, '-restarts', '-only', only])
    if (only === '') {
      await program.says(/^RESTART$/m, RUN_MS_MAX)
      await cluster.stop(cluster.server, content === 'protobuf' ? 'SIGKILL' : 'SIGTERM')
      cluster.start(cluster.server)
      await cluster.waitForApi()
      program.write('done\n')
    }
    await program.says(/^\w+: \d+ failed$/m, RUN_MS_MAX)
    strictEqual(await program.exited, 0, program.output.split('\n').filter((line) => !line.startsWith('ok ')).join('\n'))
  }

  test('in protobuf, with lists that are watches', () => all('protobuf', ['WatchListClient=true']))
  test('in JSON, with lists and watches', () => all('json', ['WatchListClient=false']))
})
