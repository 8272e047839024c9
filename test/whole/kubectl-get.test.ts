/** What a user sees: kubectl's reading verbs on a server and an agent, with real containers. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { load } from 'js-yaml'
import { Cluster, until } from '../lab/cluster.ts'
import { openShop, runningPods, shopManifest } from './shop.ts'

interface Listed { items: { metadata: { name: string; namespace?: string; labels?: Record<string, string> }; spec: { nodeName?: string } }[] }

/** Lines without the blanks at their ends: columns are padded. */
const lines = (text: string): string[] => text.trimEnd().split('\n').map((l) => l.trimEnd())
const columns = (line: string | undefined): string[] => (line ?? '').split(/ {2,}/)

describe('kubectl reads', () => {
  let cluster: Cluster
  let pods: string[]
  const get = (...args: string[]) => cluster.must(['-n', 'shop', 'get', ...args])
  const shown = async (...args: string[]) => lines(await get(...args))
  const describeIt = (...args: string[]) => cluster.must(['-n', 'shop', 'describe', ...args])

  before(async () => {
    cluster = await Cluster.create({ hosts: 2 })
    await openShop(cluster, { namespace: 'shop' })
    pods = await runningPods(cluster, 'shop')
  })
  after(() => cluster?.destroy())

  test('pods of a Deployment spread over both hosts and run', async () => {
    const nodes = (await get('pods', '-o', 'jsonpath={.items[*].spec.nodeName}')).split(' ').toSorted()
    strictEqual(nodes.length, 3)
    deepStrictEqual([...new Set(nodes)], ['h1', 'h2'])
  })

  test('tables have the columns that people know', async () => {
    const [head, ...rows] = await shown('pods')
    deepStrictEqual(columns(head), ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE'])
    deepStrictEqual(rows.map((r) => columns(r).slice(0, 4)), pods.map((name) => [name, '2/2', 'Running', '0']))
    for (const row of rows) match(row, /\d+s$/)
    deepStrictEqual(columns((await shown('pods', '-o', 'wide'))[0]), ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE', 'IP', 'NODE', 'NOMINATED NODE', 'READINESS GATES'])
    deepStrictEqual((await shown('deployment')).map((l) => columns(l).slice(0, 4)), [['NAME', 'READY', 'UP-TO-DATE', 'AVAILABLE'], ['web', '3/3', '3', '3']])
    deepStrictEqual(columns((await shown('deploy', '-o', 'wide'))[1]).slice(5), ['web,side', 'busybox:1,busybox:1', 'app=web'])
    const service = columns((await shown('svc', '-o', 'wide'))[1])
    deepStrictEqual([service[0], service[1], service[3], service[4], service[6]], ['web', 'ClusterIP', '<none>', '80/TCP', 'app=web'])
    match(service[2] ?? '', /^10\.43\.\d+\.\d+$/)
    deepStrictEqual((await shown('deploy', 'web', '--subresource=scale')).map((l) => columns(l).slice(0, 3)), [['NAME', 'DESIRED', 'AVAILABLE'], ['web', '3', '3']])
    deepStrictEqual((await shown('cm')).map((l) => columns(l).slice(0, 2)), [['NAME', 'DATA'], ['kube-root-ca.crt', '1'], ['settings', '2']])
    deepStrictEqual((await shown('secret')).map((l) => columns(l).slice(0, 3)), [['NAME', 'TYPE', 'DATA'], ['keys', 'Opaque', '1']])
    deepStrictEqual((await shown('ns')).map((l) => columns(l).slice(0, 2)).filter(([name]) => name === 'shop' || name === 'NAME'), [['NAME', 'STATUS'], ['shop', 'Active']])
    const nodes = await shown('nodes', '-o', 'wide')
    deepStrictEqual(columns(nodes[0]), ['NAME', 'STATUS', 'ROLES', 'AGE', 'VERSION', 'INTERNAL-IP', 'EXTERNAL-IP', 'OS-IMAGE', 'KERNEL-VERSION', 'CONTAINER-RUNTIME'])
    deepStrictEqual(nodes.slice(1).map((l) => [columns(l)[0], columns(l)[1], columns(l)[5]]), [['h1', 'Ready', '10.99.0.11'], ['h2', 'Ready', '10.99.0.12']])
  })

  test('get all shows what runs, each kind with its own table', async () => {
    const text = await get('all')
    deepStrictEqual(text.match(/^(pod|service|deployment\.apps|replicaset\.apps)\//gm)?.length, 3 + 1 + 1 + 1)
    match(text, /^replicaset\.apps\/web-\w+ +3 +3 +3 +/m)
  })

  test('names, columns of one\'s own, jsonpath and templates', async () => {
    deepStrictEqual(await shown('pods', '-o', 'name'), pods.map((p) => `pod/${p}`))
    deepStrictEqual(await shown('pods', '-o', 'custom-columns=P:.metadata.name,I:.spec.containers[*].image'), ['P                      I', ...pods.map((p) => `${p}   busybox:1,busybox:1`)].map((l) => l.replace(/^P +/, `P${' '.repeat((pods[0]?.length ?? 0) + 2)}`)))
    strictEqual(await get('pods', '-o', 'jsonpath={range .items[*]}{.metadata.name}={.status.phase};{end}'), pods.map((p) => `${p}=Running;`).join(''))
    strictEqual(await get('deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[?(@.name=="side")].image}'), 'busybox:1')
    strictEqual(await get('cm', 'settings', '-o', 'go-template={{.data.GREETING}}'), 'hello')
    strictEqual(await get('cm', 'settings', '-o', 'jsonpath={.data.app\\.conf}'), 'a=1\n')
  })

  test('yaml and json say the same, and what was not asked for is not there', async () => {
    const json = JSON.parse(await get('deploy', 'web', '-o', 'json')) as { metadata: { managedFields?: unknown; generation: number }; spec: { replicas: number }; status: { observedGeneration: number } }
    deepStrictEqual(load(await get('deploy', 'web', '-o', 'yaml')), json)
    strictEqual(json.metadata.managedFields, undefined)
    deepStrictEqual([json.metadata.generation, json.status.observedGeneration, json.spec.replicas], [1, 1, 3])
    match(await get('deploy', 'web', '-o', 'yaml', '--show-managed-fields'), /manager: kubectl-client-side-apply/)
  })

  test('selectors of labels and fields', async () => {
    const names = async (...args: string[]) => (JSON.parse(await get('pods', '-o', 'json', ...args)) as Listed).items.map((p) => p.metadata.name)
    deepStrictEqual(await names('-l', 'app=web'), pods)
    deepStrictEqual(await names('-l', 'app in (web,other),pod-template-hash,!nosuch'), pods)
    deepStrictEqual(await names('-l', 'app!=web'), [])
    const onSecond = (JSON.parse(await get('pods', '-o', 'json')) as Listed).items.filter((p) => p.spec.nodeName === 'h2').map((p) => p.metadata.name)
    ok(onSecond.length > 0)
    deepStrictEqual(await names('--field-selector', 'spec.nodeName=h2,status.phase=Running'), onSecond)
    deepStrictEqual(await names('--field-selector', 'status.phase!=Running'), [])
    deepStrictEqual((await names('--sort-by=.metadata.name')), pods)
    match((await shown('pods', '--show-labels'))[1] ?? '', /app=web,pod-template-hash=/)
    strictEqual(columns((await shown('pods', '-L', 'app'))[0]).at(-1), 'APP')
    const refused = await cluster.kubectl(['get', 'pods', '--field-selector', 'spec.nosuch=1'])
    deepStrictEqual([refused.code, refused.stderr.trim()], [1, 'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "", field selector "spec.nosuch=1": field label not supported: spec.nosuch'])
  })

  test('all namespaces, and lists in pages', async () => {
    const everywhere = await cluster.must(['get', 'pods', '-A', '-l', 'app=web', '--no-headers'])
    deepStrictEqual(lines(everywhere).map((l) => columns(l).slice(0, 2)), pods.map((p) => ['shop', p]))
    deepStrictEqual(await shown('pods', '-o', 'name', '--chunk-size=1'), pods.map((p) => `pod/${p}`))
  })

  test('what is not there is said in upstream\'s words, with exit code 1', async () => {
    const wrong = async (...args: string[]) => {
      const { code, stderr } = await cluster.kubectl(['-n', 'shop', ...args])
      return [code, stderr.trim()]
    }
    deepStrictEqual(await wrong('get', 'pod', 'nosuch'), [1, 'Error from server (NotFound): pods "nosuch" not found'])
    deepStrictEqual(await wrong('get', 'deploy', 'nosuch'), [1, 'Error from server (NotFound): deployments.apps "nosuch" not found'])
    deepStrictEqual(await wrong('get', 'nosuchkind'), [1, 'error: the server doesn\'t have a resource type "nosuchkind"'])
    deepStrictEqual(await wrong('get', 'pods', '-n', 'nosuch'), [0, 'No resources found in nosuch namespace.'])
  })

  test('get -w shows each change as it happens', async () => {
    await using watching = cluster.follow(['-n', 'shop', 'get', 'cm', '-w', '--output-watch-events', '-l', 'seen=yes'])
    await cluster.must(['-n', 'shop', 'create', '-f', '-'], { input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: passing, labels: {seen: "yes"}}\n' })
    await watching.says(/ADDED +passing +0/)
    await cluster.must(['-n', 'shop', 'patch', 'cm', 'passing', '-p', '{"data":{"a":"b"}}'])
    await watching.says(/MODIFIED +passing +1/)
    // Out of the selector is out of sight.
    await cluster.must(['-n', 'shop', 'label', 'cm', 'passing', 'seen-'])
    await watching.says(/DELETED +passing +1/)
    await cluster.must(['-n', 'shop', 'delete', 'cm', 'passing'])
  })

  test('describe tells the whole story of a pod', async () => {
    const text = await describeIt('pod', pods[0] ?? '')
    for (const part of [
      /^Name: +web-/m, /^Service Account: +default$/m, /^Node: +h[12]\/10\.99\.0\.1[12]$/m, /^Status: +Running$/m, /^IP: +10\.42\.\d+\.\d+$/m, /^Controlled By: +ReplicaSet\/web-/m,
      /Container ID: +\S+:\/\/[0-9a-f]{64}/, /Image ID: +\S*busybox@sha256:[0-9a-f]{64}/, /State: +Running\n +Started: +/, /Ready: +True\n +Restart Count: +0/,
      /Limits:\n +cpu: +500m\n +memory: +64Mi\n +Requests:\n +cpu: +10m\n +memory: +16Mi/,
      /Liveness: +http-get http:\/\/:http\/ delay=2s timeout=1s period=5s #success=1 #failure=3/, /Readiness: +exec \[true\]/,
      /settings +ConfigMap +Optional: false/, /PASSWORD: +<set to the key 'PASSWORD' in secret 'keys'> +Optional: false/, /POD_NAME: +web-\S+ \(v1:metadata.name\)/,
      /\/all from all \(ro\)/, /\/var\/run\/secrets\/kubernetes\.io\/serviceaccount from kube-api-access-\w{5} \(ro\)/,
      /Ready +True/, /PodScheduled +True/, /EmptyDir \(a temporary directory that shares a pod's lifetime\)/, /Projected \(a volume that contains injected data from multiple sources\)/,
      /^QoS Class: +Burstable$/m, /node\.kubernetes\.io\/not-ready:NoExecute op=Exists for 300s/,
      /Normal +Scheduled +\S+ +default-scheduler +Successfully assigned shop\/web-\S+ to h[12]/, /Normal +Started /,
    ]) match(text, part)
    strictEqual(text.includes('swordfish'), false)
  })

  test('describe of a node, a Deployment, a Service, a namespace, a ConfigMap and a Secret', async () => {
    const node = await describeIt('node', 'h2')
    for (const part of [/^Lease:\n +HolderIdentity: +h2/m, /Ready +True .* KubeletReady +/, /InternalIP: +10\.99\.0\.12/, /^PodCIDR: +10\.42\.\d+\.0\/24$/m, /^ +shop +web-\S+ +15m \(\d+%\) +500m \(\d+%\) +24Mi \(\d+%\) +96Mi \(\d+%\)/m, /Allocated resources:/]) match(node, part)
    const deployment = await describeIt('deploy', 'web')
    for (const part of [/^Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable$/m, /^StrategyType: +RollingUpdate$/m, /Available +True +MinimumReplicasAvailable/, /Progressing +True +NewReplicaSetAvailable/, /^NewReplicaSet: +web-\w+ \(3\/3 replicas created\)$/m, /ScalingReplicaSet +\S+ +deployment-controller +Scaled up replica set web-\w+ from 0 to 3/]) match(deployment, part)
    const service = await describeIt('svc', 'web')
    for (const part of [/^Selector: +app=web$/m, /^Port: +http +80\/TCP$/m, /^TargetPort: +http\/TCP$/m]) match(service, part)
    strictEqual(/^Endpoints: +(.*)$/m.exec(service)?.[1]?.split(',').length, 3)
    match(await describeIt('ns', 'shop'), /^Status: +Active$/m)
    match(await describeIt('cm', 'settings'), /GREETING:\n----\nhello\n/)
    const secret = await describeIt('secret', 'keys')
    match(secret, /^PASSWORD: +9 bytes$/m)
    match(await describeIt('rs'), /Pods Status: +3 Running \/ 0 Waiting \/ 0 Succeeded \/ 0 Failed/)
  })

  test('events name what happened, newest last, for one object or all', async () => {
    const text = await cluster.must(['-n', 'shop', 'events', '--for', 'deployment/web'])
    match(text, /Normal +ScalingReplicaSet +Deployment\/web +Scaled up replica set web-\w+ from 0 to 3/)
    const reasons = (await get('events', '--field-selector', `involvedObject.name=${pods[0]}`, '-o', 'jsonpath={.items[*].reason}')).split(' ')
    for (const reason of ['Scheduled', 'Pulled', 'Created', 'Started']) ok(reasons.includes(reason), `${reason} in ${reasons.join()}`)
  })

  test('explain reads the schema, down to nested fields', async () => {
    const text = await cluster.must(['explain', 'deployment.spec.strategy.rollingUpdate'])
    match(text, /^GROUP: +apps\nKIND: +Deployment\nVERSION: +v1\n/)
    match(text, /maxSurge\t<IntOrString>\n/)
    match(await cluster.must(['explain', 'pod', '--recursive']), /\n {4}containers\t<\[\]Container> -required-\n/)
    match(await cluster.must(['explain', 'cm.data']), /FIELD: data <map\[string\]string>/)
    const wrong = await cluster.kubectl(['explain', 'pod.nosuch'])
    deepStrictEqual([wrong.code, wrong.stderr.trim()], [1, 'error: field "nosuch" does not exist'])
  })

  test('discovery: resources, versions, version, cluster-info', async () => {
    const resources = lines(await cluster.must(['api-resources', '--no-headers'])).map((l) => l.split(/ +/))
    for (const row of [['pods', 'po', 'v1', 'true', 'Pod'], ['nodes', 'no', 'v1', 'false', 'Node'], ['deployments', 'deploy', 'apps/v1', 'true', 'Deployment'], ['endpointslices', 'discovery.k8s.io/v1', 'true', 'EndpointSlice']]) {
      deepStrictEqual(resources.find((r) => r[0] === row[0]), row)
    }
    deepStrictEqual(lines(await cluster.must(['api-resources', '--categories=all', '--namespaced', '-o', 'name'])).includes('pods'), true)
    const versions = lines(await cluster.must(['api-versions']))
    for (const version of ['v1', 'apps/v1', 'rbac.authorization.k8s.io/v1', 'coordination.k8s.io/v1', 'batch/v1']) ok(versions.includes(version), version)
    match(await cluster.must(['version']), /^Server Version: v1\.36\.\d+/m)
    match(await cluster.must(['cluster-info']), /Kubernetes control plane.* is running at .*https:\/\/127\.0\.0\.1:6443/)
  })

  test('get --raw gives what the server says', async () => {
    strictEqual(await cluster.must(['get', '--raw', '/readyz']), 'ok')
    match(await cluster.must(['get', '--raw', '/readyz?verbose']), /\[\+\]ping ok\n[^]*readyz check passed\n/)
    const list = JSON.parse(await cluster.must(['get', '--raw', '/api/v1/namespaces/shop/pods?limit=1'])) as Listed & { kind: string; metadata: { continue?: string; remainingItemCount?: number } }
    deepStrictEqual([list.kind, list.items.length, list.metadata.remainingItemCount], ['PodList', 1, 2])
    ok(list.metadata.continue)
    match(await cluster.must(['get', '--raw', '/metrics']), /^apiserver_request_total\{.*\} \d+$/m)
  })

  test('wait ends when the condition holds, and fails when it does not in time', async () => {
    match(await cluster.must(['-n', 'shop', 'wait', 'deploy/web', '--for=condition=Available', '--timeout=10s']), /deployment.apps\/web condition met/)
    strictEqual(lines(await cluster.must(['-n', 'shop', 'wait', 'pod', '-l', 'app=web', '--for=condition=Ready', '--timeout=10s'])).length, 3)
    await cluster.must(['-n', 'shop', 'wait', 'deploy/web', '--for=jsonpath={.status.readyReplicas}=3', '--timeout=10s'])
    const late = await cluster.kubectl(['-n', 'shop', 'wait', 'deploy/web', '--for=condition=Nosuch', '--timeout=1s'])
    deepStrictEqual([late.code, late.stderr.trim()], [1, 'error: timed out waiting for the condition on deployments/web'])
    await using waiting = cluster.follow(['-n', 'shop', 'wait', '--for=create', 'cm/late', '--timeout=20s'])
    await cluster.must(['-n', 'shop', 'create', '-f', '-'], { input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late}\n' })
    await waiting.says('configmap/late condition met')
    await using gone = cluster.follow(['-n', 'shop', 'wait', '--for=delete', 'cm/late', '--timeout=20s'])
    await cluster.must(['-n', 'shop', 'delete', 'cm', 'late'])
    strictEqual(await gone.exited, 0)
  })

  test('auth: who I am, what I may do, what others may do', async () => {
    match(await cluster.must(['auth', 'whoami']), /^Username +\S+\nGroups +\[system:masters system:authenticated\]/m)
    strictEqual(await cluster.must(['auth', 'can-i', 'create', 'pods']), 'yes\n')
    match(await cluster.must(['auth', 'can-i', '--list']), /^\*\.\* +\[\] +\[\] +\[\*\]$/m)
    const other = (...args: string[]) => cluster.kubectl(['auth', 'can-i', ...args, '--as=system:serviceaccount:shop:default', '-n', 'shop'])
    deepStrictEqual(await other('get', 'pods'), { code: 1, stdout: 'no\n', stderr: '' })
    await cluster.must(['-n', 'shop', 'create', 'rolebinding', 'reader', '--clusterrole=view', '--serviceaccount=shop:default'])
    await until('the role holds', 5_000, async () => (await other('get', 'pods')).stdout === 'yes\n')
    strictEqual((await other('delete', 'pods')).stdout, 'no\n')
    const reader = (...args: string[]) => cluster.kubectl(['-n', 'shop', '--as=system:serviceaccount:shop:default', ...args])
    strictEqual((await reader('get', 'cm', 'settings', '-o', 'name')).stdout, 'configmap/settings\n')
    deepStrictEqual((await reader('get', 'secret', 'keys')).stderr.trim(), 'Error from server (Forbidden): secrets "keys" is forbidden: User "system:serviceaccount:shop:default" cannot get resource "secrets" in API group "" in the namespace "shop"')
    const token = (await cluster.must(['-n', 'shop', 'create', 'token', 'default'])).trim()
    match((await cluster.kubectl(['auth', 'whoami', '--token', token, '--kubeconfig', '/dev/null', '--server', 'https://10.99.0.11:6443', '--insecure-skip-tls-verify'])).stdout, /^Username +system:serviceaccount:shop:default$/m)
  })

  test('a user with a key of their own gets a certificate on approval, and what roles give them', async () => {
    const [dir, config] = [cluster.server.dir, join(cluster.server.dir, 'ada.yaml')]
    await cluster.server.must(['openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${dir}/ada.key`, '-out', `${dir}/ada.csr`, '-subj', '/CN=ada/O=devs'])
    const request = readFileSync(`${dir}/ada.csr`).toString('base64')
    await cluster.must(['create', '-f', '-'], { input: JSON.stringify({ apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata: { name: 'ada' }, spec: { request, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'], expirationSeconds: 3600 } }) })
    match(await cluster.must(['get', 'csr', 'ada']), /^ada +\d+s +kubernetes\.io\/kube-apiserver-client +\S+ +60m +Pending$/m)
    strictEqual(await cluster.must(['certificate', 'approve', 'ada']), 'certificatesigningrequest.certificates.k8s.io/ada approved\n')
    const issued = () => cluster.must(['get', 'csr', 'ada', '-o', 'jsonpath={.status.certificate}'])
    await until('it is issued', 10_000, async () => (await issued()) !== '')
    writeFileSync(`${dir}/ada.crt`, Buffer.from(await issued(), 'base64'))
    writeFileSync(config, await cluster.must(['config', 'view', '--raw', '--minify']), { mode: 0o600 })
    const ada = (...args: string[]) => cluster.server.run(['kubectl', '--kubeconfig', config, '--user=ada', ...args])
    await ada('config', 'set-credentials', 'ada', `--client-certificate=${dir}/ada.crt`, `--client-key=${dir}/ada.key`)
    match((await ada('auth', 'whoami')).stdout, /^Username +ada\nGroups +\[devs system:authenticated\]/m)
    strictEqual((await ada('-n', 'shop', 'get', 'pods')).stderr.trim(), 'Error from server (Forbidden): pods is forbidden: User "ada" cannot list resource "pods" in API group "" in the namespace "shop"')
    await cluster.must(['-n', 'shop', 'create', 'rolebinding', 'devs', '--clusterrole=edit', '--group=devs'])
    await until('the role holds', 5_000, async () => (await ada('-n', 'shop', 'auth', 'can-i', 'delete', 'pods')).stdout === 'yes\n')
    strictEqual((await ada('-n', 'shop', 'exec', pods[0] ?? '', '-c', 'web', '--', 'echo', 'in')).stdout, 'in\n')
    strictEqual((await ada('get', 'nodes')).code, 1)
  })

  test('applying the same again changes nothing', async () => {
    // The kubelet-independent parts; the Deployment's projected sources are an atomic list that defaults change, as upstream.
    deepStrictEqual(lines(await cluster.must(['apply', '-f', '-'], { input: shopManifest({ namespace: 'shop' }) })), [
      'namespace/shop unchanged', 'configmap/settings unchanged', 'secret/keys unchanged', 'deployment.apps/web unchanged', 'service/web unchanged',
    ])
    strictEqual(await get('deploy', 'web', '-o', 'jsonpath={.metadata.generation}'), '1')
  })
})
