/**
 * Clients other than the kubectl of the day: Debian's kubectl 1.20 (protobuf OpenAPI, SPDY/3.1, policy/v1beta1
 * evictions), where this machine has it, and @kubernetes/client-node (WebSocket channels). One cluster for both.
 */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { RunOptions } from '../lab/host.ts'
import { openShop, runningPods } from './shop.ts'

/** SKIFF_OLD_KUBECTL: where a kubectl before 1.22 is; else the one in PATH is looked at. */
const OLD = process.env['SKIFF_OLD_KUBECTL'] ?? 'kubectl'
const oldVersion = ((): string => {
  try {
    return (JSON.parse(execFileSync(OLD, ['version', '--client', '-o', 'json'], { encoding: 'utf8' })) as { clientVersion: { gitVersion: string } }).clientVersion.gitVersion
  } catch {
    return 'none' // The tests that need it say so.
  }
})()
const needsOld = { skip: /^v1\.(\d|1\d|2[01])\./.test(oldVersion) ? false : `needs a kubectl before 1.22 (Debian's is 1.20) in PATH or SKIFF_OLD_KUBECTL, found ${oldVersion}` }

describe('other clients', () => {
  let cluster: Cluster
  let pod: string
  const command = (args: readonly string[]): string[] => ['env', `HOME=${cluster.server.dir}`, OLD, '--kubeconfig', cluster.server.kubeconfig, '-n', 'shop', ...args]
  const old = (args: readonly string[], options: RunOptions = {}) => cluster.server.run(command(args), options)
  const must = (...args: string[]) => cluster.server.must(command(args))

  before(async () => {
    cluster = await Cluster.create({ hosts: 1 })
    await openShop(cluster, { namespace: 'shop' })
    pod = (await runningPods(cluster, 'shop'))[0] ?? ''
  })
  after(() => cluster?.destroy())

  test('@kubernetes/client-node finds everything it expects', { timeout: 600_000 }, async () => {
    const { code, stdout, stderr } = await cluster.server.run(
      ['env', '-u', 'NODE_TEST_CONTEXT', `KUBECONFIG=${cluster.server.kubeconfig}`, `POD=${pod}`, process.execPath, '--test', '--test-isolation=none', '--test-reporter=spec', join(import.meta.dirname, 'client-node.inside.ts')],
      { timeoutMs: 110_000 },
    )
    strictEqual(code, 0, `${stdout}${stderr}`)
    match(stdout, /^ℹ fail 0$/m)
    match(stdout, /^ℹ skipped 0$/m)
  })

  test('kubectl 1.20 validates, explains, applies and shows', needsOld, async () => {
    const configMap = (kind: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old}\n${kind}: {a: "1"}\n`
    strictEqual((await old(['apply', '-f', '-'], { input: configMap('data') })).stdout, 'configmap/old created\n')
    strictEqual((await old(['apply', '-f', '-'], { input: configMap('data') })).stdout, 'configmap/old unchanged\n')
    match((await old(['apply', '-f', '-'], { input: configMap('dada') })).stderr, /unknown field "dada" in io\.k8s\.api\.core\.v1\.ConfigMap/)
    match(await must('explain', 'pods.spec.containers.livenessProbe.httpGet.port'), /KIND: +Pod\nVERSION: +v1\n\nFIELD: +port <string>/)
    match(await must('get', 'deployments', '-o', 'wide'), /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS/)
    match(await must('describe', 'pod', pod), new RegExp(`^Name: +${pod}\n[^]*Normal +Started`))
    match(await must('describe', 'node', 'h1'), /Capacity:\n[^]*Non-terminated Pods: +\(3 in total\)/)
    match(await must('get', 'events'), /Scheduled +pod\/web-/)
    match(await must('api-resources', '--api-group=autoscaling'), /horizontalpodautoscalers +hpa +autoscaling\/v2 +true/)
  })

  test('kubectl 1.20 changes: scale, patch, edit, label, autoscale, rollouts', needsOld, async () => {
    await must('create', 'deployment', 'idle', '--image=busybox:1', '--replicas=0')
    await must('scale', 'deployment', 'idle', '--current-replicas=0', '--replicas=0')
    await must('patch', 'deployment', 'idle', '-p', '{"spec":{"template":{"spec":{"containers":[{"name":"busybox","env":[{"name":"A","value":"1"}]}]}}}}')
    await must('set', 'image', 'deployment/idle', 'busybox=busybox:2')
    await must('label', 'deployment', 'idle', 'by=hand')
    strictEqual((await old(['edit', 'deployment', 'idle'], { env: { KUBE_EDITOR: 'sed -i s/by:.hand/by:\\ editor/' } })).stdout, 'deployment.apps/idle edited\n')
    strictEqual(await must('get', 'deployment', 'idle', '-o', 'jsonpath={.metadata.labels.by} {.spec.template.spec.containers[0].env[0].name} {.spec.template.spec.containers[0].image}'), 'editor A busybox:2')
    await must('rollout', 'undo', 'deployment/idle', '--to-revision=1')
    match(await must('rollout', 'history', 'deployment/idle'), /REVISION/)
    await must('autoscale', 'deployment', 'idle', '--max=3', '--cpu-percent=70')
    match(await must('get', 'hpa', 'idle'), /Deployment\/idle +cpu: <unknown>\/70% +1 +3/)
    await must('delete', 'deployment,hpa', 'idle')
  })

  test('kubectl 1.20 knows kinds that definitions make, applies on the server, waits, asks what it may', needsOld, async () => {
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: 'relics.old.example.com' },
      spec: {
        group: 'old.example.com', scope: 'Namespaced', names: { plural: 'relics', singular: 'relic', kind: 'Relic', shortNames: ['rl'] },
        versions: [{ name: 'v1', served: true, storage: true, additionalPrinterColumns: [{ name: 'Age of', type: 'string', jsonPath: '.spec.epoch' }], schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', description: 'What it is.', properties: { epoch: { type: 'string', description: 'When it was made.' } } } } } } }],
      },
    }
    strictEqual((await old(['apply', '-f', '-'], { input: JSON.stringify(definition) })).stdout, 'customresourcedefinition.apiextensions.k8s.io/relics.old.example.com created\n')
    strictEqual(await must('wait', '--for=condition=Established', 'crd/relics.old.example.com', '--timeout=20s'), 'customresourcedefinition.apiextensions.k8s.io/relics.old.example.com condition met\n')
    const relic = (epoch: string) => `apiVersion: old.example.com/v1\nkind: Relic\nmetadata: {name: r}\nspec: {epoch: ${epoch}}\n`
    await until('the definition is in the OpenAPI that it validates by', 20_000, async () => /KIND: +Relic\nVERSION: +old\.example\.com\/v1\n\nFIELD: +epoch <string>\n\nDESCRIPTION:\n +When it was made\./.test((await old(['explain', 'relics.spec.epoch'])).stdout))
    strictEqual((await old(['apply', '--server-side', '-f', '-'], { input: relic('bronze') })).stdout, 'relic.old.example.com/r serverside-applied\n')
    const conflict = await old(['apply', '--server-side', '--field-manager=other', '-f', '-'], { input: relic('iron') })
    deepStrictEqual([conflict.code, /Apply failed with 1 conflict: conflict with "kubectl"[^]*: \.spec\.epoch/.test(conflict.stderr)], [1, true], conflict.stderr)
    strictEqual((await old(['apply', '--server-side', '--field-manager=other', '--force-conflicts', '-f', '-'], { input: relic('iron') })).code, 0)
    match(await must('get', 'rl'), /^NAME +AGE OF\nr +iron\n$/)
    match(await must('api-resources', '--api-group=old.example.com', '-o', 'wide'), /relics +rl +old\.example\.com\/v1 +true +Relic +\[delete deletecollection get list patch create update watch\]/)
    match(await must('api-resources'), /pods +po +v1 +true +Pod/)
    deepStrictEqual([await must('auth', 'can-i', 'create', 'pods'), (await old(['auth', 'can-i', 'create', 'pods', '--as=nobody'])).stdout], ['yes\n', 'no\n'])
    match(await must('auth', 'can-i', '--list'), /\*\.\* +\[\] +\[\] +\[\*\]/)
    match((await old(['top', 'nodes'])).stderr, /Metrics API not available/)
    await must('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=10s')
    await must('delete', 'crd', 'relics.old.example.com', '--wait')
  })

  test('kubectl 1.20 streams over SPDY/3.1: exec, attach, cp, logs, port-forward', needsOld, async () => {
    const { code, stdout, stderr } = await old(['exec', '-i', pod, '-c', 'web', '--', 'sh', '-c', 'cat; echo err >&2; exit 3'], { input: 'to and fro\n' })
    deepStrictEqual([code, stdout, stderr], [3, 'to and fro\n', 'err\ncommand terminated with exit code 3\n'])
    const [there, back] = [join(cluster.server.dir, 'there'), join(cluster.server.dir, 'back')]
    const bytes = randomBytes(3_000_000)
    writeFileSync(there, bytes)
    await must('cp', there, `${pod}:/tmp/blob`, '-c', 'web')
    await must('cp', `${pod}:/tmp/blob`, back, '-c', 'web')
    ok(readFileSync(back).equals(bytes))
    strictEqual(await must('logs', pod, '-c', 'side', '--limit-bytes=7'), 'tick 0\n')
    const port = cluster.server.spawn(command(['port-forward', pod, '18080:8080']), { stdio: 'ignore' })
    const attached = cluster.server.spawn(command(['attach', pod, '-c', 'side']), { stdio: ['ignore', 'pipe', 'ignore'] })
    let said = ''
    attached.stdout?.on('data', (chunk: Buffer) => { said += chunk.toString() })
    try {
      for (let i = 0; i < 2; i++) await until('the forwarded port answers', 10_000, async () => (await cluster.server.run(['busybox', 'wget', '-qO-', 'http://127.0.0.1:18080/'])).stdout === `${pod}\n`)
      await until('the attached container is heard', 10_000, () => /tick \d+\n/.test(said))
    } finally {
      port.kill()
      attached.kill()
    }
  })

  test('kubectl 1.20 drains with policy/v1beta1 evictions, as far as budgets let it', needsOld, async () => {
    await cluster.must(['-n', 'shop', 'create', 'pdb', 'web', '--selector=app=web', '--min-available=3'])
    // What the disruption controller says of three healthy pods: before it has looked, clients are told to wait for ten seconds.
    const looked = { status: { observedGeneration: 1, disruptionsAllowed: 0, currentHealthy: 3, desiredHealthy: 3, expectedPods: 3 } }
    await cluster.must(['-n', 'shop', 'patch', 'pdb', 'web', '--subresource=status', '--type=merge', '-p', JSON.stringify(looked)])
    const drain = ['drain', 'h1', '--ignore-daemonsets', '--delete-emptydir-data']
    const refused = await old([...drain, '--timeout=2s'])
    deepStrictEqual([refused.code, /would violate the pod's disruption budget/.test(refused.stderr)], [1, true], refused.stderr)
    strictEqual((await runningPods(cluster, 'shop')).length, 3)
    await must('delete', 'pdb', 'web')
    match(await must(...drain, '--timeout=30s'), /node\/h1 evicted/)
    await must('uncordon', 'h1')
  })
})
