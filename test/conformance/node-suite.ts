/**
 * Upstream's suite for nodes (test/e2e_node) on the host of a cluster of one. It takes for granted that it starts kubelet and API
 * server itself: here both run, and what it looks for at fixed places is put there. Tests that start a kubelet anew with
 * another configuration cannot be run so.
 */
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LabHost } from '../lab/host.ts'
import type { Front } from './node-front.inside.ts'
import { ginkgoVerdicts } from './new-suite.ts'
import { logged, type Outcome, type SuiteRun } from './suite.ts'

const FRONT_PORT = 10_260
/** What the machine must have, by the suite's own validator: containers that run tell that better. */
const SYSTEM = 'os: Linux\nkernelSpec:\n  versions: [".*"]\ncgroups: []\n'

export async function runNodeSuite(run: SuiteRun): Promise<Outcome> {
  const { host, out } = run
  const file = join(out, 'ginkgo/report.json')
  rmSync(file, { force: true })
  const token = await makeAdmin(host)
  await layPaths(host)
  const stop = await startFront(host, token)
  try {
    const system = join(out, 'system.yaml')
    writeFileSync(system, SYSTEM)
    const bin = join(out, 'bin')
    mkdirSync(bin, { recursive: true })
    writeFileSync(join(bin, 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
    const code = await logged(run, 'log', [
      'env', '-C', out, `PATH=${bin}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, join(run.programs, 'bin/ginkgo'), 'run', `--procs=${run.procs}`, '--no-color', '--timeout=24h', '--focus-file=test/e2e_node/', `--focus=${run.focus}`, `--skip=${run.skip}`, join(run.programs, 'bin/e2e_node.test'), '--',
      `--host=https://127.0.0.1:${FRONT_PORT}`, `--bearer-token=${token}`, '--start-services=false', '--stop-services=false', '--prepull-images=false', `--system-spec-file=${system}`, `--container-runtime-endpoint=unix://${join(host.dataDir, 'agent/cri.sock')}`, `--node-name=${host.name}`,
      '--dns-domain=cluster.local', `--report-dir=${out}`, `--kubectl-path=${run.kubectl}`, '--report-complete-ginkgo',
    ])
    if (!existsSync(file)) return { passed: [], failed: [], unrun: [], broken: [`the suite did not end in order (${code}): see ${join(out, 'log')}`] }
    return ginkgoVerdicts(readFileSync(file, 'utf8'))
  } finally {
    stop()
  }
}

/** The suite knows tokens alone. */
async function makeAdmin(host: LabHost): Promise<string> {
  const kubectl = (...args: string[]) => host.run(['kubectl', '--kubeconfig', host.kubeconfig, '-n', 'kube-system', ...args])
  await kubectl('create', 'serviceaccount', 'node-suite')
  await kubectl('create', 'clusterrolebinding', 'node-suite', '--clusterrole=cluster-admin', '--serviceaccount=kube-system:node-suite')
  return (await host.must(['kubectl', '--kubeconfig', host.kubeconfig, '-n', 'kube-system', 'create', 'token', 'node-suite', '--duration=24h'])).trim()
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

async function startFront(host: LabHost, token: string): Promise<() => void> {
  const tls = join(host.dataDir, 'server/tls')
  const front: Front = { ip: host.ip, token, key: join(tls, 'serving-kube-apiserver.key'), certificate: join(tls, 'serving-kube-apiserver.crt'), port: FRONT_PORT }
  const child = host.spawn([process.execPath, join(import.meta.dirname, 'node-front.inside.ts'), JSON.stringify(front)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const started = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data').then(() => true), once(child, 'exit').then(() => false)])
  if (!started) throw new Error('what stands in for the read-only port does not start: are 10248, 10255 and 10260 free on the host?')
  return () => { child.kill() }
}
