/** What a flag's value must look like; each returns what is wrong with it, or undefined. */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { resolve } from 'node:path'

export const port = (v: string): string | undefined => (/^\d+$/.test(v) && Number(v) >= 1 && Number(v) <= 65535 ? undefined : `${v} is not a port (1 to 65535)`)

export const ip = (v: string): string | undefined => (isIP(v) ? undefined : `${JSON.stringify(v)} is not an IP address`)

/** One network, or two with a comma between. */
export function cidrs(v: string): string | undefined {
  for (const one of v.split(',')) {
    const [address = '', bits = '', ...rest] = one.split('/')
    const bitsMax = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1
    if (rest.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > bitsMax) return `${JSON.stringify(one)} is not a CIDR such as 10.42.0.0/16`
  }
  return undefined
}

export function url(v: string): string | undefined {
  return /^https:\/\/[^/\s]+\/?$/.test(v) ? undefined : `${JSON.stringify(v)} is not a URL such as https://10.0.0.1:6443`
}

export const oneOf = (...allowed: string[]) => (v: string): string | undefined => (allowed.includes(v) ? undefined : `${JSON.stringify(v)} is none of ${allowed.join(', ')}`)

export const nodeName = (v: string): string | undefined => (/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(v) ? undefined : `${JSON.stringify(v)} is not a node name: lower-case letters, digits, - and .`)

/** Upstream's words. */
export function httpsUri(v: string): string | undefined {
  const parsed = URL.parse(v)
  return parsed?.protocol === 'https:' ? undefined : `service-account-jwks-uri requires https scheme, parsed as: ${v}`
}

/** A RuntimeClass's handler is a DNS label; a program is found by name, or where its path says. */
export const runtimeHandler = (v: string): string | undefined => (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?=(runc|crun|\/[^\0]+)$/.test(v) ? undefined : `${JSON.stringify(v)} is not NAME=runc, NAME=crun or NAME=/path/of/one`)

export const octalMode = (v: string): string | undefined => (/^0?[0-7]{3}$/.test(v) ? undefined : `${JSON.stringify(v)} is not a file mode such as 0600`)

const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const DOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/

/** A qualified name (`example.com/role`): upstream's rule for keys of labels and taints. */
function isKey(key: string): boolean {
  const [name = '', prefix, ...rest] = key.split('/').toReversed()
  return rest.length === 0 && NAME.test(name) && (prefix === undefined || DOMAIN.test(prefix))
}

const isValue = (value: string): boolean => value === '' || NAME.test(value)

/** Of upstream's own domains a node may only give itself these; the API server would refuse others (NodeRestriction). */
const OWN_LABELS = /^(kubernetes\.io\/(hostname|os|arch|instance-type)|beta\.kubernetes\.io\/(os|arch|instance-type)|(failure-domain\.beta|topology)\.kubernetes\.io\/(zone|region)|node\.kubernetes\.io\/instance-type)$|^([^/]+\.)?(node|kubelet)\.kubernetes\.io\//

