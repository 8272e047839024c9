/**
 * helm 4 against a lab cluster: a chart with one of each thing that charts have, from install to uninstall.
 * SKIFF_HELM: the program.
 */
import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Cluster } from '../lab/cluster.ts'
import type { Output } from '../lab/host.ts'

const HELM = process.env['SKIFF_HELM'] ?? ''
const CHART = join(import.meta.dirname, 'chart')
const RUN_MS_MAX = 200_000
/** Helm has one Secret of at most 1 MiB for each revision, with the chart, its values and the manifest packed and twice in base64. */
const BALLAST_BYTES = 300_000

interface Release { revision: number; status: string; description: string }

describe('helm', { skip: HELM === '' ? 'needs SKIFF_HELM: the path of helm 4' : false }, () => {
  let cluster: Cluster

  before(async () => {
    cluster = await Cluster.create({ hosts: 1 })
    const volume = { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'store' }, spec: { capacity: { storage: '1Mi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp', type: 'Directory' } } }
    await cluster.must(['apply', '-f', '-'], { input: JSON.stringify(volume) })
  })
  after(() => cluster?.destroy())

  function run(...args: string[]): Promise<Output> {
    const homes = ['CACHE', 'CONFIG', 'DATA'].map((kind) => `HELM_${kind}_HOME=${join(cluster.server.dir, 'helm', kind)}`)
    return cluster.server.run(['env', ...homes, HELM, '--kubeconfig', cluster.server.kubeconfig, '-n', 'shop', ...args], { timeoutMs: RUN_MS_MAX })
  }

  async function helm(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(...args)
    strictEqual(code, 0, `helm ${args.join(' ')}\n${stdout}${stderr}`)
    return stdout
  }

  async function history(): Promise<string[]> {
    return (JSON.parse(await helm('history', 'a', '-o', 'json')) as Release[]).map(({ revision, status }) => `${revision} ${status}`)
  }

  const get = (...args: string[]) => cluster.must(['get', '-n', 'shop', ...args])
  const greeting = () => get('configmap', 'a-settings', '-o', 'jsonpath={.data.GREETING}')
  const image = () => get('deployment', 'a-web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}')

  test('a chart is installed and everything in it is ready; its hooks have run before', async () => {
    await helm('install', 'a', CHART, '--create-namespace', '--wait', '--timeout', '3m')
    deepStrictEqual(await history(), ['1 deployed'])
    strictEqual(await get('deployment', 'a-web', '-o', 'jsonpath={.status.readyReplicas}'), '2')
    strictEqual(await get('pvc', '-o', 'jsonpath={.items[*].status.phase}'), 'Bound')
    strictEqual(await get('job', 'a-prepare', '-o', 'jsonpath={.status.succeeded}'), '1')
    strictEqual(await get('order', 'a-first', '-o', 'jsonpath={.spec}'), '{"count":1,"item":"hello"}')
    strictEqual(await get('configmap', 'a-settings', '-o', 'jsonpath={.data.dns}'), '10.43.0.10', 'lookup asks the server')
    match(await get('configmap', 'a-settings', '-o', 'jsonpath={.data.version}'), /^v1\.36\./)
    match(await helm('status', 'a'), /STATUS: deployed[^]*a says hello in shop\./)
    match(await helm('list'), /^a\s+shop\s+1\s.*deployed\s+shop-0\.1\.0/m)
  })

  test('its test runs as a pod whose log helm shows', async () => {
    match(await helm('test', 'a', '--logs', '--timeout', '2m'), /Phase:\s+Succeeded[^]*^hello$/m)
  })

  test('an upgrade changes what differs and runs its hook; the same again changes nothing', async () => {
    await helm('upgrade', 'a', CHART, '--set', 'greeting=bye', '--wait', '--timeout', '2m')
    strictEqual(await greeting(), 'bye')
    strictEqual(await get('job', 'a-migrate', '-o', 'jsonpath={.status.succeeded}'), '1')
    const versions = () => get('deployment,service,role,ingress,configmap', '-l', 'app.kubernetes.io/instance=a', '-o', 'jsonpath={range .items[*]}{.kind} {.metadata.generation} {.metadata.uid}{"\\n"}{end}')
    const before = await versions()
    await helm('upgrade', '--install', 'a', CHART, '--reuse-values')
    strictEqual(await versions(), before)
  })

  test('fields that kubectl has set since are conflicts, and are taken back by force', async () => {
    await cluster.must(['patch', 'configmap', 'a-settings', '-n', 'shop', '--field-manager=kubectl-edit', '-p', '{"data":{"GREETING":"edited"}}'])
    const refused = await run('upgrade', 'a', CHART, '--set', 'greeting=third')
    strictEqual(refused.code, 1)
    match(refused.stderr, /conflict with "kubectl-edit" using v1: \.data\.GREETING/)
    strictEqual(await greeting(), 'edited')
    await helm('upgrade', 'a', CHART, '--set', 'greeting=third', '--force-conflicts', '--wait', '--timeout', '2m')
    strictEqual(await greeting(), 'third')
  })

  test('a release that does not come up is rolled back', async () => {
    const before = await image()
    const failed = await run('upgrade', 'a', CHART, '--set', 'greeting=broken', '--set', 'brokenImage=none.example.com/x:1', '--rollback-on-failure', '--timeout', '20s')
    strictEqual(failed.code, 1, failed.stdout)
    strictEqual(await image(), before)
    strictEqual(await greeting(), 'third')
    deepStrictEqual((await history()).slice(-2).map((line) => line.split(' ')[1]), ['failed', 'deployed'])
  })

  test('a rollback brings the first revision back, and its test passes again', async () => {
    await helm('rollback', 'a', '1', '--wait', '--timeout', '2m', '--force-conflicts')
    strictEqual(await greeting(), 'hello')
    await helm('test', 'a', '--timeout', '2m')
  })

  test('an upgrade without server-side apply patches what differs', async () => {
    await helm('upgrade', 'a', CHART, '--set', 'greeting=patched', '--server-side=false', '--wait', '--timeout', '2m')
    strictEqual(await greeting(), 'patched')
    match(await helm('get', 'manifest', 'a'), /GREETING: "patched"/)
  })

  test('a dry run on the server says what would be, and changes nothing; a schema refuses values', async () => {
    const before = await history()
    match(await helm('template', 'b', CHART, '--dry-run=server'), /name: b-web/)
    match(await helm('upgrade', 'a', CHART, '--set', 'greeting=dry', '--dry-run=server'), /GREETING: "dry"/)
    match((await run('upgrade', 'a', CHART, '--set', 'replicas=9')).stderr, /at '\/replicas': maximum: got 9, want 5/)
    deepStrictEqual(await history(), before)
  })

  test('what others have made is not taken, unless told to', async () => {
    const mine = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'b-web', namespace: 'shop' } }
    await cluster.must(['apply', '-f', '-'], { input: JSON.stringify(mine) })
    const refused = await run('install', 'b', CHART, '--set', 'replicas=0')
    strictEqual(refused.code, 1)
    match(refused.stderr, /ServiceAccount "b-web" in namespace "shop" exists and cannot be imported into the current release: invalid ownership metadata/)
    await helm('upgrade', '--install', 'b', CHART, '--set', 'replicas=0', '--take-ownership')
    strictEqual(await get('serviceaccount', 'b-web', '-o', 'jsonpath={.metadata.labels.app\\.kubernetes\\.io/managed-by}'), 'Helm')
  })

  test('a release may nearly fill its Secret', async () => {
    const file = join(cluster.server.dir, 'ballast.yaml')
    writeFileSync(file, `ballast: ${randomBytes(BALLAST_BYTES).toString('base64')}\n`)
    await helm('upgrade', 'b', CHART, '--set', 'replicas=0', '-f', file)
    const bytes = (await get('secret', 'sh.helm.release.v1.b.v2', '-o', 'jsonpath={.data.release}')).length * 3 / 4
    strictEqual(bytes > 800_000, true, `the release has ${bytes} bytes`)
    match(await helm('get', 'values', 'b'), /^ballast: /m)
  })

  test('uninstall waits until everything is gone', async () => {
    await helm('uninstall', 'a', 'b', '--wait', '--timeout', '2m')
    strictEqual(await helm('list', '-q'), '')
    strictEqual(await get('deployment,statefulset,service,ingress,networkpolicy,hpa,pdb,order,configmap,secret', '-l', 'app.kubernetes.io/managed-by=Helm', '-o', 'name'), '')
    strictEqual(await get('pvc', '-o', 'name'), 'persistentvolumeclaim/data-a-store-0\npersistentvolumeclaim/data-b-store-0\n', 'claims of a StatefulSet stay')
  })
})
