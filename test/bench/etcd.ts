/** Debian's etcd on the lab's hosts, a member each, with its defaults. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

export const ETCD_MISSING = spawnSync('etcd', ['--version']).status === 0 ? undefined : 'etcd is not installed: apt-get install etcd-server'
const CLIENT_PORT = 2379
const PEER_PORT = 2380

export interface EtcdMember { host: string; port: number }

/** Resolves with the leader first. They end with the lab. */
export async function startEtcd(hosts: readonly LabHost[]): Promise<EtcdMember[]> {
  const cluster = hosts.map((h) => `${h.name}=http://${h.ip}:${PEER_PORT}`).join(',')
  for (const host of hosts) {
    rmSync(join(host.dir, 'etcd'), { recursive: true, force: true })
    host.start('etcd', [
      'etcd', '--name', host.name, '--data-dir', join(host.dir, 'etcd'), '--listen-client-urls', `http://${host.ip}:${CLIENT_PORT}`, '--advertise-client-urls', `http://${host.ip}:${CLIENT_PORT}`,
      '--listen-peer-urls', `http://${host.ip}:${PEER_PORT}`, '--initial-advertise-peer-urls', `http://${host.ip}:${PEER_PORT}`, '--initial-cluster', cluster, '--log-level', 'error',
    ], { ETCD_UNSUPPORTED_ARCH: process.arch })
  }
  const health = (host: LabHost) => host.run(['busybox', 'wget', '-q', '-O', '-', `http://${host.ip}:${CLIENT_PORT}/metrics`])
  const leads = async (host: LabHost): Promise<boolean> => /^etcd_server_is_leader 1$/m.test((await health(host)).stdout)
  let members: EtcdMember[] = []
  await until('etcd has a leader', 20_000, async () => {
    const leading = await Promise.all(hosts.map(leads))
    const at = leading.indexOf(true)
    members = [...hosts.slice(at), ...hosts.slice(0, at)].map((h) => ({ host: h.ip, port: CLIENT_PORT }))
    return at >= 0
  })
  return members
}

export function etcdPids(host: LabHost): number[] {
  return host.processes().filter((p) => p.command.startsWith('etcd ')).map((p) => p.pid)
}
