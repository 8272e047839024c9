/**
 * `node test/bench/beside-upstream.ts [--quick]`: the API load on `skiff server`, and on upstream's kube-apiserver with Debian's
 * etcd, one after the other in the same lab host with the same client. SKIFF_KUBE_APISERVER: the program, of any release.
 * Rates are of two programs and the client on one machine's cores; milliseconds of CPU are of all of the cluster's processes.
 */
import { parseArgs } from 'node:util'
import { Cluster } from '../lab/cluster.ts'
import { apiFigures } from './api-load.ts'
import { skiffPids, waitForNamespace } from './cluster-figures.ts'
import { etcdPids } from './etcd.ts'
import type { Figure } from './figure.ts'
import { startKubeApiserver } from './kube-apiserver.ts'

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const program = process.env['SKIFF_KUBE_APISERVER']
if (program === undefined) throw new Error('SKIFF_KUBE_APISERVER does not name a kube-apiserver')

const cluster = await Cluster.create({ hosts: 1, serverFlags: ['--disable-agent'], waitForNodes: false })
try {
  const host = cluster.server
  await waitForNamespace(cluster)
  const ours = await apiFigures({ host, kubeconfig: host.kubeconfig, pids: skiffPids(host), quick: values.quick })
  await cluster.stop(host)
  const kubeconfig = await startKubeApiserver(host, program)
  const pids = [...etcdPids(host), ...host.processes().filter((p) => p.command.includes('--etcd-servers=')).map((p) => p.pid)]
  const theirs = await apiFigures({ host, kubeconfig, pids, quick: values.quick })
  for (const figure of ours) console.log(line(figure, theirs.find(({ name }) => name === figure.name)))
} finally {
  await cluster.destroy()
}

function line(ours: Figure, theirs: Figure | undefined): string {
  if (!theirs) return `${ours.name.padEnd(40)} upstream does not do it`
  const times = ours.better === 'higher' ? ours.value / theirs.value : theirs.value / ours.value
  const shown = ({ value, unit, note }: Figure) => `${value.toPrecision(4)} ${unit}${note === undefined ? '' : ` (${note})`}`
  return `${ours.name.padEnd(40)} ${shown(ours).padEnd(36)} upstream ${shown(theirs).padEnd(36)} ${times.toFixed(1)} times better`
}
