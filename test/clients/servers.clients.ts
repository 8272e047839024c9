/**
 * client-go against three servers of which the leading one is killed and comes back: leader election, informers, watches
 * that go on, pages. SKIFF_GO_CLIENTS: the program that scripts/clients-test.sh builds of test/clients/go.
 */
import { strictEqual } from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { Program } from '../lab/program.ts'

const PROGRAM = process.env['SKIFF_GO_CLIENTS'] ?? ''
/** Between two questions of the program: a check has three minutes. */
const ASK_MS_MAX = 200_000

describe('client-go and three servers', { skip: PROGRAM === '' ? 'needs SKIFF_GO_CLIENTS: run scripts/clients-test.sh' : false }, () => {
  let cluster: Cluster
  before(async () => { cluster = await Cluster.create({ hosts: 3, servers: 3, serverFlags: ['--disable-agent'], waitForNodes: false }) })
  after(() => cluster?.destroy())

  for (const content of ['protobuf', 'json']) {
    test(`in ${content}`, async () => {
      const asked = cluster.lab.hosts.map((host) => reachable(host))
      await using program = new Program(cluster.server, [PROGRAM, '-kubeconfig', asked[0] ?? '', '-servers', asked.join(), '-content', content, '-namespace', `go-${content}`, '-only', process.env['SKIFF_CLIENTS_ONLY'] ?? ''])
      let leader = cluster.server
      for (let n = 1; ; n++) {
        const said = await program.says(new RegExp(String.raw`^ASK ${n} \w+$|^\w+: \d+ failed$`, 'm'), ASK_MS_MAX)
        if (!said.startsWith('ASK')) break
        program.write(`${await answer(said.split(' ')[2] ?? '')}\n`)
      }
      strictEqual(await program.exited, 0, program.output)

      async function answer(question: string): Promise<string> {
        if (question === 'LEADER') leader = await cluster.leader()
        else if (question === 'KILL') await cluster.stop(leader, 'SIGKILL')
        else {
          cluster.start(leader)
          await cluster.waitForApi(leader)
        }
        return String(cluster.lab.hosts.indexOf(leader))
      }
    })
  }

  /** The server's kubeconfig with an address for all hosts. */
  function reachable(host: LabHost): string {
    const file = join(host.dir, 'reachable.kubeconfig')
    writeFileSync(file, readFileSync(host.kubeconfig, 'utf8').replace('//127.0.0.1:', `//${host.ip}:`), { mode: 0o600 })
    return file
  }
})
