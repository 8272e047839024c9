/** The pod network: devices, routes, nftables tables and the resolver's address. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { createNetwork, deleteTable, mustRun, systemExec } from '#cni/index.ts'
import { PROXY_TABLE } from '#agent/proxy/base-table.ts'
import { entriesOf } from './ownership.ts'
import type { Removal } from './removal.ts'

const OVERLAYS = ['vxlan', 'host-gw'] as const
/** Where the node's own are not known any more: nothing that is removed depends on them. */
const SOME_CIDR = { cluster: '10.42.0.0/16', pod: '10.42.0.0/24' }
const DEFAULT_CLUSTER_DNS = '10.43.0.10'

export async function removeNetwork({ dataDir, say }: Removal): Promise<void> {
  const agentDir = join(dataDir, 'agent')
  const hadNetwork = /^(skiff0|skiff\.1|skv)/m.test(entriesOf('/sys/class/net').join('\n'))
  const podCidr = read(join(agentDir, 'cni', 'pod-cidr'))?.trim() ?? SOME_CIDR.pod
  // Leases go with the data directory; a place of its own keeps this from making that anew.
  const scratch = mkdtempSync(join(tmpdir(), 'skiff-uninstall-'))
  try {
    for (const overlay of OVERLAYS) await createNetwork({ clusterCidr: SOME_CIDR.cluster, podCidr, nodeIp: '127.0.0.1', overlay, stateDir: scratch }, { log: silentLog }).destroy()
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  await deleteTable(systemExec, PROXY_TABLE)
  const onLoopback = await mustRun(systemExec, ['ip', '-4', '-o', 'addr', 'show', 'dev', 'lo'])
  const address = clusterDns(agentDir)
  const hadAddress = onLoopback.includes(` ${address}/32 `)
  if (hadAddress) await mustRun(systemExec, ['ip', 'addr', 'del', `${address}/32`, 'dev', 'lo'])
  if (hadNetwork || hadAddress) say('removed the pod network')
}

function clusterDns(agentDir: string): string {
  const text = read(join(agentDir, 'cluster-config.json'))
  const address = text === undefined ? undefined : (JSON.parse(text) as { clusterDns?: unknown }).clusterDns
  return typeof address === 'string' && /^[\d.]+$/.test(address) ? address : DEFAULT_CLUSTER_DNS
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
