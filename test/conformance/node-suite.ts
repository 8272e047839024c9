/**
 * Upstream's suite for nodes (test/e2e_node) on the one node of a cluster. It takes for granted that it starts kubelet and API
 * server itself: here both run, and what it looks for at fixed places is put there. Where the node is a host of its own, the API
 * server on another, tests start it anew, too, with a configuration of theirs.
 */
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import type { Front } from './node-front.inside.ts'
import { ginkgoVerdicts } from './new-suite.ts'
import { startUnit } from './node-unit.ts'
import { logged, type Outcome, type SuiteRun } from './suite.ts'

const FRONT_PORT = 10_260
/** What the machine must have, by the suite's own validator: containers that run tell that better. */
const SYSTEM = 'os: Linux\nkernelSpec:\n  versions: [".*"]\ncgroups: []\n'

export async function runNodeSuite(run: SuiteRun, cluster: Cluster): Promise<Outcome> {
  const { host, out } = run
  const { server } = cluster
  const file = join(out, 'ginkgo/report.json')
  rmSync(file, { force: true })
  const token = await makeAdmin(server)
  await layPaths(host)
  const ends = [await startFront(host, server, token)]
  try {
    const system = join(out, 'system.yaml')
    writeFileSync(system, SYSTEM)
    // The suite writes where its program is.
    const [bin, work] = [join(out, 'bin'), join(out, 'work')]
    for (const dir of [bin, work]) {
      rmSync(dir, { recursive: true, force: true })
      mkdirSync(dir, { recursive: true })
    }
    const program = join(work, 'e2e_node.test')
    symlinkSync(join(run.programs, 'bin/e2e_node.test'), program)
    writeFileSync(join(bin, 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
    const pidFile = join(out, 'skiff.pid')
    if (host !== server) ends.push(await startUnit({ cluster, host, bin, configFile: join(work, 'kubelet-config'), pidFile, log: join(out, 'systemctl.log') }))
    const code = await logged(run, 'log', [
      'env', '-C', out, `PATH=${bin}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, join(run.programs, 'bin/ginkgo'), 'run', `--procs=${run.procs}`, '--no-color', '--timeout=24h', '--focus-file=test/e2e_node/', `--focus=${run.focus}`, `--skip=${run.skip}`, program, '--',
      `--host=https://127.0.0.1:${FRONT_PORT}`, `--bearer-token=${token}`, '--start-services=false', '--stop-services=false', '--prepull-images=false', `--system-spec-file=${system}`, `--container-runtime-endpoint=unix://${join(host.dataDir, 'agent/cri.sock')}`, `--node-name=${host.name}`,
      '--dns-domain=cluster.local', `--report-dir=${out}`, `--kubectl-path=${run.kubectl}`, `--container-runtime-pid-file=${pidFile}`, '--report-complete-ginkgo',
    ])
    if (!existsSync(file)) return { passed: [], failed: [], unrun: [], broken: [`the suite did not end in order (${code}): see ${join(out, 'log')}`] }
    return ginkgoVerdicts(readFileSync(file, 'utf8'))
  } finally {
    for (const end of ends.toReversed()) await end()
  }
}

/** The suite knows tokens alone. */
async function makeAdmin(server: LabHost): Promise<string> {
  const kubectl = (...args: string[]) => ['kubectl', '--kubeconfig', server.kubeconfig, '-n', 'kube-system', ...args]
  await server.run(kubectl('create', 'serviceaccount', 'node-suite'))
  await server.run(kubectl('create', 'clusterrolebinding', 'node-suite', '--clusterrole=cluster-admin', '--serviceaccount=kube-system:node-suite'))
  return (await server.must(kubectl('create', 'token', 'node-suite', '--duration=24h'))).trim()
}

/** The kubelet's directory and the pods' cgroups where a machine has them that is no part of a lab; seen on this host alone. */
async function layPaths(host: LabHost): Promise<void> {
  await host.must(['sh', '-ec', `
    mkdir -p /var/lib/kubelet
    mountpoint -q /var/lib/kubelet || mount --rbind "$1/agent" /var/lib/kubelet
    for tree in /sys/fs/cgroup/*; do
      [ -d "$tree$2/kubepods" ] || continue
      mkdir -p "$tree/kubepods"
      mountpoint -q "$tree/kubepods" || mount --bind "$tree$2/kubepods" "$tree/kubepods"
    done
  `, 'sh', host.dataDir, host.cgroupRoot])
}

async function startFront(host: LabHost, server: LabHost, token: string): Promise<() => Promise<void>> {
  const tls = join(server.dataDir, 'server/tls')
  const front: Front = { ip: host.ip, apiServer: server.ip, token, key: join(tls, 'serving-kube-apiserver.key'), certificate: join(tls, 'serving-kube-apiserver.crt'), port: FRONT_PORT }
  const child = host.spawn([process.execPath, join(import.meta.dirname, 'node-front.inside.ts'), JSON.stringify(front)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const started = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data').then(() => true), once(child, 'exit').then(() => false)])
  if (!started) throw new Error('what stands in for the read-only port does not start: are 10255 and 10260 free on the host?')
  return async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}
