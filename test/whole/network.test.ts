/** The pod network, Services and cluster DNS of three hosts, with real packets between real containers. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { SWITCH_IP } from '../lab/lab.ts'
import type { Outcome, Road } from './net-peer.ts'
import { apply, ask, echoManifest, gotten, hostNamed, peerCommand, podsOf, service, type PodPlace } from './three-hosts.ts'

const DNS = '10.43.0.10'
/** Requests that are spread over six pods and miss one of them: (5/6)^120, once in three thousand million runs. */
const MANY = 120
const DOMAIN = 'svc.cluster.local'

describe('the network of three hosts', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let hosts: LabHost[]
  /** Two on each host. */
  let pods: PodPlace[]
  /** One on each host. */
  let one: PodPlace[]
  let clusterIp: string
  const started: ChildProcess[] = []

  const must = (...args: string[]) => cluster.must(args)
  const sh = (pod: PodPlace, script: string) => cluster.kubectl(['exec', pod.name, '-c', 'web', '--', 'sh', '-c', script])
  const ipOf = (name: string) => must('get', 'service', name, '-o', 'jsonpath={.spec.clusterIP}')
  const hostOf = (pod: PodPlace) => hostNamed(cluster, pod.node)
  /** Everyone tries the same; whose outcome differs is named. */
  const everywhere = async (from: readonly (PodPlace | LabHost)[], roads: readonly Road[], want: readonly string[]) => {
    const all = await Promise.all(from.map(async (f) => [f.name, await gotten(cluster, f, roads)] as const))
    deepStrictEqual(Object.fromEntries(all), Object.fromEntries(from.map((f) => [f.name, want])))
  }
  /** Which pods answer, over many requests. */
  const answering = async (from: PodPlace | LabHost, url: string, count = MANY) => [...new Set(await gotten(cluster, from, Array.from({ length: count }, () => ({ http: url }))))].toSorted()
  /** From a machine that is no node. */
  const fromSwitch = (roads: readonly Road[]) => (JSON.parse(cluster.lab.runOnSwitch(...peerCommand('ask', '8', JSON.stringify(roads)))) as Outcome[]).map((o) => o.got ?? `failed: ${o.failed ?? ''}`)
  const names = (of: readonly PodPlace[]) => of.map((p) => p.name).toSorted()
  const background = async (command: ChildProcess) => {
    started.push(command)
    ok(command.stdout)
    await once(command.stdout, 'data')
    return command
  }

  before(async () => {
    cluster = await Cluster.create({ hosts: 3 })
    hosts = cluster.lab.hosts
    await background(spawn('nsenter', ['-t', String(cluster.lab.state.switchPid), '-n', '--', process.execPath, join(import.meta.dirname, 'name-server.ts'), SWITCH_IP], { stdio: ['ignore', 'pipe', 'inherit'] }))
    await apply(cluster, echoManifest(),
      service('echo', { type: 'NodePort', ports: [{ name: 'http', port: 80, targetPort: 'http', nodePort: 30080 }, { name: 'echo', port: 9000, targetPort: 9000, protocol: 'UDP', nodePort: 30090 }] }),
      service('headless', { clusterIP: 'None' }))
    await must('rollout', 'status', 'deployment/echo', '--timeout=90s')
    pods = await podsOf(cluster, 'echo')
    one = pods.filter((p, i) => p.node !== pods[i - 1]?.node)
    clusterIp = await ipOf('echo')
  })
  after(async () => {
    for (const child of started) child.kill('SIGKILL')
    await cluster?.destroy()
  })

  test('pods spread over all hosts, each with an address of its node\'s own range', async () => {
    deepStrictEqual(pods.map((p) => p.node), ['h1', 'h1', 'h2', 'h2', 'h3', 'h3'])
    const cidrs = new Map((await must('get', 'nodes', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDR}{"\\n"}{end}')).trim().split('\n').map((l) => l.split(' ') as [string, string]))
    strictEqual(new Set(cidrs.values()).size, 3)
    for (const pod of pods) {
      match(cidrs.get(pod.node) ?? '', /^10\.42\.\d+\.0\/24$/)
      strictEqual(pod.ip.split('.').slice(0, 3).join('.'), cidrs.get(pod.node)?.split('.').slice(0, 3).join('.'))
    }
    strictEqual(new Set(pods.map((p) => p.ip)).size, 6)
  })

  test('every pod reaches every pod by its own address: TCP and UDP, small and far larger than the MTU, seen with its own address', async () => {
    const roads = pods.flatMap((p): Road[] => [{ http: `http://${p.ip}:8080/` }, { http: `http://${p.ip}:9000/` }, { post: `http://${p.ip}:9000/`, bytes: 1 << 20 }, { udp: `${p.ip}:9000`, bytes: 20 }, { udp: `${p.ip}:9000`, bytes: 9_000 }])
    for (const from of pods) {
      deepStrictEqual(await gotten(cluster, from, roads), pods.flatMap((p) => [p.name, from.ip, 'echoed', 'echoed', 'echoed']), `from ${from.name} on ${from.node}`)
    }
    for (const from of one) for (const to of one) strictEqual((await sh(from, `ping -q -c 2 -i 0.1 -w 5 -s 4000 ${to.ip}`)).code, 0, `ping ${from.node} to ${to.node}`)
  })

  test('pods reach nodes and nodes reach pods', async () => {
    for (const host of hosts) await background(host.spawn(peerCommand('serve', '9100', host.ip), { stdio: ['ignore', 'pipe', 'inherit'] }))
    await everywhere(pods, hosts.flatMap((h): Road[] => [{ post: `http://${h.ip}:9100/`, bytes: 100_000 }, { udp: `${h.ip}:9100`, bytes: 5_000 }]), hosts.flatMap(() => ['echoed', 'echoed']))
    await everywhere(hosts, pods.flatMap((p): Road[] => [{ http: `http://${p.ip}:8080/` }, { udp: `${p.ip}:9000`, bytes: 5_000 }]), pods.flatMap((p) => [p.name, 'echoed']))
  })

  test('a ClusterIP reaches all endpoints, from pods and from each host, TCP and UDP, a pod itself too', async () => {
    for (const from of [...one, ...hosts]) {
      deepStrictEqual(await answering(from, `http://${clusterIp}/`), names(pods), `from ${from.name}`)
      deepStrictEqual(await gotten(cluster, from, Array.from({ length: 20 }, () => ({ udp: `${clusterIp}:9000`, bytes: 2_000 }))), Array.from({ length: 20 }, () => 'echoed'))
    }
    // A port that the Service has not, and a Service without endpoints: refused at once.
    await apply(cluster, service('nobody', {}, 'nobody'))
    const nobody = await ipOf('nobody')
    await until('the Service without endpoints refuses', 5_000, async () => (await gotten(cluster, hosts[2] as LabHost, [{ http: `http://${nobody}/` }]))[0] === 'failed: ECONNREFUSED')
    await everywhere([...one, ...hosts], [{ http: `http://${clusterIp}:81/` }, { http: `http://${nobody}/` }], ['failed: ECONNREFUSED', 'failed: ECONNREFUSED'])
    // The API server by its Service, as clients in pods call it.
    for (const from of [...one, ...hosts]) match((await gotten(cluster, from, [{ http: 'https://10.43.0.1/version' }]))[0] ?? '', /"gitVersion": ?"v1\.36/)
  })

  test('a node port answers on every host, from hosts, pods and from outside', async () => {
    const roads = hosts.flatMap((h): Road[] => [{ http: `http://${h.ip}:30080/` }, { udp: `${h.ip}:30090`, bytes: 2_000 }])
    for (const from of [...one, ...hosts]) {
      const outcomes = await gotten(cluster, from, roads)
      deepStrictEqual(outcomes.map((o, i) => (i % 2 === 0 ? names(pods).includes(o) : o === 'echoed')), outcomes.map(() => true), `from ${from.name}: ${outcomes.join(', ')}`)
    }
    for (const host of hosts) {
      const seen = fromSwitch(Array.from({ length: MANY }, () => ({ http: `http://${host.ip}:30080/` })))
      deepStrictEqual([...new Set(seen)].toSorted(), names(pods), `from outside by ${host.name}`)
      deepStrictEqual(fromSwitch([{ udp: `${host.ip}:30090`, bytes: 2_000 }]), ['echoed'])
    }
  })

  test('cluster DNS on each node: short, qualified and full names, SRV, PTR, headless', async () => {
    const at = (lookUp: string, type: 'A' | 'SRV' | 'PTR'): Road => ({ lookUp, type, server: DNS })
    const dashed = (ip: string) => ip.replaceAll('.', '-')
    const srv = (host: (p: PodPlace) => string) => pods.map((p) => `0 16 8080 ${host(p)}.headless.default.${DOMAIN}`).toSorted()
    await everywhere([...one, ...hosts], [
      at(`echo.default.${DOMAIN}`, 'A'), at(`headless.default.${DOMAIN}`, 'A'), at(`_http._tcp.echo.default.${DOMAIN}`, 'SRV'), at(clusterIp, 'PTR'), at('10.43.0.1', 'PTR'), at(`${dashed(pods[0]?.ip ?? '')}.default.pod.cluster.local`, 'A'),
      at(`none.default.${DOMAIN}`, 'A'), at('10.42.99.99', 'PTR'),
    ], [
      clusterIp, pods.map((p) => p.ip).toSorted().join('\n'), `0 100 80 echo.default.${DOMAIN}`, `echo.default.${DOMAIN}`, `kubernetes.default.${DOMAIN}`, pods[0]?.ip ?? '',
      'failed: ENOTFOUND', 'failed: ENOTFOUND',
    ])
    // Endpoints without a hostname are named after their address, as CoreDNS does.
    const found = (await gotten(cluster, one[1] as PodPlace, [at(`_http._tcp.headless.default.${DOMAIN}`, 'SRV')]))[0]?.split('\n').map((l) => l.replace(/^0 \d+/, '0 16'))
    deepStrictEqual(found, srv((p) => dashed(p.ip)))
    const names = ['echo', 'echo.default', 'echo.default.svc', `echo.default.${DOMAIN}`, `echo.default.${DOMAIN}.`]
    for (const from of one) {
      strictEqual((await sh(from, `for n in ${names.join(' ')}; do wget -q -O /dev/null http://$n/ || echo $n; done; ping -q -c 1 -w 2 headless > /dev/null || echo headless`)).stdout, '')
      const startedMs = Date.now()
      match((await sh(from, `nslookup -type=a kubernetes.default.${DOMAIN}`)).stdout, /Address: 10\.43\.0\.1\n/)
      // busybox asks for the name as it is, which nobody has: a quick no, no waiting.
      match((await sh(from, 'nslookup kubernetes.default')).stdout, /NXDOMAIN/)
      strictEqual((await sh(from, 'wget -q -O - http://nosuch/')).code, 1)
      ok(Date.now() - startedMs < 5_000, `negative answers took ${Date.now() - startedMs} ms on ${from.node}`)
    }
  })

  test('names outside the cluster are asked of the host\'s own resolver', async () => {
    const at = (lookUp: string): Road => ({ lookUp, type: 'A', server: DNS })
    await everywhere([...one, ...hosts], [at('outside.example'), at('www.outside.example'), at('nosuch.example')], ['192.0.2.7', '192.0.2.7', 'failed: ENOTFOUND'])
    for (const from of one) match((await sh(from, 'nslookup -type=a www.outside.example')).stdout, /Address: 192\.0\.2\.7\n/)
  })

  test('the cluster\'s names are answered while the resolver outside is silent', async () => {
    const [nameServer] = started
    nameServer?.kill('SIGSTOP')
    try {
      const [known, unknown] = await ask(cluster, one[2] as PodPlace, [{ lookUp: `echo.default.${DOMAIN}`, type: 'A', server: DNS }, { lookUp: 'other.example', type: 'A', server: DNS }])
      strictEqual(known?.got, clusterIp)
      match(unknown?.failed ?? '', /ESERVFAIL|ETIMEOUT/)
    } finally {
      nameServer?.kill('SIGCONT')
    }
  })

  test('a pod leaves its Services when it turns unready or is deleted, and comes back when it is ready', async () => {
    const [sick, doomed] = [one[1] as PodPlace, one[2] as PodPlace]
    const client = one[0] as PodPlace
    const headless = async () => (await gotten(cluster, client, [{ lookUp: `headless.default.${DOMAIN}`, type: 'A', server: DNS }]))[0]?.split('\n').length
    await sh(sick, 'touch /tmp/unready')
    const isGone = async (from: PodPlace | LabHost) => !(await answering(from, `http://${clusterIp}/`, 40)).includes(sick.name)
    await until('the unready pod gets no requests', 15_000, async () => (await isGone(client)) && (await headless()) === 5)
    for (const from of [...one, ...hosts]) deepStrictEqual(await answering(from, `http://${clusterIp}/`), names(pods).filter((n) => n !== sick.name))
    await sh(sick, 'rm /tmp/unready')
    await until('the ready pod gets requests again', 15_000, async () => (await answering(client, `http://${clusterIp}/`)).includes(sick.name) && (await headless()) === 6)
    await must('delete', 'pod', doomed.name, '--wait=false')
    await until('the deleted pod gets no requests', 15_000, async () => !(await answering(client, `http://${clusterIp}/`, 40)).includes(doomed.name))
    await must('rollout', 'status', 'deployment/echo', '--timeout=60s')
    await until('six pods are there again', 15_000, async () => (await podsOf(cluster, 'echo')).filter((p) => p.isReady).length === 6)
    pods = await podsOf(cluster, 'echo')
    one = pods.filter((p, i) => p.node !== pods[i - 1]?.node)
    deepStrictEqual(one.map((p) => p.node), ['h1', 'h2', 'h3'])
    await until('all endpoints answer everywhere', 15_000, async () => (await Promise.all(hosts.map((h) => answering(h, `http://${clusterIp}/`)))).every((seen) => seen.join() === names(pods).join()))
  })

  test('a rolling update under constant requests loses none when pods shut down gracefully', async () => {
    await apply(cluster, echoManifest({ name: 'rolled', replicas: 4, preStopSeconds: 3 }), service('rolled', {}, 'rolled'))
    await must('rollout', 'status', 'deployment/rolled', '--timeout=60s')
    const ip = await ipOf('rolled')
    const stop = new AbortController()
    const tally = { done: 0, failed: [] as string[], seen: new Set<string>() }
    const places = [one[0] as PodPlace, one[1] as PodPlace, hosts[2] as LabHost]
    // Each node hears of the endpoints in its own time.
    for (const from of places) await until(`the Service answers ${from.name}`, 10_000, async () => (await ask(cluster, from, [{ http: `http://${ip}/` }]))[0]?.got !== undefined)
    const clients = places.map(async (from) => {
      for (let asked = 0; !stop.signal.aborted;) {
        for (const outcome of await ask(cluster, from, Array.from({ length: 100 }, () => ({ http: `http://${ip}/` })))) {
          tally.done++
          asked++
          if (outcome.got === undefined) tally.failed.push(`from ${from.name}, its request ${asked}: ${outcome.failed ?? ''}`)
          else tally.seen.add(outcome.got)
        }
      }
    })
    const before = names(await podsOf(cluster, 'rolled'))
    await apply(cluster, echoManifest({ name: 'rolled', replicas: 4, preStopSeconds: 3, version: '2' }))
    await must('rollout', 'status', 'deployment/rolled', '--timeout=90s')
    await until('the old pods are gone', 30_000, async () => (await must('get', 'pods', '-l', 'app=rolled,version=1', '-o', 'name')) === '')
    stop.abort()
    await Promise.all(clients)
    const now = names(await podsOf(cluster, 'rolled'))
    console.log(`     rolling update: ${tally.done} requests, ${tally.failed.length} failed`)
    deepStrictEqual(tally.failed, [])
    ok([...before, ...now].every((n) => tally.seen.has(n)), `of ${[...before, ...now].join(' ')} only ${[...tally.seen].join(' ')} answered`)
    await must('delete', 'deployment,service', 'rolled', '--wait=false')
  })

  test('session affinity keeps a client with one pod; externalTrafficPolicy Local keeps traffic on the node and its source address', async () => {
    await apply(cluster, service('sticky', { sessionAffinity: 'ClientIP' }), echoManifest({ name: 'local', replicas: 1, pod: { nodeSelector: { 'kubernetes.io/hostname': 'h2' }, topologySpreadConstraints: [] } }),
      service('local', { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ name: 'http', port: 80, targetPort: 9000, nodePort: 30081 }] }, 'local'))
    const sticky = await ipOf('sticky')
    await must('rollout', 'status', 'deployment/local', '--timeout=60s')
    await until('the sticky Service answers on all hosts', 10_000, async () => (await Promise.all(hosts.map((h) => gotten(cluster, h, [{ http: `http://${sticky}/` }])))).every(([got]) => names(pods).includes(got ?? '')))
    for (const from of [...one, ...hosts]) strictEqual((await answering(from, `http://${sticky}/`, 30)).length, 1, `from ${from.name}`)
    await until('the node with the pod answers with the client\'s address', 10_000, () => fromSwitch([{ http: `http://${hostNamed(cluster, 'h2').ip}:30081/` }])[0] === SWITCH_IP)
    // Dropped, not refused: a load balancer's check tells nothing to a client.
    deepStrictEqual(fromSwitch(hosts.map((h) => ({ http: `http://${h.ip}:30081/` }))), ['failed: ABORT_ERR', SWITCH_IP, 'failed: ABORT_ERR'])
    // Inside the cluster the policy does not apply.
    strictEqual((await gotten(cluster, one[0] as PodPlace, [{ http: `http://${await ipOf('local')}/` }]))[0], one[0]?.ip)
    await must('delete', 'deployment,service', 'local', '--wait=false')
  })

  test('a host port answers on its own node alone; pods of the host\'s network know the cluster\'s names', async () => {
    const [h1, h2] = [hosts[0] as LabHost, hosts[1] as LabHost]
    const pod = (name: string, spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name } }, spec: { terminationGracePeriodSeconds: 1, ...spec } })
    const web = { name: 'web', image: 'busybox:1', command: ['sh', '-c', 'mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www'] }
    await apply(cluster,
      pod('on-host-port', { nodeName: 'h2', containers: [{ ...web, ports: [{ containerPort: 8080, hostPort: 8088 }] }] }),
      pod('on-host', { nodeName: 'h3', hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet', containers: [{ ...web, command: ['sh', '-c', 'mkdir /www; echo on-host > /www/index.html; exec httpd -f -p 8090 -h /www'], ports: [{ containerPort: 8090 }] }] }),
      pod('on-host-dns', { nodeName: 'h3', hostNetwork: true, containers: [{ ...web, command: ['sleep', '1000'] }] }))
    await must('wait', 'pod', 'on-host-port', 'on-host', 'on-host-dns', '--for=condition=Ready', '--timeout=60s')
    await everywhere([...one, ...hosts], [{ http: `http://${h2.ip}:8088/` }, { http: `http://${hosts[2]?.ip ?? ''}:8090/` }], ['on-host-port', 'on-host'])
    strictEqual((await gotten(cluster, h2, [{ http: `http://${h1.ip}:8088/` }]))[0], 'failed: ECONNREFUSED')
    strictEqual(await must('get', 'pod', 'on-host', '-o', 'jsonpath={.status.podIP} {.status.hostIP}'), '10.99.0.13 10.99.0.13')
    strictEqual((await must('exec', 'on-host', '--', 'wget', '-q', '-O', '-', 'http://echo/index.html')).trim().slice(0, 5), 'echo-')
    strictEqual(await must('exec', 'on-host-dns', '--', 'cat', '/etc/resolv.conf'), `nameserver ${SWITCH_IP}\n`)
    await must('delete', 'pod', 'on-host-port', '--wait=true')
    await until('the host port is closed', 10_000, async () => (await gotten(cluster, h1, [{ http: `http://${h2.ip}:8088/` }]))[0] === 'failed: ECONNREFUSED')
  })

  test('figures for the record: latency and throughput, on one host and between hosts', async () => {
    const client = one[0] as PodPlace
    const near = pods.find((p) => p.node === client.node && p.name !== client.name) as PodPlace
    const far = one[1] as PodPlace
    strictEqual(hostOf(client).name, 'h1')
    const figures: string[] = []
    for (const [where, to] of [['same host', near], ['across hosts', far]] as const) {
      await must('label', 'pod', to.name, `figure=${where.replace(' ', '-')}`)
      const name = `figure-${to.node}`
      await apply(cluster, { ...service(name, { selector: { figure: where.replace(' ', '-') }, ports: [{ name: 'http', port: 80, targetPort: 8080 }, { name: 'bulk', port: 7000, targetPort: 7000 }] }) })
      const ip = await ipOf(name)
      await until('the Service answers', 10_000, async () => (await gotten(cluster, client, [{ http: `http://${ip}/` }]))[0] === to.name)
      const ms = (await ask(cluster, client, Array.from({ length: 200 }, () => ({ http: `http://${ip}/` })), 1)).map((o) => o.ms).toSorted((a, b) => a - b)
      await using sink = cluster.follow(['exec', '-i', to.name, '-c', 'web', '--', 'sh', '-c', 'nc -l -p 7000 | wc -c'])
      await until('the sink listens', 10_000, async () => (await sh(to, 'netstat -ltn | grep -q :7000')).code === 0)
      const startedMs = performance.now()
      const { code, stderr } = await sh(client, `dd if=/dev/zero bs=64k count=1000 | nc ${ip} 7000`)
      const seconds = (performance.now() - startedMs) / 1000
      strictEqual(code, 0, stderr)
      await sink.says('65536000')
      figures.push(`${where}: pod to ClusterIP to pod, one new connection each: p50 ${ms[ms.length >> 1] ?? 0} ms, p95 ${ms[Math.floor(ms.length * 0.95)] ?? 0} ms; nc ${(65.536 / seconds).toFixed(0)} MB/s`)
    }
    for (const line of figures) console.log(`     ${line}`)
  })
})