export function label(v: string): string | undefined {
  const [key = '', value, ...rest] = v.split('=')
  if (value === undefined || rest.length > 0 || !isKey(key) || !isValue(value)) return `${JSON.stringify(v)} is not key=value: keys such as role or example.com/role, values of letters, digits, -, _ and .`
  if (/(^|\.)(kubernetes|k8s)\.io\//.test(key) && !OWN_LABELS.test(key)) return `a node may not give itself the label ${key}: set it with kubectl label node`
  return undefined
}

export function taint(v: string): string | undefined {
  const [, key = '', value = ''] = /^([^=:]+)(?:=([^=:]*))?:(?:NoSchedule|PreferNoSchedule|NoExecute)$/.exec(v) ?? []
  return isKey(key) && isValue(value) ? undefined : `${JSON.stringify(v)} is not key=value:Effect with Effect NoSchedule, PreferNoSchedule or NoExecute`
}

/** Only what the kernel keeps apart between pods. */
export function sysctls(v: string): string | undefined {
  const shared = v.split(',').find((name) => !/^(?:kernel[./](?:sem$|shm|msg)|fs[./]mqueue[./]|net[./])[a-zA-Z0-9_.:/-]*\*?$/.test(name))
  return shared === undefined ? undefined : `${JSON.stringify(shared)} is no kernel setting that pods have of their own: kernel.sem, kernel.shm*, kernel.msg*, fs.mqueue.*, net.*`
}

/** The kernel's own file systems hold no files of ours, and making directories there fails in odd ways. */
export const directory = (v: string): string | undefined => (/^\/(proc|sys)(\/|$)/.test(resolve(v)) ? `${v} is in a file system of the kernel's own, which holds no files: name a directory on a disk` : undefined)

export const domain = (v: string): string | undefined => (DOMAIN.test(v) ? undefined : `${JSON.stringify(v)} is not a DNS domain such as cluster.local`)

/** For certificates: a name, `*.name` or an address. */
export const hostOrIp = (v: string): string | undefined => (isIP(v) || DOMAIN.test(v.toLowerCase().replace(/^\*\./, '')) ? undefined : `${JSON.stringify(v)} is neither a DNS name nor an IP address`)

export const atLeastOne = (v: string): string | undefined => (Number(v) >= 1 ? undefined : `${v} is less than 1`)

export const cgroup = (v: string): string | undefined => (v === '' || /^(\/[^/\s]+)+$/.test(v) && !v.split('/').includes('..') ? undefined : `${JSON.stringify(v)} is not a path of a cgroup such as /lab1`)

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** `90s`, `30m`, `24h`, `7d`, `1h30m`, `0`; undefined when it is none of that. */
export function durationSeconds(v: string): number | undefined {
  if (v === '0') return 0
  if (!/^(\d{1,9}[smhd])+$/.test(v)) return undefined
  return [...v.matchAll(/(\d+)([smhd])/g)].reduce((sum, [, n, unit]) => sum + Number(n) * (UNIT_SECONDS[unit ?? ''] ?? 0), 0)
}

export const duration = (v: string): string | undefined => (durationSeconds(v) !== undefined ? undefined : `${JSON.stringify(v)} is not a duration such as 30m, 24h or 7d`)

export const positiveDuration = (v: string): string | undefined => (durationSeconds(v) ? undefined : `${JSON.stringify(v)} is not a duration such as 60s or 1m`)

/** Upstream's bound: more would make clients do little else. */
export const goawayChance = (v: string): string | undefined => (/^(?:0|0?\.\d{1,9}|0\.0*)$/.test(v) && Number(v) <= 0.02 ? undefined : `${JSON.stringify(v)} is not a fraction from 0 to .02`)

export const snapshotPrefix = (v: string): string | undefined => (/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/.test(v) ? undefined : `${JSON.stringify(v)} is no name: lower-case letters, digits, - and ., 63 at most`)

export const s3Endpoint = (v: string): string | undefined => (/^(https?:\/\/)?(\[[0-9a-f:]+\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?)(:\d{1,5})?\/?$/.test(v) ? undefined : `${JSON.stringify(v)} is not a host such as s3.amazonaws.com or 10.0.0.5:9000`)

export function etcdEndpoints(v: string): string | undefined {
  if (/^(mysql|postgres|postgresql|sqlite|nats|file):\/\//.test(v)) return 'only etcd v3 can be used, not an SQL database or NATS: give its members, https://host:2379,...'
  const wrong = v.split(',').find((endpoint) => !/^https?:\/\/(\[[0-9a-f:]+\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?)(:\d{1,5})?\/?$/.test(endpoint.trim()))
  return wrong === undefined ? undefined : `${JSON.stringify(wrong)} is not a URL such as https://10.0.0.1:2379`
}

export const etcdPrefix = (v: string): string | undefined => (/^(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$/.test(v) ? undefined : `${JSON.stringify(v)} is not a path such as /registry`)
