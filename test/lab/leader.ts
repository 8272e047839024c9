/** Which server of a cluster leads, as the servers themselves say. */
import type { Cluster } from './cluster.ts'
import { until } from './cluster.ts'
import type { LabHost } from './host.ts'

/** Waits until one of the servers knows. Asks to take in a member that is one already: all is well, or who leads. */
export async function leaderOf(cluster: Cluster): Promise<LabHost> {
  const secret = cluster.token.slice(cluster.token.lastIndexOf('::') + 2)
  const found: { leader?: LabHost | undefined } = {}
  await until('a server knows who leads', 30_000, async () => {
    for (const host of cluster.servers) {
      const entries = await host.run(['kubectl', '--kubeconfig', host.kubeconfig, '--request-timeout', '3s', 'get', 'configmap', '-n', 'kube-system', 'skiff-servers', '-o', 'jsonpath={.data}'])
      if (entries.code !== 0) continue
      const [id = '', entry = ''] = Object.entries(JSON.parse(entries.stdout) as Record<string, string>)[0] ?? []
      const { name, address } = JSON.parse(entry) as { name: string; address: string }
      const { stdout } = await host.run(['curl', '-sk', '--max-time', '3', '-H', '@-', '--data', JSON.stringify({ member: Number(id), name, address }), '-w', '\n%{http_code}', 'https://127.0.0.1:6443/skiff/v1/members'], { input: `Authorization: Bearer ${secret}\n` })
      const [body = '', code] = stdout.split('\n')
      if (code === '200') found.leader = host
      else if (code === '421') found.leader = cluster.servers.find((h) => (JSON.parse(body) as { leader?: string }).leader?.startsWith(`${h.ip}:`))
      if (found.leader) return true
    }
    return false
  })
  if (!found.leader) throw new Error('nobody leads')
  return found.leader
}
