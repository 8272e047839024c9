/** The pod network: devices, routes, nftables tables and the resolver's address. */
import { readFileSync } from 'node:fs'
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
  for (const overlay of OVERLAYS) {
    const network = createNetwork({ clusterCidr: SOME_CIDR.cluster, podCidr: read(join(agentDir, 'cni', 'pod-cidr'))?.trim() ?? SOME_CIDR.pod, nodeIp: '127.0.0.1', overlay, stateDir: join(agentDir, 'cni') }, { log: silentLog })
    await network.destroy()
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
