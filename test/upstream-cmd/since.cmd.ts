/**
 * What kubectl has learned since the scripts of 1.20, with a kubectl of 1.36 (SKIFF_NEW_KUBECTL): the behaviours that
 * upstream's newer scripts look at, in our own words. Run by scripts/upstream-cmd-test.sh.
 */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CmdServer } from './server.ts'

const KUBECTL = process.env['SKIFF_NEW_KUBECTL']
const BINARY = resolve(process.env['SKIFF_BINARY'] ?? join(import.meta.dirname, '../../dist/skiff'))

interface Said { code: number | null; out: string; err: string }

/** As kubectl would read it from a file; JSON is YAML. */
const text = (...objects: object[]): string => objects.map((o) => JSON.stringify(o)).join('\n---\n')
const configMap = (name: string, labels?: object, data?: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data })

function definition(plural: string, group: string, names: { singular: string; kind: string; shortNames?: string[] }, { scope = 'Namespaced', spec = { test: { type: 'string' } } as object } = {}) {
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: spec } } } }
  return { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: `${plural}.${group}` }, spec: { group, scope, names: { plural, ...names }, versions: [{ name: 'v1', served: true, storage: true, schema }] } }
}

describe('kubectl 1.36', { skip: KUBECTL === undefined ? 'SKIFF_NEW_KUBECTL is not set' : false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'skiff-cmd-'))
  let server: CmdServer

  /** In a namespace of the test's own. Arguments are parted by spaces; one that holds a space has `_` in its place. */
  const inNamespace = (name: string) => {
    const kubeconfig = join(dir, `${name}.kubeconfig`)
    copyFileSync(join(dir, 'kubeconfig'), kubeconfig)
    const run = (args: string, input = '', env: NodeJS.ProcessEnv = {}): Said => {
      const { status, stdout, stderr } = spawnSync(KUBECTL ?? '', args.split(' ').map((a) => a.replaceAll('_', ' ')), { input, encoding: 'utf8', timeout: 60_000, env: { ...process.env, HOME: dir, KUBECONFIG: kubeconfig, ...env } })
      return { code: status, out: stdout, err: stderr }
    }
    const must = (args: string, input = '', env: NodeJS.ProcessEnv = {}): string => {
      const said = run(args, input, env)
      strictEqual(said.code, 0, `kubectl ${args}: ${said.err}${said.out}`)
      return said.out
    }
    must(`config set-context --current --namespace=${name}`)
    must(`create namespace ${name}`)
    return { run, must }
  }

  before(async () => { server = await CmdServer.start(BINARY, dir) })
  after(async () => {
    strictEqual(await server?.stop(), undefined)
    rmSync(dir, { recursive: true, force: true })
  })

  test('names that definitions take do not hide built-in kinds, and short names that two have are told of', () => {
    const { run, must } = inNamespace('names')
    for (const names of [{ singular: 'example', shortNames: ['pod'] }, { singular: 'pod' }]) {
      must('create -f -', text(definition('examples', 'test.com', { kind: 'Example', ...names })))
      must('create -f -', text({ apiVersion: 'test.com/v1', kind: 'Example', metadata: { name: 'one' } }))
      for (let look = 0; look < 2; look++) {
        match(must('get examples'), /^one /m)
        deepStrictEqual(run('get pod'), { code: 0, out: '', err: 'No resources found in names namespace.\n' })
        must('api-resources') // Forgets what it knew.
      }
      must('delete crd examples.test.com')
    }
    must('create -f -', text(definition('foos', 'bar.com', { singular: 'foo', kind: 'Foo', shortNames: ['exmp'] })))
    must('create -f -', text({ apiVersion: 'bar.com/v1', kind: 'Foo', metadata: { name: 'first' } }))
    must('create -f -', text(definition('examples', 'test.com', { singular: 'example', kind: 'Example', shortNames: ['exmp'] })))
    must('api-resources')
    strictEqual(run('get examples').err, 'No resources found in names namespace.\n')
    const both = run('get exmp')
    match(both.out, /^first /m)
    strictEqual(both.err, 'Warning: short name "exmp" could also match lower priority resource examples.test.com\n')
    must('delete crd foos.bar.com examples.test.com')
  })

  test('a definition that is deleted comes back with another scope', () => {
    const { must } = inNamespace('scope')
    const thing = { apiVersion: 'scope.com/v1', kind: 'Thing', metadata: { name: 'x' } }
    strictEqual(must('apply -f -', text(definition('things', 'scope.com', { singular: 'thing', kind: 'Thing' }, { scope: 'Cluster' }))), 'customresourcedefinition.apiextensions.k8s.io/things.scope.com created\n')
    strictEqual(must('apply -f -', text(thing)), 'thing.scope.com/x created\n')
    must('delete crd things.scope.com')
    must('api-resources')
    must('apply -f -', text(definition('things', 'scope.com', { singular: 'thing', kind: 'Thing' })))
    strictEqual(must('apply -f -', text(thing)), 'thing.scope.com/x created\n')
    strictEqual(must('get things -A -o jsonpath={.items[*].metadata.namespace}'), 'scope')
    must('delete crd things.scope.com')
  })

  test('explain knows definitions at once, additional properties, too', () => {
    const { must } = inNamespace('explain')
    must('create -f -', text(definition('mock-resources', 'test.com', { singular: 'mock-resource', kind: 'MockResource' }, {
      spec: { m: { type: 'object', description: 'by name', additionalProperties: { type: 'object', properties: { a: { type: 'string', enum: ['x', 'y'] } } } }, l: { type: 'array', items: { type: 'object', additionalProperties: { type: 'string' } } } },
    })))
    match(must('explain mock-resource'), /^GROUP: +test\.com\nKIND: +MockResource\nVERSION: +v1\n[^]*\nFIELDS:\n/)
    match(must('explain mock-resource.spec --recursive'), /FIELDS:\n {2}l\t<\[\]map\[string\]string>\n {2}m\t<map\[string\]Object>\n {4}a\t<string>\n {4}enum: x, y\n/)
    match(must('explain mock-resource.spec.m.a'), /FIELD: a <string>/)
    match(must('explain mock-resource --output plaintext-openapiv2'), /^KIND: +MockResource\nVERSION: +test\.com\/v1\n/)
    must('delete crd mock-resources.test.com')
  })

  test('events: for whom, of which type, from then on', async () => {
    const { run, must } = inNamespace('events')
    must('create cronjob pi --schedule=59_23_31_2_* --image=perl -- perl')
    must('create -f -', text(definition('cronjobs', 'example.com', { singular: 'cronjob', kind: 'Cronjob' })))
    must('create -f -', text({ apiVersion: 'example.com/v1', kind: 'Cronjob', metadata: { name: 'pi' } }))
    must('wait --for=create cronjob.batch/pi --timeout=10s')
    const told = /Warning +InvalidSchedule +CronJob\/pi +invalid schedule: 59 23 31 2 \* : time difference between two schedules is less than 1 second\n/
    const until = performance.now() + 10_000
    while (!told.test(run('events').out) && performance.now() < until) await new Promise((resolve) => { setTimeout(resolve, 200) })
    for (const args of ['-A', '', '--for=Cronjob/pi', '--for=Cronjob.v1.batch/pi', '--for=Cronjob.batch/pi', '--types=Warning', '--for=Cronjob/pi --watch --request-timeout=1', '--no-headers']) match(run(`events ${args}`.trim()).out, told, args)
    for (const args of ['--for=Cronjob.v1.example.com/pi', '--for=Cronjob/pi --types=Normal']) strictEqual(run(`events ${args}`).err, 'No events found in events namespace.\n', args)
    strictEqual((JSON.parse(must('events --for=Cronjob/pi -o json')) as { items: { reason: string }[] }).items[0]?.reason, 'InvalidSchedule')
    must('delete crd cronjobs.example.com')
  })

  test('auth: who am I, what may I', () => {
    const { must } = inNamespace('auth')
    match(must('auth whoami'), /^ATTRIBUTE +VALUE\nUsername +system:admin\nGroups +\[system:masters system:authenticated\]\n/)
    strictEqual((JSON.parse(must('auth whoami -o json')) as { kind: string }).kind, 'SelfSubjectReview')
    strictEqual(must('auth whoami --as=jane --as-uid=7 --as-group=a,b --as-user-extra=k=v'), 'ATTRIBUTE   VALUE\nUsername    jane\nUID         7\nGroups      [a,b system:authenticated]\nExtra: k    [v]\n')
    match(must('auth can-i --list'), /^Resources +Non-Resource URLs +Resource Names +Verbs\n\*\.\* +\[\] +\[\] +\[\*\]\n +\[\*\] +\[\] +\[\*\]\nselfsubjectreviews\.authentication\.k8s\.io +\[\] +\[\] +\[create\]\n/)
  })

  test('what is unknown in an object is refused, told of, or let pass', () => {
    const { run } = inNamespace('validate')
    const deployment = text({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { baz: 1, foo: 'x', selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i', x: 1 }] } } } })
    const problems = ['spec.baz', 'spec.foo', 'spec.template.spec.containers[0].x'].map((path) => `unknown field "${path}"`)
    for (const verb of ['create', 'apply']) {
      for (const mode of ['true', 'strict']) match(run(`${verb} --dry-run=server --validate=${mode} -f -`, deployment).err, new RegExp(`^Error from server \\(BadRequest\\): .*strict decoding error: ${problems.join(', ').replaceAll(/[[\].]/g, '\\$&')}\n`))
      deepStrictEqual(run(`${verb} --dry-run=server --validate=warn -f -`, deployment), { code: 0, out: 'deployment.apps/d created (server dry run)\n', err: problems.map((p) => `Warning: ${p}\n`).join('') })
      for (const mode of ['ignore', 'false']) deepStrictEqual(run(`${verb} --dry-run=server --validate=${mode} -f -`, deployment), { code: 0, out: 'deployment.apps/d created (server dry run)\n', err: '' })
    }
  })

  test('subresources can be read, patched, edited and applied', () => {
    const { run, must } = inNamespace('subresources')
    must('create deployment d --image=i --replicas=0')
    must('rollout status deployment/d --timeout=20s')
    match(must('get deployment d --subresource=scale'), /^NAME +DESIRED +AVAILABLE +AGE\nd +0 +0 /)
    match(must('get deployment d --subresource=status'), /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nd +0\/0 /)
    strictEqual(must('patch deployment d --subresource=scale --type=merge -p {"spec":{"replicas":2}}'), 'scale.autoscaling/d patched\n')
    strictEqual(must('get deployment d -o jsonpath={.spec.replicas}'), '2')
    must('run e --image=i')
    strictEqual(must('edit pod e --subresource=status', '', { KUBE_EDITOR: 'sed -i "s/phase: Pending/phase: Failed/"' }), 'pod/e edited\n')
    strictEqual(must('get pod e -o jsonpath={.status.phase}'), 'Failed')
    strictEqual(must('apply --server-side --force-conflicts --subresource=status -f -', text({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, status: { observedGeneration: 90 } })), 'deployment.apps/d serverside-applied\n')
    must('run p --image=i')
    match(must('get pod p --subresource=resize'), /^NAME +READY +STATUS +RESTARTS +AGE\np +0\/1 +Pending /)
    for (const [kind, subresource] of [['deployment d', 'nope'], ['pod p', 'scale']] as const) strictEqual(run(`get ${kind} --subresource=${subresource}`).err, 'Error from server (NotFound): the server could not find the requested resource\n')
  })

  test('what is no longer applied is pruned, by label or by set, and diff shows it before', () => {
    const { run, must } = inNamespace('prune')
    must('apply -f -', text(configMap('one', { g: 'x' }), configMap('two', { g: 'x' })))
    const difference = run('diff --prune -l g=x --prune-allowlist=core/v1/ConfigMap -f -', text(configMap('one', { g: 'x' }, { k: 'v' })))
    strictEqual(difference.code, 1)
    deepStrictEqual([/^\+data:\n\+ {2}k: v$/m.test(difference.out), /^- {2}name: two$/m.test(difference.out)], [true, true])
    strictEqual(must('apply --prune -l g=x --prune-allowlist=core/v1/ConfigMap -f -', text(configMap('one', { g: 'x' }))), 'configmap/one unchanged\nconfigmap/two pruned\n')
    const set = { KUBECTL_APPLYSET: 'true' }
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: [{ port: 1 }] } }
    strictEqual(must('apply --prune --applyset=mine -n prune -f -', text(configMap('three'), configMap('four'), service), set), 'configmap/three created\nconfigmap/four created\nservice/s created\n')
    deepStrictEqual(must('apply --prune --applyset=mine -n prune -f -', text(configMap('three')), set).split('\n').toSorted(), ['', 'configmap/four pruned', 'configmap/three unchanged', 'service/s pruned'])
    strictEqual(must('get secret mine -o jsonpath={.metadata.annotations.applyset\\.kubernetes\\.io/contains-group-kinds}'), 'ConfigMap')
  })

  test('wait: for what is to be made, for a field, for what is to go', async () => {
    const { run, must } = inNamespace('wait')
    strictEqual(run('wait --for=create configmap/late --timeout=300ms').err, 'error: timed out waiting for the condition\n')
    must('create configmap late --from-literal=k=v')
    for (const condition of ['create', 'jsonpath={.data.k}=v', 'jsonpath={.data.k}']) strictEqual(must(`wait --for=${condition} configmap/late --timeout=5s`), 'configmap/late condition met\n')
    must('delete configmap late')
    strictEqual(must('wait --for=delete configmap/late --timeout=5s'), '')
    must('create deployment d --image=i --replicas=0')
    strictEqual(must('wait --for=condition=Available=true deployment --all --timeout=20s'), 'deployment.apps/d condition met\n')
  })

  test('debug: every profile, as an ephemeral container and as a copy', () => {
    const { must } = inNamespace('debug')
    must('run t --image=i')
    for (const profile of ['general', 'baseline', 'restricted', 'netadmin', 'sysadmin']) {
      must(`debug t --image=busybox -c dbg-${profile} --profile=${profile} -- true`)
      must(`debug t --image=busybox -c dbg --copy-to=t-${profile} --profile=${profile} -- true`)
    }
    const security = must('get pod t -o jsonpath={range.spec.ephemeralContainers[*]}{.name}={.securityContext}{"\\n"}{end}')
    strictEqual(security, [
      'dbg-general={"capabilities":{"add":["SYS_PTRACE"]}}', 'dbg-baseline=', 'dbg-restricted={"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}',
      'dbg-netadmin={"capabilities":{"add":["NET_ADMIN","NET_RAW"]}}', 'dbg-sysadmin={"privileged":true}', '',
    ].join('\n'))
    must('debug t --copy-to=shared --set-image=*=j --share-processes')
    strictEqual(must('get pod shared -o jsonpath={.spec.containers[*].image},{.spec.shareProcessNamespace}'), 'j,true')
  })

  test('delete asks where it is to ask', () => {
    const { must } = inNamespace('asks')
    must('create configmap a')
    const question = 'You are about to delete the following 1 resource(s):\nconfigmap/a\nDo you want to continue? (y/N): '
    strictEqual(must('delete configmap a --interactive', 'n\n'), `${question}deletion is cancelled\n`)
    strictEqual(must('delete configmap a -i', 'y\n'), `${question}configmap "a" deleted from asks namespace\n`)
  })

  test('kuberc: defaults and aliases of the user\'s own', () => {
    const { run, must } = inNamespace('kuberc')
    const file = join(dir, 'kuberc')
    writeFileSync(file, 'apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n')
    must(`kuberc set --kuberc=${file} --section=defaults --command=apply --option=server-side=true --option=dry-run=server`)
    must(`kuberc set --kuberc=${file} --section=aliases --name=cms --command=get --prependarg=configmaps --option=output=name`)
    strictEqual(must(`apply --kuberc=${file} -f -`, text(configMap('x'))), 'configmap/x serverside-applied (server dry run)\n')
    strictEqual(must(`cms --kuberc=${file}`), 'configmap/kube-root-ca.crt\n')
    match(run('cms').err, /unknown command "cms"/)
  })

  test('every generator of create makes what it says', () => {
    const { must } = inNamespace('create')
    const made = [
      'configmap a --from-literal=x=y', 'secret generic b --from-literal=x=y', 'secret docker-registry c --docker-username=u --docker-password=p', 'service clusterip s1 --tcp=80:80', 'service nodeport s2 --tcp=80', 'service loadbalancer s3 --tcp=80',
      'service externalname s4 --external-name=a.b', 'deployment e --image=nginx --replicas=0 --port=80', 'job f --image=b', 'serviceaccount i', 'role j --verb=get,list --resource=pods,deployments.apps/scale', 'rolebinding k --role=j --serviceaccount=create:i',
      'clusterrole cmd-l --verb=get --non-resource-url=/metrics', 'clusterrole cmd-m --aggregation-rule=a=b', 'clusterrolebinding cmd-n --clusterrole=cmd-l --group=g', 'quota o --hard=configmaps=9', 'poddisruptionbudget p --selector=app=e --min-available=50%',
      'priorityclass cmd-q --value=5', 'ingress r --rule=a.b/c*=s1:80,tls=t --class=x', 'namespace cmd-s',
    ].map((args) => must(`create ${args}`))
    deepStrictEqual(made.filter((line) => !/^[a-z.0-9]+\/[a-z0-9-]+ created\n$/.test(line.replace('.k8s.io', ''))), [])
    strictEqual(must('create token i --duration=10m').split('.').length, 3)
    strictEqual(must('create token i --bound-object-kind=Secret --bound-object-name=b --audience=x').split('.').length, 3)
    ok(must('get all -o name').includes('deployment.apps/e\n'))
  })

  test('api-resources in order, by category and group', () => {
    const { must } = inNamespace('resources')
    const kinds = must('api-resources --sort-by=kind --no-headers').trim().split('\n').map((l) => l.split(/ +/).at(-1) ?? '')
    deepStrictEqual(kinds, kinds.toSorted())
    const names = must('api-resources --sort-by=name --no-headers -o name').trim().split('\n').map((n) => n.split('.')[0] ?? '')
    deepStrictEqual(names, names.toSorted())
    strictEqual(must('api-resources --categories=all -o name'), ['pods', 'replicationcontrollers', 'services', 'daemonsets.apps', 'deployments.apps', 'replicasets.apps', 'statefulsets.apps', 'horizontalpodautoscalers.autoscaling', 'cronjobs.batch', 'jobs.batch', ''].join('\n'))
  })
})
