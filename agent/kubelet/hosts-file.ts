/** The managed /etc/hosts of a pod. Pure. */
import type { HostAlias } from '#api/types/index.ts'

export interface HostsInput {
  podIps: readonly string[]
  hostname: string
  fqdn: string
  aliases: readonly HostAlias[]
  /** The node's own file: what a pod on the host's network builds on. Undefined for others. */
  nodeHosts: string | undefined
}

export function hostsFile({ podIps, hostname, fqdn, aliases, nodeHosts }: HostsInput): string {
  const own = nodeHosts === undefined
    ? ['# Kubernetes-managed hosts file.', '127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', 'fe00::0\tip6-localnet', 'fe00::0\tip6-mcastprefix', 'fe00::1\tip6-allnodes', 'fe00::2\tip6-allrouters',
        ...podIps.map((ip) => (fqdn !== '' && fqdn !== hostname ? `${ip}\t${fqdn}\t${hostname}` : `${ip}\t${hostname}`)), ''].join('\n')
    : `# Kubernetes-managed hosts file (host network).\n${nodeHosts}`
  const entries = aliases.filter((a) => a.ip).map((a) => `${a.ip}\t${(a.hostnames ?? []).join('\t')}\n`)
  return entries.length === 0 ? own : `${own}\n# Entries added by HostAliases.\n${entries.join('')}`
}
