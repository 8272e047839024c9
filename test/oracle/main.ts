/**
 * `scripts/oracle.sh`: skiff's API server beside the kube-apiserver that SKIFF_KUBE_APISERVER names, asked the same, their answers compared. A lab
 * of one host; skiff without controllers and scheduler, as there are none beside the other one.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startKubeApiserver } from '../bench/kube-apiserver.ts'
import { Cluster } from '../lab/cluster.ts'
import { FAMILIES } from './families/index.ts'
import type { RunArguments } from './run.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' }, count: { type: 'string', default: '12' }, family: { type: 'string', multiple: true, default: [] }, kind: { type: 'string', multiple: true, default: [] },
    'by-kind': { type: 'boolean', default: false }, out: { type: 'string' },
  },
})
const program = process.env['SKIFF_KUBE_APISERVER']
if (program === undefined) throw new Error('SKIFF_KUBE_APISERVER does not name a kube-apiserver of release 1.36')
const stray = values.family.find((name) => !Object.hasOwn(FAMILIES, name))
if (stray !== undefined) throw new Error(`--family ${stray}: there are ${Object.keys(FAMILIES).join(', ')}`)

const cluster = await Cluster.create({ hosts: 1, serverFlags: ['--disable-agent', '--disable', 'controllers,scheduler', '--disable-admission-plugins', 'ServiceAccount'], waitForNodes: false })
try {
  const host = cluster.server
  // As many kinds as are served here.
  const theirs = await startKubeApiserver(host, program, ['--runtime-config=api/all=true'])
  const args: RunArguments = { ours: host.kubeconfig, theirs, seed: Number(values.seed), count: Number(values.count), families: values.family, kinds: values.kind, byKind: values['by-kind'], ...(values.out !== undefined && { out: values.out }) }
  const running = host.spawn([process.execPath, join(import.meta.dirname, 'run.ts'), JSON.stringify(args)], { stdio: 'inherit' })
  const [code] = await once(running, 'exit') as [number | null]
  process.exitCode = code ?? 1
} finally {
  await cluster.destroy()
}
