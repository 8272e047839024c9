/**
 * test/clients/operator, an operator on controller-runtime, against a lab cluster: its caches, webhooks, server-side apply,
 * events, finalizers and leader election, over kills of the server. SKIFF_OPERATOR: that program, built with controller-runtime v0.24.
 */
import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { testAuthority, testCertificate } from '#server/apiserver/webhook-client/https-server.test-support.ts'
import { Cluster } from '../lab/cluster.ts'
import { Program } from '../lab/program.ts'

const OPERATOR = process.env['SKIFF_OPERATOR'] ?? ''
/** A lease that nobody gave back has 15 s; the machine may be busy. */
const LEAD_MS_MAX = 90_000

const integers = { type: 'integer' }
const DEFINITION = {
  apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: 'shops.op.example.com' },
  spec: {
    group: 'op.example.com', scope: 'Namespaced', names: { plural: 'shops', singular: 'shop', kind: 'Shop', listKind: 'ShopList' },
    versions: [{
      name: 'v1', served: true, storage: true, subresources: { status: {} },
      schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { image: { type: 'string' }, replicas: integers } }, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } } },
    }],
  },
}

// By itself controller-runtime speaks protobuf for built-in kinds, save for what it applies.
for (const content of ['', 'application/json']) {
  describe(`an operator that speaks ${content || 'protobuf where it can'}`, { skip: OPERATOR === '' ? 'needs SKIFF_OPERATOR: test/clients/operator, built' : false }, () => {
    let cluster: Cluster
    let certs: string
    const running: Program[] = []

    before(async () => {
      cluster = await Cluster.create({ hosts: 1 })
      certs = join(cluster.server.dir, 'operator')
      mkdirSync(certs)
      const ca = await testAuthority()
      const { cert, key } = await testCertificate(ca, [], ['127.0.0.1'])
      for (const [name, text] of [['tls.crt', cert], ['tls.key', key]] as const) writeFileSync(join(certs, name), text)
      const webhook = (path: string) => ({
        name: `${path}.op.example.com`, sideEffects: 'None', admissionReviewVersions: ['v1'], failurePolicy: 'Fail',
        rules: [{ apiGroups: ['op.example.com'], apiVersions: ['v1'], resources: ['shops'], operations: ['CREATE', 'UPDATE'] }],
        clientConfig: { url: `https://127.0.0.1:9443/${path}`, caBundle: Buffer.from(ca.pem).toString('base64') },
      })
      await apply(DEFINITION)
      await cluster.must(['wait', '--for=condition=Established', 'crd/shops.op.example.com'])
      for (const [kind, path] of [['MutatingWebhookConfiguration', 'defaults'], ['ValidatingWebhookConfiguration', 'refusals']] as const) {
        await apply({ apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name: 'operator' }, webhooks: [webhook(path)] })
      }
      start('first')
      await running[0]?.says('LEADS first', LEAD_MS_MAX)
    })
    after(async () => {
      for (const program of running) await program[Symbol.asyncDispose]()
      await cluster?.destroy()
    })

    function apply(object: object): Promise<string> {
      return cluster.must(['apply', '-f', '-'], { input: JSON.stringify(object) })
    }

    function start(name: string, port = 9443): Program {
      const program = new Program(cluster.server, [OPERATOR, '-config', cluster.server.kubeconfig, '-content', content, '-certs', certs, '-name', name, '-port', String(port)])
      running.push(program)
      return program
    }

    const shop = (name: string, spec: object) => ({ apiVersion: 'op.example.com/v1', kind: 'Shop', metadata: { name, namespace: 'default' }, spec: { image: 'busybox:1', ...spec } })
    const get = (what: string, path: string) => cluster.must(['get', ...what.split(' '), '-o', `jsonpath=${path}`])
    const ready = (name: string, replicas: number) => cluster.must(['wait', `shop/${name}`, `--for=jsonpath={.status.ready}=${replicas}`, '--timeout=55s'])

    test('what it reconciles comes up: defaulted by its webhook, owned, scaled, counted', async () => {
      match((await cluster.must(['create', '-f', '-'], { input: JSON.stringify(shop('one', {})) })), /shop\.op\.example\.com\/one created/)
      await ready('one', 1)
      strictEqual(await get('shop one', '{.spec.replicas} {.metadata.finalizers}'), '1 ["op.example.com/count"]')
      strictEqual(await get('deployment one', '{.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].controller}'), 'Shop true')
      strictEqual(await get('deployment one', '{.metadata.managedFields[?(@.manager=="shop-operator")].operation}'), 'Apply')
      strictEqual(await get('shop one', '{.status.conditions[?(@.type=="Ready")].status}'), 'True')
      await cluster.must(['wait', 'event', '--for=jsonpath={.reason}=AllReady', '--field-selector=involvedObject.name=one,reason=AllReady', '--timeout=30s'])
      strictEqual(await get('events --field-selector=involvedObject.name=one,reason=AllReady', '{.items[0].related.kind} {.items[0].reportingComponent} {.items[0].message}'), 'Deployment shop-operator 1 of 1')
    })

    test('what its webhook refuses is refused, and warned of', async () => {
      const refused = await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(shop('two', { replicas: 9 })) })
      deepStrictEqual([refused.code, refused.stderr.includes('admission webhook "refusals.op.example.com" denied the request: three at most')], [1, true], refused.stderr)
      match((await cluster.kubectl(['apply', '-f', '-', '--dry-run=server'], { input: JSON.stringify(shop('two', {})) })).stderr, /^Warning: shops are checked$/m)
    })

    test('it goes on after the server was killed', async () => {
      await cluster.stop(cluster.server, 'SIGKILL')
      cluster.start(cluster.server)
      await cluster.waitForApi()
      await apply(shop('one', { replicas: 2 }))
      const ended = await Promise.race([running[0]?.exited.then(() => true), ready('one', 2).then(() => false, () => false)])
      // As anywhere: a manager that could not renew its lease in 10 s ends, and is started again.
      if (ended) await start('again').says('LEADS again', LEAD_MS_MAX)
      await ready('one', 2)
      strictEqual(await get('deployment one', '{.spec.replicas}'), '2')
    })

    test('one that cannot renew its lease ends; the next one has it when it has run out, and goes on', async () => {
      const cut = running.at(-1)
      if (!cut) throw new Error('no operator runs')
      await cluster.stop(cluster.server, 'SIGKILL')
      strictEqual(await cut.exited, 1)
      match(cut.output, /^FAILED leader election lost$/m)
      cluster.start(cluster.server)
      await cluster.waitForApi()
      await start('after').says('LEADS after', LEAD_MS_MAX)
      await cluster.must(['scale', 'deployment/one', '--replicas=0'])
      await cluster.must(['wait', 'deployment/one', '--for=jsonpath={.spec.replicas}=2', '--timeout=55s'])
      await ready('one', 2)
    })

    test('one that ends gives its lease back, and the next one leads and goes on', async () => {
      const leading = running.at(-1)
      if (!leading) throw new Error('no operator runs')
      const next = start('next', 9444)
      leading.write('end\n')
      strictEqual(await leading.exited, 0, leading.output)
      await next.says('LEADS next', LEAD_MS_MAX)
      strictEqual(await get('lease shop-operator', '{.spec.leaseTransitions}') !== '0', true)
      await cluster.must(['delete', 'pod', '-l', 'shop=one', '--wait=false'])
      await cluster.must(['wait', 'deployment/one', '--for=condition=Available', '--timeout=55s'])
    })

    test('what is deleted waits for its finalizer, and all it owns goes with it', async () => {
      // Its webhooks are with the one that ended: this one has another port.
      await cluster.must(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'operator'])
      await cluster.must(['delete', 'shop', 'one', '--timeout=55s'])
      match(running.at(-1)?.output ?? '', /^FINAL one$/m)
      await cluster.must(['wait', 'deployment/one', 'configmap/one', '--for=delete', '--timeout=55s'])
    })
  })
}
