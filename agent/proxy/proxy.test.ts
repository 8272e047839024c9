import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { createNetwork, type Exec, type Network } from '#cni/index.ts'
import { changes, labMissing, NetnsLab, type LabHost, type Namespace } from '#cni/testing/netns-lab.ts'
import { createProxy, type Proxy } from './proxy.ts'
import { fakeInformers, service, slice } from './testing/fixtures.ts'

const missing = await labMissing()
const CLUSTER = '10.42.0.0/16'
const SERVICE_CIDR = '10.43.0.0/16'

type Pod = Namespace & { ip: string; name: string }

/** Who answers at an address, or '' when nobody does within a second. */
async function ask(from: Namespace, address: string, port: number): Promise<string> {
  return (await from.try(`busybox timeout 1 busybox nc ${address} ${port} < /dev/null`)).stdout.trim()
}

async function askTimes(from: Namespace, address: string, port: number, times: number): Promise<Set<string>> {
  const answers = new Set<string>()
  for (let i = 0; i < times; i++) answers.add(await ask(from, address, port))
  return answers
}

describe('service proxy in the kernel', { skip: missing }, () => {
  let lab: NetnsLab
  const hosts: LabHost[] = []
  const networks: Network[] = []
  const proxies: Proxy[] = []
  const informers = [fakeInformers(), fakeInformers()]
  const stop = new AbortController()
  const pods: Record<string, Pod> = {}
  const host = (n: number): LabHost => { const h = hosts[n]; assert.ok(h); return h }
  const pod = (name: string): Pod => { const p = pods[name]; assert.ok(p, name); return p }
  const put = (object: Parameters<(typeof informers)[0]['put']>[0]) => { for (const i of informers) i.put(object) }
  const remove = (object: Parameters<(typeof informers)[0]['remove']>[0]) => { for (const i of informers) i.remove(object) }

  function proxyOn(n: number, exec: Exec = host(n).exec): Proxy {
    const inf = informers[n]
    assert.ok(inf)
    return createProxy({ informers: inf, nodeName: `node-${n}`, nodeIps: [host(n).ip], clusterCidr: CLUSTER, serviceCidr: SERVICE_CIDR, log: silentLog, clock: systemClock, exec, deleteFlows: async () => 0 })
  }

  async function addPod(name: string, n: number): Promise<void> {
    const ns = await lab.pod(name)
    const network = networks[n]
    assert.ok(network)
    const { ips } = await network.setup({ id: name, netnsPath: ns.path, podName: name, podNamespace: 'default', podUid: name, portMappings: [] })
    pods[name] = { ...ns, ip: ips[0] ?? '', name }
    await ns.spawn(['busybox', 'nc', '-ll', '-p', '8080', '-e', 'echo', name])
  }

  /** Waits until the table of host `n` satisfies `check`. */
  async function until(n: number, check: (ruleset: string) => boolean): Promise<void> {
    const giveUp = AbortSignal.timeout(60_000)
    while (!check((await host(n).try('nft list table ip skiff-proxy')).stdout)) {
      if (giveUp.aborted) assert.fail(`not reached: ${(await host(n).try('nft list table ip skiff-proxy')).stdout}`)
      await systemClock.sleep(20)
    }
  }
  const untilAll = (check: (ruleset: string) => boolean) => Promise.all(hosts.map((_, n) => until(n, check)))

  before(async () => {
    lab = await NetnsLab.open()
    for (let n = 0; n < 2; n++) {
      const h = await lab.host(`host${n}`)
      hosts.push(h)
      const network = createNetwork({ clusterCidr: CLUSTER, podCidr: `10.42.${n}.0/24`, nodeIp: h.ip, overlay: 'vxlan', stateDir: join(lab.folder, `state${n}`) }, { log: silentLog, exec: h.exec, connect: h.connect })
      await network.start()
      networks.push(network)
    }
    const peers = hosts.map((h, n) => ({ nodeName: `node-${n}`, nodeIp: h.ip, podCidr: `10.42.${n}.0/24`, vtepMac: networks[n]?.vtepMac() }))
    for (const network of networks) await network.setPeers(peers)
    await addPod('client', 0)
    await addPod('near', 0)
    await addPod('far', 1)
    const endpoints = [{ addresses: [pod('near').ip], nodeName: 'node-0' }, { addresses: [pod('far').ip], nodeName: 'node-1' }]
    put(service({ name: 'web', spec: { clusterIP: '10.43.0.100', type: 'NodePort', ports: [{ port: 80, protocol: 'TCP', nodePort: 30080 }] } }))
    put(slice({ service: 'web', endpoints }))
    put(service({ name: 'local', spec: { clusterIP: '10.43.0.101', type: 'NodePort', externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local', ports: [{ port: 80, protocol: 'TCP', nodePort: 30081 }] } }))
    put(slice({ service: 'local', endpoints: [{ addresses: [pod('near').ip], nodeName: 'node-0' }] }))
    put(service({ name: 'nobody', spec: { clusterIP: '10.43.0.102', type: 'NodePort', ports: [{ port: 80, protocol: 'TCP', nodePort: 30082 }] } }))
    put(service({ name: 'sticky', spec: { clusterIP: '10.43.0.103', sessionAffinity: 'ClientIP', ports: [{ port: 80, protocol: 'TCP' }], externalIPs: ['192.168.77.200'] } }))
    put(slice({ service: 'sticky', endpoints }))
    for (const i of informers) i.sync()
    for (let n = 0; n < 2; n++) {
      const proxy = proxyOn(n)
      proxies.push(proxy)
      await proxy.start(stop.signal)
    }
  })
  after(async () => {
    stop.abort()
    await lab.close()
  })

  test('a ClusterIP reaches endpoints on both hosts, from pods and from hosts', async () => {
    const both = new Set(['near', 'far'])
    for (const from of [pod('client'), pod('far'), host(0), host(1)]) assert.deepEqual(await askTimes(from, '10.43.0.100', 80, 16), both)
  })

  test('an endpoint reaches itself through its own Service', async () => {
    assert.deepEqual(await askTimes(pod('near'), '10.43.0.101', 80, 4), new Set(['near']))
  })

  test('a NodePort answers on each node, from outside the cluster, from pods and from the node itself', async () => {
    const both = new Set(['near', 'far'])
    for (const from of [lab.outside, host(1), pod('client'), host(0)]) {
      assert.deepEqual(await askTimes(from, host(0).ip, 30080, 16), both)
    }
    assert.deepEqual(await askTimes(lab.outside, host(1).ip, 30080, 16), both)
  })

  test('policy Local answers only where an endpoint is, and leaves the client its address', async () => {
    assert.equal(await ask(lab.outside, host(0).ip, 30081), 'near')
    assert.equal(await ask(lab.outside, host(1).ip, 30081), '')
    assert.equal(await ask(pod('far'), '10.43.0.101', 80), '')
    assert.equal(await ask(pod('far'), host(1).ip, 30081), 'near')
  })

  test('a Service without endpoints, an unknown port and an unallocated address are refused, refused and dropped', async () => {
    const refusal = async (from: Namespace, address: string, port: number) => {
      // What is dropped is tried until the time is over, which is SIGTERM's code; what is refused ends at once.
      const { code } = await from.try(`busybox timeout 3 busybox nc ${address} ${port} < /dev/null`)
      return { 1: 'refused', 143: 'dropped' }[code] ?? `code ${code}`
    }
    for (const from of [pod('client'), host(0)]) {
      assert.deepEqual(await Promise.all([refusal(from, '10.43.0.102', 80), refusal(from, '10.43.0.100', 81), refusal(from, '10.43.7.7', 80)]), ['refused', 'refused', 'dropped'])
    }
    assert.equal(await refusal(lab.outside, host(0).ip, 30082), 'refused')
  })

  test('session affinity keeps a client on one endpoint, by external IP too', async () => {
    assert.equal((await askTimes(pod('client'), '10.43.0.103', 80, 10)).size, 1)
    await lab.outside.sh(`ip route add 192.168.77.200/32 via ${host(0).ip}`)
    assert.equal((await askTimes(lab.outside, '192.168.77.200', 80, 10)).size, 1)
    assert.ok(!(await askTimes(lab.outside, '192.168.77.200', 80, 1)).has(''))
  })

  test('a change is one transaction that speaks only of what changed', async () => {
    host(0).log.length = 0
    put(slice({ service: 'web', endpoints: [{ addresses: [pod('near').ip], nodeName: 'node-0' }] }))
    await untilAll((rules) => !rules.includes('chain endpoint-') || !new RegExp(`chain endpoint-\\S*web\\S*${pod('far').ip}/8080 \\{\\n`).test(rules))
    const applied = changes(host(0).log).filter((line) => line.startsWith('nft -f'))
    assert.equal(applied.length, 2, applied.join('\n'))
    assert.deepEqual(applied[0]?.replaceAll(/ comment "[^"]+"/g, '').replaceAll(/-[0-9a-f]{8}-/g, '-HASH-').split('\n').slice(0, -1), [
      'nft -f - <<< flush chain ip skiff-proxy service-HASH-default/web/tcp/',
      'flush chain ip skiff-proxy endpoint-HASH-default/web/tcp/__10.42.1.2/8080',
      'add rule ip skiff-proxy service-HASH-default/web/tcp/ ip daddr 10.43.0.100 tcp dport 80 ip saddr != 10.42.0.0/16 jump mark-for-masquerade',
      'add rule ip skiff-proxy service-HASH-default/web/tcp/ goto endpoint-HASH-default/web/tcp/__10.42.0.3/8080',
    ])
    assert.match(applied[1] ?? '', /delete chain ip skiff-proxy endpoint-\w+-default\/web\/tcp\/__10\.42\.1\.2\/8080\n$/)
    assert.deepEqual(await askTimes(pod('client'), '10.43.0.100', 80, 6), new Set(['near']))
  })

  test('a Service that goes leaves nothing, one that loses its endpoints is refused and one that gets some answers', async () => {
    const late = service({ name: 'late', spec: { clusterIP: '10.43.0.110', ports: [{ port: 80, protocol: 'TCP' }] } })
    const endpoints = slice({ service: 'late', endpoints: [pod('far').ip] })
    put(late)
    await untilAll((rules) => rules.includes('10.43.0.110 . tcp . 80 : goto reject-chain'))
    put(endpoints)
    await untilAll((rules) => rules.includes('10.43.0.110 . tcp . 80 : goto service-'))
    assert.equal(await ask(pod('client'), '10.43.0.110', 80), 'far')
    remove(endpoints)
    await untilAll((rules) => rules.includes('10.43.0.110 . tcp . 80 : goto reject-chain'))
    put(endpoints)
    remove(late)
    await untilAll((rules) => !rules.includes('late') && !rules.includes('10.43.0.110'))
  })

  test('a restarted proxy adopts the rules: it changes nothing, and removes what went while it was away', async () => {
    const again = new AbortController()
    host(0).log.length = 0
    await proxyOn(0).start(again.signal)
    assert.deepEqual(changes(host(0).log), [])
    again.abort()
    await host(0).sh('nft add element ip skiff-proxy service-ips "{ 10.43.9.9 . tcp . 80 : drop }"; nft add rule ip skiff-proxy services counter; nft add chain ip skiff-proxy stray')
    const third = new AbortController()
    await proxyOn(0).start(third.signal)
    await until(0, (rules) => !rules.includes('10.43.9.9') && !rules.includes('stray') && !rules.includes('counter'))
    third.abort()
    assert.deepEqual(await askTimes(pod('client'), '10.43.0.100', 80, 2), new Set(['near']))
  })

  test('what is only remembered changes no rules that are there, makes those that are not, and gives way to what the server tells', async () => {
    const known = fakeInformers()
    const remembered = createProxy({ informers: known, nodeName: 'node-0', nodeIps: [host(0).ip], clusterCidr: CLUSTER, serviceCidr: SERVICE_CIDR, log: silentLog, clock: systemClock, exec: host(0).exec, deleteFlows: async () => 0 })
    const web = service({ name: 'web', spec: { clusterIP: '10.43.0.100', ports: [{ port: 80, protocol: 'TCP' }] } })
    known.put(web)
    known.recall()
    const own = new AbortController()
    host(0).log.length = 0
    await remembered.start(own.signal)
    assert.deepEqual(changes(host(0).log), [])
    assert.deepEqual(await askTimes(pod('client'), '10.43.0.100', 80, 2), new Set(['near']))
    known.put(slice({ service: 'web', endpoints: [{ addresses: [pod('far').ip], nodeName: 'node-1' }] }))
    known.sync()
    await until(0, (rules) => rules.includes(pod('far').ip) && !rules.includes(pod('near').ip))
    own.abort()
    await host(0).sh('nft delete table ip skiff-proxy')
    const bare = fakeInformers()
    for (const object of [web, slice({ service: 'web', endpoints: [{ addresses: [pod('near').ip], nodeName: 'node-0' }] })]) bare.put(object)
    bare.recall()
    const last = new AbortController()
    await createProxy({ informers: bare, nodeName: 'node-0', nodeIps: [host(0).ip], clusterCidr: CLUSTER, serviceCidr: SERVICE_CIDR, log: silentLog, clock: systemClock, exec: host(0).exec, deleteFlows: async () => 0 }).start(last.signal)
    assert.deepEqual(await askTimes(pod('client'), '10.43.0.100', 80, 2), new Set(['near']))
    last.abort()
  })

  test('when nft refuses, the whole table is compared and mended with back-off', async () => {
    const failing = { left: 2 }
    const exec: Exec = async (argv, options) => argv[1] === '-f' && failing.left-- > 0 ? { code: 1, stdout: '', stderr: 'Error: resource busy' } : host(1).exec(argv, options)
    stop.abort()
    await host(1).sh('nft delete table ip skiff-proxy')
    const own = new AbortController()
    await proxyOn(1, exec).start(own.signal)
    assert.equal(failing.left, -1)
    assert.deepEqual(await askTimes(host(1), '10.43.0.100', 80, 2), new Set(['near']))
    own.abort()
    await proxyOn(1).destroy()
    assert.equal((await host(1).sh('nft list tables')).includes('skiff-proxy'), false)
  })
})
