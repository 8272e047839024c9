/** What a user changes: kubectl's writing verbs on a server and an agent, with real containers. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import { openShop, runningPods, shopManifest } from './shop.ts'

const lines = (text: string): string[] => text.trimEnd().split('\n').map((l) => l.trimEnd())
const configMap = (name: string, data: Record<string, string>, extra = ''): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}${extra}}\ndata: ${JSON.stringify(data)}\n`

describe('kubectl changes', () => {
  let cluster: Cluster
  const must = (...args: string[]) => cluster.must(['-n', 'shop', ...args])
  const says = async (...args: string[]) => (await must(...args)).trimEnd()
  const refused = async (args: string[], input?: string) => {
    const { code, stderr } = await cluster.kubectl(['-n', 'shop', ...args], input === undefined ? {} : { input })
    return [code, stderr.trim()] as const
  }
  const value = (path: string, ...what: string[]) => must('get', ...what, '-o', `jsonpath=${path}`)
  const file = (name: string, text: string): string => {
    const path = join(cluster.lab.dir, name)
    writeFileSync(path, text)
    return path
  }

  before(async () => {
    cluster = await Cluster.create({ hosts: 2 })
    await openShop(cluster, { namespace: 'shop' })
  })
  after(() => cluster?.destroy())

  test('a wrong manifest is refused with the field and why', async () => {
    deepStrictEqual(await refused(['apply', '-f', '-'], 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndatta: {a: b}\n'), [1, 'Error from server (BadRequest): error when creating "STDIN": ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "datta"'])
    deepStrictEqual(await refused(['create', '-f', '-'], 'apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: []}\n'), [1, 'The Pod "bad" is invalid: spec.containers: Required value'])
    const [code, text] = await refused(['create', '-f', '-'], 'apiVersion: v1\nkind: Pod\nmetadata: {name: Bad_Name}\nspec: {containers: [{name: c, image: x, resources: {requests: {cpu: 2}, limits: {cpu: 1}}}]}\n')
    strictEqual(code, 1)
    match(text, /The Pod "Bad_Name" is invalid: \n\* metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain .*\n\* spec\.containers\[0\]\.resources\.requests: Invalid value: "2": must be less than or equal to cpu limit of 1/)
    deepStrictEqual(await refused(['create', '-f', '-'], configMap('settings', {})), [1, 'Error from server (AlreadyExists): error when creating "STDIN": configmaps "settings" already exists'])
  })

  test('scale changes the number of pods, unless it is not the number expected', async () => {
    strictEqual(await says('scale', 'deploy/web', '--replicas=4'), 'deployment.apps/web scaled')
    await must('rollout', 'status', 'deploy/web', '--timeout=30s')
    strictEqual((await runningPods(cluster, 'shop')).length, 4)
    deepStrictEqual(await refused(['scale', 'deploy/web', '--replicas=1', '--current-replicas=2']), [1, 'error: Expected replicas to be 2, was 4'])
    await must('scale', 'deploy/web', '--replicas=3', '--current-replicas=4')
    await until('three pods are left', 20_000, async () => (await runningPods(cluster, 'shop')).length === 3)
  })

  test('set image rolls out without ever having too few pods, and undo goes back', async () => {
    const before = await runningPods(cluster, 'shop')
    strictEqual(await says('set', 'image', 'deploy/web', 'web=busybox:2', 'side=busybox:2'), 'deployment.apps/web image updated')
    await must('annotate', 'deploy/web', 'kubernetes.io/change-cause=second edition')
    await using watching = cluster.follow(['-n', 'shop', 'get', 'deploy', 'web', '-w', '-o', 'jsonpath={.status.availableReplicas}{"\\n"}'])
    const told = await must('rollout', 'status', 'deploy/web', '--timeout=60s')
    match(told, /Waiting for deployment "web" rollout to finish: .*\n[^]*deployment "web" successfully rolled out\n$/)
    ok(lines(watching.output).every((n) => Number(n) >= 3), `never fewer than three: ${lines(watching.output).join()}`)
    const now = await runningPods(cluster, 'shop')
    strictEqual(now.filter((p) => before.includes(p)).length, 0)
    strictEqual(await value('{.items[*].spec.containers[*].image}', 'pods', '--field-selector=status.phase=Running', '-l', 'app=web').then((t) => [...new Set(t.split(' '))].includes('busybox:2')), true)
    deepStrictEqual(lines(await must('rollout', 'history', 'deploy/web')), ['deployment.apps/web', 'REVISION  CHANGE-CAUSE', '1         <none>', '2         second edition'])
    match(await must('rollout', 'history', 'deploy/web', '--revision=2'), /deployment\.apps\/web with revision #2\n[^]*Image:\tbusybox:2\n/)
    strictEqual(await says('rollout', 'undo', 'deploy/web'), 'deployment.apps/web rolled back')
    await must('rollout', 'status', 'deploy/web', '--timeout=60s')
    strictEqual(await value('{.spec.template.spec.containers[*].image}', 'deploy/web'), 'busybox:1 busybox:1')
    deepStrictEqual(lines(await must('rollout', 'history', 'deploy/web')).slice(2), ['2         second edition', '3         <none>'])
  })

  test('a rollout that cannot succeed keeps the old pods, says so, and is undone', async () => {
    const before = await runningPods(cluster, 'shop')
    await must('set', 'image', 'deploy/web', 'web=busybox:nosuchtag')
    const stuck = () => value('{.items[*].status.containerStatuses[?(@.name=="web")].state.waiting.reason}', 'pods', '-l', 'app=web')
    await until('the pull fails', 30_000, async () => /ErrImagePull|ImagePullBackOff/.test(await stuck()))
    const late = await cluster.kubectl(['-n', 'shop', 'rollout', 'status', 'deploy/web', '--timeout=2s'])
    strictEqual(late.code, 1)
    deepStrictEqual((await runningPods(cluster, 'shop')).filter((p) => before.includes(p)), before)
    await must('rollout', 'undo', 'deploy/web', '--to-revision=3')
    await must('rollout', 'status', 'deploy/web', '--timeout=30s')
    await until('the pod that could not start is gone', 20_000, async () => (await stuck()) === '')
    deepStrictEqual(await runningPods(cluster, 'shop'), before)
  })

  test('a paused rollout gathers changes, resume makes them at once, restart replaces the pods', async () => {
    await must('rollout', 'pause', 'deploy/web')
    await must('set', 'env', 'deploy/web', '-c', 'web', 'EXTRA=1')
    await must('set', 'resources', 'deploy/web', '-c', 'side', '--limits=memory=40Mi')
    const sets = async () => (await value('{.items[*].metadata.name}', 'rs', '-l', 'app=web')).split(' ').length
    const count = await sets()
    await until('the pause is seen', 10_000, async () => (await value('{.status.conditions[?(@.type=="Progressing")].reason}', 'deploy/web')) === 'DeploymentPaused')
    strictEqual(await sets(), count)
    await must('rollout', 'resume', 'deploy/web')
    await must('rollout', 'status', 'deploy/web', '--timeout=60s')
    strictEqual(await sets(), count + 1)
    const [pod = ''] = await runningPods(cluster, 'shop')
    strictEqual((await says('exec', pod, '-c', 'web', '--', 'sh', '-c', 'echo $EXTRA')), '1')
    strictEqual(await says('rollout', 'restart', 'deploy/web'), 'deployment.apps/web restarted')
    await must('rollout', 'status', 'deploy/web', '--timeout=60s')
    strictEqual((await runningPods(cluster, 'shop')).includes(pod), false)
  })

  test('edit opens the object in an editor and writes what it leaves', async () => {
    const edit = (script: string, ...what: string[]) => cluster.kubectl(['-n', 'shop', 'edit', ...what], { env: { KUBE_EDITOR: script } })
    deepStrictEqual((await edit('sed -i s/hello/goodbye/', 'cm/settings')).stdout, 'configmap/settings edited\n')
    strictEqual(await value('{.data.GREETING}', 'cm/settings'), 'goodbye')
    deepStrictEqual((await edit('true', 'cm/settings')).stderr, 'Edit cancelled, no changes made.\n')
    const wrong = await edit('sed -i s/replicas:.*/replicas:\\ -1/', 'deploy/web')
    strictEqual(wrong.code, 1)
    match(wrong.stderr, /error: deployments.apps "web" is invalid/)
    strictEqual(await value('{.spec.replicas}', 'deploy/web'), '3')
  })

  test('patch: strategic merges lists by their keys, merge replaces them, json tests before it changes', async () => {
    await must('create', 'deployment', 'patched', '--image=busybox:1', '--replicas=0', '--', 'sleep', '1000')
    await must('patch', 'deploy/patched', '-p', '{"spec":{"template":{"spec":{"containers":[{"name":"extra","image":"busybox:2"}]}}}}')
    strictEqual(await value('{.spec.template.spec.containers[*].name}', 'deploy/patched'), 'extra busybox')
    await must('patch', 'deploy/patched', '-p', '{"spec":{"template":{"spec":{"containers":[{"name":"extra","$patch":"delete"}]}}}}')
    strictEqual(await value('{.spec.template.spec.containers[*].name}', 'deploy/patched'), 'busybox')
    await must('patch', 'deploy/patched', '--type=merge', '-p', '{"metadata":{"labels":{"app":null,"tier":"front"}},"spec":{"template":{"spec":{"containers":[{"name":"only","image":"busybox:2"}]}}}}')
    deepStrictEqual([await value('{.metadata.labels}', 'deploy/patched'), await value('{.spec.template.spec.containers[*].name}', 'deploy/patched')], ['{"tier":"front"}', 'only'])
    await must('patch', 'deploy/patched', '--type=json', '-p', '[{"op":"test","path":"/spec/replicas","value":0},{"op":"add","path":"/metadata/labels/a~1b","value":"c"}]')
    strictEqual(await value('{.metadata.labels}', 'deploy/patched'), '{"a/b":"c","tier":"front"}')
    const [code, text] = await refused(['patch', 'deploy/patched', '--type=json', '-p', '[{"op":"test","path":"/spec/replicas","value":7},{"op":"remove","path":"/metadata/labels"}]'])
    strictEqual(code, 1)
    match(text, /^The request is invalid: the server rejected our request due to an error in our request/)
    strictEqual(await says('patch', 'deploy/patched', '--subresource=scale', '--type=merge', '-p', '{"spec":{"replicas":1}}'), 'scale.autoscaling/patched patched')
    strictEqual(await value('{.spec.replicas}', 'deploy/patched'), '1')
    // Of an object that nobody else writes to: kubectl compares what it read before with what it got.
    const unknown = await cluster.kubectl(['-n', 'shop', 'patch', 'service/web', '-p', '{"spec":{"nosuch":1}}'])
    deepStrictEqual([unknown.code, unknown.stdout, unknown.stderr], [0, 'service/web patched (no change)\n', 'Warning: unknown field "spec.nosuch"\n'])
    const [, immutable] = await refused(['patch', 'deploy/patched', '-p', '{"spec":{"selector":{"matchLabels":{"app":"other"}},"template":{"metadata":{"labels":{"app":"other"}}}}}'])
    match(immutable, /^The Deployment "patched" is invalid: spec\.selector: Invalid value: .*: field is immutable$/)
    await must('delete', 'deploy/patched')
  })

  test('label and annotate set, refuse to overwrite, overwrite and remove', async () => {
    strictEqual(await says('label', 'cm/settings', 'tier=back'), 'configmap/settings labeled')
    deepStrictEqual(await refused(['label', 'cm/settings', 'tier=front']), [1, "error: 'tier' already has a value (back), and --overwrite is false"])
    await must('label', 'cm/settings', 'tier=front', '--overwrite')
    strictEqual(await value('{.metadata.labels.tier}', 'cm/settings'), 'front')
    strictEqual(await says('label', 'cm/settings', 'tier-'), 'configmap/settings unlabeled')
    strictEqual(await says('annotate', 'cm/settings', 'note=one two'), 'configmap/settings annotated')
    strictEqual(await value('{.metadata.annotations.note}', 'cm/settings'), 'one two')
    strictEqual(await says('annotate', 'cm/settings', 'note-'), 'configmap/settings annotated')
    strictEqual((await refused(['label', 'cm/settings', 'bad key=1']))[0], 1)
  })

  test('server-side apply: owners, conflicts, force, and fields given up', async () => {
    const apply = (data: Record<string, string>, ...flags: string[]) => cluster.kubectl(['-n', 'shop', 'apply', '--server-side', ...flags, '-f', '-'], { input: configMap('owned', data) })
    deepStrictEqual((await apply({ a: '1', b: '2' })).stdout, 'configmap/owned serverside-applied\n')
    const conflict = await apply({ a: '9' }, '--field-manager=other')
    strictEqual(conflict.code, 1)
    match(conflict.stderr, /^error: Apply failed with 1 conflict: conflict with "kubectl": \.data\.a\n/)
    strictEqual((await apply({ a: '9', b: '2' }, '--field-manager=other', '--force-conflicts')).code, 0)
    deepStrictEqual(JSON.parse(await value('{.data}', 'cm/owned')), { a: '9', b: '2' })
    // b has two owners: giving it up by one leaves it, giving it up by both removes it.
    await apply({ a: '9' }, '--field-manager=other')
    deepStrictEqual(JSON.parse(await value('{.data}', 'cm/owned')), { a: '9', b: '2' })
    await apply({})
    deepStrictEqual(JSON.parse(await value('{.data}', 'cm/owned')), { a: '9' })
    const managers = JSON.parse(await must('get', 'cm/owned', '-o', 'json', '--show-managed-fields')) as { metadata: { managedFields: { manager: string; operation: string; fieldsV1: unknown }[] } }
    deepStrictEqual(managers.metadata.managedFields.filter((f) => f.manager === 'other').map(({ manager, operation, fieldsV1 }) => ({ manager, operation, fieldsV1 })), [{ manager: 'other', operation: 'Apply', fieldsV1: { 'f:data': { 'f:a': {} } } }])
    strictEqual((await apply({ a: '9' }, '--field-manager=other', '--dry-run=server')).stdout, 'configmap/owned serverside-applied (server dry run)\n')
    // What client-side apply made is taken over without a conflict; what `kubectl set` changed since is not its own any more.
    const takeOver = (...flags: string[]) => cluster.kubectl(['apply', '--server-side', ...flags, '-f', '-'], { input: shopManifest({ namespace: 'shop', greeting: 'goodbye' }) })
    const since = await takeOver()
    strictEqual(since.code, 1)
    match(since.stderr, /^error: Apply failed with 1 conflict: conflict with "kubectl-set" using apps\/v1: \.spec\.template\.spec\.containers\[name="side"\]\.resources\.limits\.memory\n/)
    deepStrictEqual(await takeOver('--force-conflicts').then(({ code, stderr }) => [code, stderr]), [0, ''])
    await must('rollout', 'status', 'deploy/web', '--timeout=60s')
  })

  test('diff shows what apply would change and changes nothing; dry runs neither', async () => {
    const manifest = configMap('plain', { a: '1' })
    await cluster.must(['-n', 'shop', 'apply', '-f', '-'], { input: manifest })
    strictEqual((await cluster.kubectl(['-n', 'shop', 'diff', '-f', '-'], { input: manifest })).code, 0)
    const diff = await cluster.kubectl(['-n', 'shop', 'diff', '-f', '-'], { input: configMap('plain', { a: '2' }) })
    strictEqual(diff.code, 1)
    match(diff.stdout, /^- {2}a: "1"\n\+ {2}a: "2"$/m)
    const serverSide = await cluster.kubectl(['-n', 'shop', 'diff', '--server-side', '--force-conflicts', '-f', '-'], { input: configMap('plain', { a: '2' }) })
    deepStrictEqual([serverSide.code, /^\+ {2}a: "2"$/m.test(serverSide.stdout)], [1, true])
    const changed = configMap('plain', { a: '3' })
    for (const mode of ['server', 'client']) match(await cluster.must(['-n', 'shop', 'apply', `--dry-run=${mode}`, '-f', '-'], { input: changed }), /^configmap\/plain configured \((server )?dry run\)\n$/)
    strictEqual(await value('{.data.a}', 'cm/plain'), '1')
    strictEqual((await cluster.must(['-n', 'shop', 'create', '--dry-run=server', '-f', '-', '-o', 'jsonpath={.metadata.uid}'], { input: configMap('never', {}) })).length, 36)
    strictEqual((await refused(['get', 'cm/never']))[0], 1)
    match(await must('apply', 'view-last-applied', 'cm/plain'), /^data:\n {2}a: "1"\n/m)
  })

  test('apply --prune removes what is no longer in the set', async () => {
    const set = (...names: string[]) => names.map((n) => configMap(n, { a: '1' }, ', labels: {set: p}')).join('---\n')
    const apply = (input: string) => cluster.must(['-n', 'shop', 'apply', '--prune', '-l', 'set=p', '--prune-allowlist=core/v1/ConfigMap', '-f', '-'], { input })
    deepStrictEqual(lines(await apply(set('p1', 'p2'))), ['configmap/p1 created', 'configmap/p2 created'])
    deepStrictEqual(lines(await apply(set('p1'))), ['configmap/p1 unchanged', 'configmap/p2 pruned'])
    strictEqual(await value('{.items[*].metadata.name}', 'cm', '-l', 'set=p'), 'p1')
  })

  test('replace writes the whole object, with --force deletes it first, and refuses an old version', async () => {
    await cluster.must(['-n', 'shop', 'create', '-f', '-'], { input: configMap('whole', { a: '1', b: '2' }) })
    const uid = await value('{.metadata.uid}', 'cm/whole')
    const old = await must('get', 'cm/whole', '-o', 'yaml')
    strictEqual(await cluster.must(['-n', 'shop', 'replace', '-f', '-'], { input: configMap('whole', { c: '3' }) }), 'configmap/whole replaced\n')
    deepStrictEqual([JSON.parse(await value('{.data}', 'cm/whole')), await value('{.metadata.uid}', 'cm/whole')], [{ c: '3' }, uid])
    const [code, text] = await refused(['replace', '-f', '-'], old)
    deepStrictEqual([code, text], [1, 'Error from server (Conflict): error when replacing "STDIN": Operation cannot be fulfilled on configmaps "whole": the object has been modified; please apply your changes to the latest version and try again'])
    await must('replace', '--force', '-f', file('whole.yaml', configMap('whole', { d: '4' })))
    ok((await value('{.metadata.uid}', 'cm/whole')) !== uid)
  })

  test('create makes each kind it has a generator for', async () => {
    mkdirSync(join(cluster.lab.dir, 'conf'), { recursive: true })
    file('conf/one.txt', 'eins\n')
    const pem = { key: file('tls.key', ''), cert: file('tls.crt', '') }
    await cluster.server.must(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', pem.key, '-out', pem.cert, '-subj', '/CN=shop', '-days', '1'])
    for (const [args, answer] of [
      [['namespace', 'gen'], 'namespace/gen created'],
      [['configmap', 'lit', '--from-literal=a=b', `--from-file=${join(cluster.lab.dir, 'conf')}`], 'configmap/lit created'],
      [['secret', 'generic', 'sec', '--from-literal=p=q'], 'secret/sec created'],
      [['secret', 'tls', 'cert', `--cert=${pem.cert}`, `--key=${pem.key}`], 'secret/cert created'],
      [['secret', 'docker-registry', 'pull', '--docker-server=r.example', '--docker-username=u', '--docker-password=p'], 'secret/pull created'],
      [['serviceaccount', 'robot'], 'serviceaccount/robot created'],
      [['role', 'reads', '--verb=get,list', '--resource=pods,pods/log'], 'role.rbac.authorization.k8s.io/reads created'],
      [['rolebinding', 'robot-reads', '--role=reads', '--serviceaccount=shop:robot'], 'rolebinding.rbac.authorization.k8s.io/robot-reads created'],
      [['clusterrole', 'looks', '--verb=get', '--resource=nodes'], 'clusterrole.rbac.authorization.k8s.io/looks created'],
      [['clusterrolebinding', 'robot-looks', '--clusterrole=looks', '--serviceaccount=shop:robot'], 'clusterrolebinding.rbac.authorization.k8s.io/robot-looks created'],
      [['deployment', 'gen', '--image=busybox:1', '--replicas=0'], 'deployment.apps/gen created'],
      [['service', 'clusterip', 'ip', '--tcp=80:8080'], 'service/ip created'],
      [['service', 'nodeport', 'np', '--tcp=80:8080'], 'service/np created'],
      [['service', 'loadbalancer', 'lb', '--tcp=80'], 'service/lb created'],
      [['service', 'externalname', 'ext', '--external-name=example.com'], 'service/ext created'],
      [['job', 'once', '--image=busybox:1', '--', 'true'], 'job.batch/once created'],
      [['cronjob', 'often', '--image=busybox:1', '--schedule=0 0 1 1 *'], 'cronjob.batch/often created'],
      [['ingress', 'door', '--rule=shop.example/*=web:80'], 'ingress.networking.k8s.io/door created'],
      [['poddisruptionbudget', 'some', '--selector=app=none', '--min-available=1'], 'poddisruptionbudget.policy/some created'],
      [['priorityclass', 'high', '--value=1000'], 'priorityclass.scheduling.k8s.io/high created'],
      [['quota', 'limit', '--hard=configmaps=100'], 'resourcequota/limit created'],
    ] as const) {
      strictEqual(await says('create', ...args), answer)
    }
    deepStrictEqual(JSON.parse(await value('{.data}', 'cm/lit')), { a: 'b', 'one.txt': 'eins\n' })
    strictEqual(await value('{.data.p}', 'secret/sec'), Buffer.from('q').toString('base64'))
    strictEqual(await value('{.type}', 'secret/cert'), 'kubernetes.io/tls')
    match(await value('{.spec.ports[0].nodePort}', 'svc/np'), /^3[0-2]\d{3}$/)
    match(await says('create', 'token', 'robot', '--duration=10m'), /^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+$/)
    await must('delete', 'quota/limit', 'svc/ip', 'svc/np', 'svc/lb', 'svc/ext', 'deploy/gen', 'job/once', 'cronjob/often')
    await cluster.must(['delete', 'ns/gen', 'clusterrole/looks', 'clusterrolebinding/robot-looks', 'priorityclass/high'])
  })

  test('run starts a pod, expose gives it a Service that answers', async () => {
    strictEqual(await says('run', 'lone', '--image=busybox:1', '--port=8080', '--labels=run=lone', '--', 'httpd', '-f', '-p', '8080', '-h', '/var/www'), 'pod/lone created')
    await must('wait', 'pod/lone', '--for=condition=Ready', '--timeout=30s')
    strictEqual(await says('expose', 'pod', 'lone', '--port=80', '--target-port=8080', '--name=lone'), 'service/lone exposed')
    const [pod = ''] = await runningPods(cluster, 'shop')
    const fetch = () => cluster.kubectl(['-n', 'shop', 'exec', pod, '-c', 'web', '--', 'wget', '-qO-', 'http://lone'])
    await until('the Service answers', 15_000, async () => (await fetch()).stdout === 'hello from busybox\n')
    strictEqual(await says('expose', 'deploy', 'web', '--name=outside', '--type=NodePort', '--port=80', '--target-port=http'), 'service/outside exposed')
    await must('delete', 'pod/lone', 'svc/lone', 'svc/outside', '--now')
  })

  test('delete leaves, waits for, or follows what an object owns, as asked', async () => {
    const make = (name: string) => must('create', 'deployment', name, '--image=busybox:1', '--replicas=2', '--', 'sh', '-c', 'trap "exit 0" TERM; sleep 1000 & wait')
    const left = async (name: string, kind: string) => (await value('{.items[*].metadata.name}', kind, '-l', `app=${name}`)).split(' ').filter(Boolean).length
    await make('orphaned')
    await must('rollout', 'status', 'deploy/orphaned', '--timeout=30s')
    await must('delete', 'deploy/orphaned', '--cascade=orphan')
    deepStrictEqual([await left('orphaned', 'rs'), await left('orphaned', 'pods')], [1, 2])
    strictEqual(await value('{.items[*].metadata.ownerReferences}', 'rs', '-l', 'app=orphaned'), '')
    // A Deployment of the same template adopts them.
    const pods = await runningPods(cluster, 'shop', 'app=orphaned')
    await make('orphaned')
    await must('rollout', 'status', 'deploy/orphaned', '--timeout=30s')
    deepStrictEqual(await runningPods(cluster, 'shop', 'app=orphaned'), pods)
    await must('delete', 'deploy/orphaned', '--cascade=foreground', '--timeout=40s')
    deepStrictEqual([await left('orphaned', 'rs'), await left('orphaned', 'pods')], [0, 0])
    await make('followed')
    await must('rollout', 'status', 'deploy/followed', '--timeout=30s')
    await must('delete', 'deploy/followed', '--cascade=background')
    await until('its pods follow', 30_000, async () => (await left('followed', 'rs')) + (await left('followed', 'pods')) === 0)
  })

  test('delete gives a pod its time, cuts it short, or does not wait at all', async () => {
    const stubborn = async (name: string) => {
      await must('run', name, '--image=busybox:1', '--restart=Never', '--', 'sh', '-c', 'trap "" TERM; while true; do sleep 1; done')
      await must('wait', `pod/${name}`, '--for=condition=Ready', '--timeout=30s')
    }
    await Promise.all(['slow', 'now', 'forced'].map(stubborn))
    const timed = async (...args: string[]) => {
      const startMs = performance.now()
      await must('delete', ...args)
      return (performance.now() - startMs) / 1000
    }
    const slow = await timed('pod/slow', '--grace-period=3')
    ok(slow >= 3 && slow < 8, `grace of 3 s took ${slow}`)
    const now = await timed('pod/now', '--now')
    ok(now >= 1 && now < 6, `--now took ${now}`)
    const forced = await timed('pod/forced', '--force', '--grace-period=0')
    ok(forced < 3, `--force took ${forced}`)
    strictEqual((await refused(['get', 'pod/forced']))[0], 1)
    deepStrictEqual(await refused(['delete', 'pod/forced']), [1, 'Error from server (NotFound): pods "forced" not found'])
    strictEqual(await says('delete', 'pod/forced', '--ignore-not-found'), '')
    strictEqual(await says('delete', 'cm', '-l', 'set=p'), 'configmap "p1" deleted')
  })

  test('a namespace goes with all that is in it', async () => {
    await openShop(cluster, { namespace: 'gone', replicas: 2, graceSeconds: 1 })
    strictEqual((await cluster.must(['delete', 'namespace', 'gone', '--timeout=60s'])).trim(), 'namespace "gone" deleted')
    strictEqual((await cluster.must(['get', 'all,cm,secret,sa,endpointslices', '-n', 'gone', '--ignore-not-found'])), '')
    const [code, text] = await refused(['create', 'cm', 'x', '--namespace=gone'])
    deepStrictEqual([code, text], [1, 'error: failed to create configmap: namespaces "gone" not found'])
  })
})
