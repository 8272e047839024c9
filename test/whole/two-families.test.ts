/** A cluster whose networks are of both families of addresses: what nodes do, which is IPv4, is not disturbed by it. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import { openShop, runningPods } from './shop.ts'

const NETWORKS = ['--cluster-cidr', '10.42.0.0/16,fd42::/56', '--service-cidr', '10.43.0.0/16,fd43::/112']

describe('a cluster of two families', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let pod: string
  const must = (...args: string[]) => cluster.must(args)
  const json = async <T>(...args: string[]) => JSON.parse(await must('get', ...args, '-o', 'json')) as T
  const inPod = (...command: string[]) => must('-n', 'shop', 'exec', pod, '-c', 'web', '--', ...command)

  const isAnswering = async () => (await cluster.kubectl(['-n', 'shop', 'exec', pod, '-c', 'web', '--', 'sh', '-c', `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 both 80`])).stdout.includes('web-')

  before(async () => {
    cluster = await Cluster.create({ hosts: 1, serverFlags: NETWORKS })
    await openShop(cluster, { namespace: 'shop' })
    pod = (await runningPods(cluster, 'shop'))[0] ?? ''
  })
  after(() => cluster?.destroy())

  test('nodes have shares of both pod networks, the Service network has both', async () => {
    const { items: [node] } = await json<{ items: { spec: { podCIDRs: string[] } }[] }>('nodes')
    deepStrictEqual(node?.spec.podCIDRs, ['10.42.0.0/24', 'fd42::/64'])
    deepStrictEqual((await json<{ spec: { cidrs: string[] } }>('servicecidr', 'kubernetes')).spec.cidrs, ['10.43.0.0/16', 'fd43::/112'])
  })

  test('a Service of both families has both addresses and slices, is found by its name, and answers at the IPv4 one', async () => {
    const [selector, ports] = [{ app: 'web' }, [{ port: 80, targetPort: 8080 }]]
    await cluster.must(['-n', 'shop', 'create', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'both' }, spec: { ipFamilyPolicy: 'RequireDualStack', selector, ports } }) })
    const { spec } = await json<{ spec: { clusterIPs: string[]; ipFamilies: string[] } }>('-n', 'shop', 'service', 'both')
    match(spec.clusterIPs.join(' '), /^10\.43\.\d+\.\d+ fd43::[0-9a-f]+$/)
    const slices = async () => (await json<{ items: { addressType: string; endpoints: unknown[] | null }[] }>('-n', 'shop', 'endpointslices', '-l', 'kubernetes.io/service-name=both')).items.map((s) => `${s.addressType} ${(s.endpoints ?? []).length}`).toSorted((a, b) => a.localeCompare(b))
    await until('there is a slice for each family', 10_000, async () => (await slices()).join() === 'IPv4 3,IPv6 0')
    await until('it answers by its name', 20_000, isAnswering)
    ok((await inPod('sh', '-c', 'nslookup both.shop.svc.cluster.local || true')).includes(spec.clusterIPs[1] ?? 'none'))
  })

  test('pods have IPv4 addresses, and a restart of the server changes nothing', async () => {
    const podIps = async () => (await json<{ status: { podIPs: { ip: string }[] } }>('-n', 'shop', 'pod', pod)).status.podIPs
    const before = await podIps()
    strictEqual(before.length, 1)
    await cluster.stop(cluster.server, 'SIGTERM')
    cluster.start(cluster.server)
    await cluster.waitForApi()
    deepStrictEqual(await podIps(), before)
    await until('it answers again', 20_000, isAnswering)
  })
})
