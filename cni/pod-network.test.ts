import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { silentLog } from '#base/log.ts'
import { hostDeviceName } from './bridge/names.ts'
import { connectPod } from './bridge/port.ts'
import { createNetwork, type Network, type OverlayKind, type PodPort } from './index.ts'
import { changes, labMissing, NetnsLab, type LabHost, type Namespace } from './testing/netns-lab.ts'

const missing = await labMissing()

function networkOn(lab: NetnsLab, host: LabHost, podCidr: string, overlay: OverlayKind = 'vxlan'): Network {
  const config = { clusterCidr: '10.42.0.0/16', podCidr, nodeIp: host.ip, overlay, stateDir: join(lab.folder, `state-${host.ip}`), serviceCidr: '10.43.0.0/16' }
  return createNetwork(config, { log: silentLog, exec: host.exec, connect: host.connect })
}

function request(id: string, ns: Namespace, portMappings: PodPort[] = []) {
  return { id, netnsPath: ns.path, podName: id, podNamespace: 'default', podUid: `uid-${id}`, portMappings }
}

const ping = (address: string) => `busybox ping -c1 -W2 ${address}`

describe('pod network in the kernel', { skip: missing }, () => {
  let lab: NetnsLab
  let one: LabHost
  let two: LabHost
  let netOne: Network
  let netTwo: Network
  const pods: Record<string, Namespace & { ip: string }> = {}
  const pod = (name: string) => {
    const found = pods[name]
    assert.ok(found, name)
    return found
  }
  const addPod = async (name: string, network: Network, ports: PodPort[] = []) => {
    const ns = await lab.pod(name)
    const { ips } = await network.setup(request(name, ns, ports))
    pods[name] = { ...ns, ip: ips[0] ?? '' }
  }

  before(async () => {
    lab = await NetnsLab.open()
    one = await lab.host('one')
    two = await lab.host('two')
    netOne = networkOn(lab, one, '10.42.0.0/24')
    netTwo = networkOn(lab, two, '10.42.1.0/24')
    assert.equal(netOne.notReadyReason(), 'the pod network has not started')
    await netOne.start()
    await netTwo.start()
    assert.equal(netOne.notReadyReason(), undefined)
    const peers = [
      { nodeName: 'one', nodeIp: one.ip, podCidr: '10.42.0.0/24', vtepMac: netOne.vtepMac() },
      { nodeName: 'two', nodeIp: two.ip, podCidr: '10.42.1.0/24', vtepMac: netTwo.vtepMac() },
    ]
    await netOne.setPeers(peers)
    await netTwo.setPeers(peers)
    await addPod('a', netOne)
    await addPod('b', netOne, [{ protocol: 'TCP', containerPort: 80, hostPort: 8080, hostIp: '' }])
    await addPod('c', netTwo)
  })
  after(() => lab.close())

  test('pods get addresses in order, and a repeated setup returns the same one and changes nothing', async () => {
    assert.deepEqual([pod('a').ip, pod('b').ip, pod('c').ip], ['10.42.0.2', '10.42.0.3', '10.42.1.2'])
    const pinging = pod('a').sh(`busybox ping -c3 -i1 -W1 ${pod('b').ip}`)
    assert.deepEqual(await netOne.setup(request('a', pod('a'))), { ips: ['10.42.0.2'] })
    assert.match(await pinging, /3 packets received/)
  })

  test('pods reach each other on one host, across hosts, their own host, and from hosts', async () => {
    await pod('a').sh(ping(pod('b').ip))
    await pod('a').sh(ping(pod('c').ip))
    await pod('c').sh(ping(pod('a').ip))
    await pod('a').sh(ping(one.ip))
    await one.sh(ping(pod('a').ip))
    await one.sh(ping(pod('c').ip))
  })

  test('packets of the largest size cross the overlay without being cut', async () => {
    assert.equal((await pod('a').sh('cat /sys/class/net/eth0/mtu || true; ip -o link show eth0')).match(/mtu (\d+)/)?.[1], '1450')
    await pod('a').sh(`busybox ping -c1 -W2 -s 1422 ${pod('c').ip}`)
  })

  test('Services have a route though the default route is gone', async () => {
    await two.sh('ip route del default')
    assert.match(await two.sh('ip route get 10.43.0.1'), /10\.43\.0\.1 dev skiff0 src 10\.42\.1\.1/)
    await two.sh('ip route add default via 192.168.77.254')
  })

  test('where iptables drops what is forwarded, pods are let through, and no rule is made twice', async () => {
    await one.sh('nft -f - <<END\ntable ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; counter; }\n}\nEND')
    assert.notEqual((await pod('a').try(ping(pod('c').ip))).code, 0)
    await netOne.start()
    await netOne.start()
    await pod('a').sh(ping(pod('c').ip))
    assert.equal((await one.sh('nft list chain ip filter FORWARD')).match(/skiff-cni/g)?.length, 2)
  })

  test('a pod keeps its address towards pods and is masqueraded towards the rest', async () => {
    const watch = (where: Namespace, hook: string) => where.sh(`nft -f - <<'END'
table ip seen {
  set from { type ipv4_addr; flags dynamic; size 16; }
  chain watch { type filter hook ${hook} priority 0; icmp type echo-request add @from { ip saddr }; }
}
END`)
    await watch(lab.outside, 'input')
    await watch(two, 'forward')
    await pod('a').sh(ping('192.168.77.254'))
    await pod('a').sh(ping(pod('c').ip))
    assert.match(await lab.outside.sh('nft list set ip seen from'), new RegExp(`elements = \\{ ${one.ip} \\}`))
    assert.match(await two.sh('nft list set ip seen from'), /elements = \{ 10\.42\.0\.2 \}/)
    await two.sh('nft delete table ip seen')
  })

  test('a host port leads to its pod from another host, from its own host by both addresses, and from pods, itself too', async () => {
    await pod('b').spawn(['busybox', 'httpd', '-f', '-p', '80', '-h', '/'])
    const get = (address: string) => `for i in 1 2 3 4 5 6 7 8 9 10; do printf 'GET /etc/hostname HTTP/1.0\\r\\n\\r\\n' | busybox timeout 2 busybox nc ${address} 8080 | grep -v : | tail -n1 | grep . && exit 0; sleep 0.1; done; exit 1`
    const expected = (await readFile('/etc/hostname', 'utf8')).trim()
    for (const from of [two, one, pod('a'), pod('b'), pod('c')]) assert.equal((await from.sh(get(one.ip))).trim(), expected)
    assert.equal((await one.sh(get('127.0.0.1'))).trim(), expected)
    assert.notEqual((await two.try('busybox timeout 2 busybox nc 127.0.0.1 8080 < /dev/null')).code, 0)
  })

  test('a second start, and the same peers again, change nothing', async () => {
    await one.sh('true')
    one.log.length = 0
    await netOne.start()
    await netOne.setPeers([{ nodeName: 'two', nodeIp: two.ip, podCidr: '10.42.1.0/24', vtepMac: netTwo.vtepMac() }])
    assert.deepEqual(changes(one.log), [])
  })

  test('a restarted agent finds leases, devices and peers as they were and changes nothing', async () => {
    await netOne.close()
    netOne = networkOn(lab, one, '10.42.0.0/24')
    one.log.length = 0
    await netOne.start()
    await netOne.setPeers([{ nodeName: 'two', nodeIp: two.ip, podCidr: '10.42.1.0/24', vtepMac: netTwo.vtepMac() }])
    assert.deepEqual(changes(one.log), [])
    assert.deepEqual(await netOne.setup(request('a', pod('a'))), { ips: ['10.42.0.2'] })
    await pod('a').sh(ping(pod('c').ip))
  })

  test('only the peer that changed is touched, and a peer that left is not reached any more', async () => {
    const peerTwo = { nodeName: 'two', nodeIp: two.ip, podCidr: '10.42.1.0/24', vtepMac: netTwo.vtepMac() }
    await netOne.setPeers([peerTwo])
    one.log.length = 0
    await netOne.setPeers([peerTwo, { nodeName: 'three', nodeIp: '192.168.77.3', podCidr: '10.42.2.0/24', vtepMac: '02:00:00:00:00:03' }])
    assert.deepEqual(changes(one.log), [
      'bridge -force -batch - <<< fdb replace 02:00:00:00:00:03 dev skiff.1 dst 192.168.77.3\n',
      'ip -force -batch - <<< neigh replace 10.42.2.0 lladdr 02:00:00:00:00:03 dev skiff.1 nud permanent\nroute replace 10.42.2.0/24 via 10.42.2.0 dev skiff.1 onlink src 10.42.0.1 proto 171\n',
    ])
    await netOne.setPeers([])
    assert.deepEqual((await one.sh('ip route show dev skiff.1; ip neigh show dev skiff.1 nud permanent; bridge fdb show dev skiff.1 | grep dst || true')).trim(), '')
    await netOne.setPeers([peerTwo])
    await pod('a').sh(ping(pod('c').ip))
  })

  test('a pair half made before a crash is repaired by the next setup', async () => {
    const ns = await lab.pod('half')
    const { ips } = await netOne.setup(request('half', ns))
    await ns.sh('ip addr flush dev eth0; ip link set eth0 down')
    assert.deepEqual(await netOne.setup(request('half', ns)), { ips })
    await ns.sh(ping(pod('a').ip))
    const device = hostDeviceName('half')
    await one.sh(`ip link set ${device} nomaster down`)
    assert.deepEqual(await netOne.setup(request('half', ns)), { ips })
    await ns.sh(ping(pod('a').ip))
    await netOne.teardown({ id: 'half', netnsPath: ns.path })
  })

  test('an agent killed at any step of setup or teardown leaves what the next one completes', async () => {
    const ns = await lab.pod('killed')
    const port: PodPort = { protocol: 'TCP', containerPort: 80, hostPort: 9090, hostIp: '' }
    const step = { left: 0 }
    const dying = (): Network => createNetwork(
      { clusterCidr: '10.42.0.0/16', podCidr: '10.42.0.0/24', nodeIp: one.ip, overlay: 'vxlan', stateDir: join(lab.folder, `state-${one.ip}`), serviceCidr: '10.43.0.0/16' },
      { log: silentLog, exec: (argv, options) => step.left-- > 0 ? one.exec(argv, options) : Promise.reject(new Error('killed')), connect: (wish) => connectPod(wish, one.path, () => { if (step.left-- <= 0) throw new Error('killed') }) },
    )
    await netOne.close()
    for (const doing of ['setup', 'teardown'] as const) {
      for (let at = 0, isWhole = false; !isWhole; at++) {
        assert.ok(at < 30)
        step.left = 1000
        const first = dying()
        await first.start()
        if (doing === 'teardown') await first.setup(request('killed', ns, [port]))
        step.left = at
        isWhole = await (doing === 'setup' ? first.setup(request('killed', ns, [port])) : first.teardown({ id: 'killed', netnsPath: ns.path })).then(() => true, () => false)
        await first.close()
        netOne = networkOn(lab, one, '10.42.0.0/24')
        await netOne.start()
        if (doing === 'setup') {
          await netOne.setup(request('killed', ns, [port]))
          await ns.sh(ping(pod('a').ip))
          assert.match(await one.sh('nft list map ip skiff-cni hostports'), /9090/)
        }
        await netOne.teardown({ id: 'killed', netnsPath: ns.path })
        assert.doesNotMatch(await one.sh('nft list map ip skiff-cni hostports; ip link'), new RegExp(`9090|${hostDeviceName('killed')}`))
        await netOne.close()
      }
    }
    netOne = networkOn(lab, one, '10.42.0.0/24')
    await netOne.start()
    await netOne.setPeers([{ nodeName: 'two', nodeIp: two.ip, podCidr: '10.42.1.0/24', vtepMac: netTwo.vtepMac() }])
  })

  test('teardown succeeds twice, after the namespace is gone too, and the address waits its turn', async () => {
    const ns = await lab.pod('gone')
    const first = await netOne.setup(request('gone', ns))
    await netOne.teardown({ id: 'gone', netnsPath: ns.path })
    await netOne.teardown({ id: 'gone', netnsPath: undefined })
    const second = await netOne.setup(request('gone-2', ns))
    assert.notDeepEqual(second, first)
    await netOne.teardown({ id: 'gone-2', netnsPath: '/nowhere' })
  })

  test('leases lost with a damaged file come back from the devices', async () => {
    await netOne.close()
    const path = join(lab.folder, `state-${one.ip}`, 'leases.jsonl')
    const intact = await readFile(path, 'utf8')
    await writeFile(path, '\0\0\0\0garbage\n')
    netOne = networkOn(lab, one, '10.42.0.0/24')
    await netOne.start()
    assert.deepEqual(await netOne.setup(request('a', pod('a'))), { ips: ['10.42.0.2'] })
    await netOne.close()
    await writeFile(path, intact)
    await appendFile(path, '{"put":{"id":"torn')
    netOne = networkOn(lab, one, '10.42.0.0/24')
    await netOne.start()
  })

  test('retainOnly frees what is not named, destroy leaves nothing behind', async () => {
    await netOne.retainOnly(['b'])
    assert.notEqual((await pod('a').try(ping(pod('b').ip))).code, 0)
    await one.sh(ping(pod('b').ip))
    await netOne.destroy()
    const left = (await one.sh('ip -o link | grep -E "skiff|skv" || true; nft list ruleset; ip route show proto 171')).replaceAll(/(packets|bytes) \d+/g, '$1 N')
    assert.equal(left.replaceAll(/\s+/g, ' ').trim(), 'table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; counter packets N bytes N } }')
  })
})

test('a network that cannot start leaves no file open: whoever tries again makes a new one', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'skiff-cni-'))
  const failing = createNetwork({ clusterCidr: '10.42.0.0/16', podCidr: '10.42.0.0/24', nodeIp: '10.0.0.1', overlay: 'vxlan', stateDir }, { log: silentLog, exec: () => Promise.reject(new Error('no ip here')) })
  await assert.rejects(failing.start(), /no ip here/)
  assert.equal(failing.notReadyReason(), 'no ip here')
  assert.deepEqual(openFiles().filter((path) => path.startsWith(stateDir)), [])
  await rm(stateDir, { recursive: true })
})

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      return [] // The one that read the directory.
    }
  })
}
