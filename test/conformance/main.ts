/**
 * Runs upstream's end-to-end suite against a lab cluster: what scripts/conformance.sh ends with. The suite runs on h1, or where
 * there are several servers, on one that follows, and asks that one.
 */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Cluster } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { Lab, readLabState } from '../lab/lab.ts'
import { EXPECTED, WITHOUT } from './expected.ts'
import { runNewSuite } from './new-suite.ts'
import { runNodeSuite } from './node-suite.ts'
import { runOldSuite } from './old-suite.ts'
import type { Outcome, SuiteRun } from './suite.ts'

// --node: the suite for nodes, of tests that do not want to be alone; with --serial those that do, and that start the node anew.
const { values } = parseArgs({
  options: {
    focus: { type: 'string' }, skip: { type: 'string' }, nodes: { type: 'string', default: '2' }, servers: { type: 'string', default: '1' }, procs: { type: 'string', default: '3' },
    lab: { type: 'string' }, out: { type: 'string' }, up: { type: 'boolean', default: false }, suite: { type: 'string' }, source: { type: 'string' }, node: { type: 'boolean', default: false }, serial: { type: 'boolean', default: false },
  },
})
const cache = process.env['SKIFF_CONFORMANCE_CACHE']
if (cache === undefined) throw new Error('scripts/conformance.sh starts this, and says where things are')
const out = resolve(values.out ?? mkdtempSync(join(tmpdir(), 'skiff-conformance-')))
// Without --suite the one of 1.20, which scripts/conformance.sh gets from Debian.
const programs = values.suite ?? cache
const source = values.source ?? join(cache, 'gopath/src/k8s.io/kubernetes')
const kubectl = join(programs, values.suite === undefined ? 'kubectl/usr/bin/kubectl' : 'bin/kubectl')

/** Drivers of the suite mount the kubelet's directory by its name, and name sockets so long that it must not be longer: each host has its own in that place. */
async function ownKubeletDirectory(host: LabHost): Promise<string[]> {
  await host.must(['sh', '-ec', 'mkdir -p "$1" /var/lib/kubelet; mount --bind "$1" /var/lib/kubelet; mount --make-shared /var/lib/kubelet', 'sh', join(host.dir, 'kubelet')])
  return ['--root-dir', '/var/lib/kubelet']
}

/** What the suites' RuntimeClasses name. */
const handler = ['--runtime-handler', 'test-handler=runc']
const running = values.lab === undefined ? undefined : readLabState(values.lab)
const servers = Number(values.servers)
// A node that is started anew must not take the API server along.
const flags = { serverFlags: values.serial ? ['--disable-agent', ...handler] : handler, agentFlags: handler }
const cluster = running ? Cluster.open(Lab.open(running), { servers, ...flags }) : await Cluster.create({ hosts: values.serial ? 2 : values.node ? 1 : Math.max(Number(values.nodes), servers), servers, ...flags, ...(!values.node && { prepare: ownKubeletDirectory }), registryDir: join(programs, 'registry/data'), mirrored: ['k8s.gcr.io', 'registry.k8s.io', 'gcr.io'] })
if (values.up) {
  if (values.lab === undefined) throw new Error('--up wants --lab FILE, where the state of the lab is kept')
  writeFileSync(values.lab, JSON.stringify(cluster.lab.state), { mode: 0o600 })
  console.log(`the lab is up: SKIFF_LAB_STATE=${values.lab} scripts/lab.sh kubectl get nodes`)
  process.exit(0)
}
const kubeconfig = join(out, 'kubeconfig')
try {
  mkdirSync(out, { recursive: true })
  const leader = servers > 1 ? await cluster.leader() : undefined
  const asked = cluster.servers.findLast((server) => server !== leader) ?? cluster.server
  const [node = asked] = values.node ? cluster.nodes : []
  // Not by loopback, which clients do not ask proxies for.
  writeFileSync(kubeconfig, readFileSync(asked.kubeconfig, 'utf8').replace('//127.0.0.1:', `//${asked.ip}:`), { mode: 0o600 })
  // Upstream's own word for them.
  const alone = String.raw`\[Serial\]`
  const run: SuiteRun = {
    host: node, kubeconfig, programs, source, kubectl, nodes: cluster.nodes.length, out, procs: values.serial ? 1 : Number(values.procs),
    focus: values.focus ?? (values.serial ? alone : values.node ? '.*' : String.raw`\[Conformance\]`), skip: [...values.serial ? [] : [String.raw`\[Disruptive\]`], ...values.serial ? WITHOUT.map(({ name }) => name.replace(/[[\]]/g, String.raw`\$&`)) : values.node ? [alone] : [], ...values.skip === undefined ? [] : [values.skip]].join('|'),
  }
  process.exitCode = report(await (values.node ? runNodeSuite(run, cluster) : values.suite === undefined ? runOldSuite(run) : runNewSuite(run)))
} finally {
  if (!running) await cluster.destroy()
}
process.exit()

function report({ passed, failed, unrun, broken }: Outcome): number {
  const known = EXPECTED[values.suite === undefined ? '1.20' : '1.36']
  const expected = (name: string) => known.find((entry) => name.includes(entry.name))
  for (const name of passed) console.log(`passed  ${name}`)
  for (const name of failed) console.log(!expected(name) ? `FAILED  ${name}` : `as expected, failed  ${name}\n        ${expected(name)?.reason}`)
  for (const name of unrun) console.log(`did not run  ${name}`)
  const surprising = [...failed.filter((name) => !expected(name)), ...passed.filter((name) => expected(name) && !expected(name)?.sometimes)]
  for (const why of broken) console.log(why)
  console.log(`${passed.length} passed, ${failed.length} failed, of which ${surprising.length} were not expected, ${unrun.length} did not run; the output is in ${out}`)
  return surprising.length > 0 || broken.length > 0 || passed.length + failed.length === 0 ? 1 : 0
}
