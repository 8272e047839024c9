/** Custom resources of the real binary through kubectl: as operators' charts define them, with rules, with a conversion webhook. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { testAuthority, testCertificate } from '#server/apiserver/webhook-client/https-server.test-support.ts'
import { until } from '../lab/cluster.ts'
import { kill } from '../lab/host.ts'
import { OneHost } from './one-host.ts'

const WEBHOOK = join(import.meta.dirname, 'conversion-webhook.ts')
const PORT = 8444

const crd = (plural: string, kind: string, group: string, spec: object, more: object = {}) => ({
  apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: `${plural}.${group}`, ...more },
  spec: { group, scope: 'Namespaced', names: { plural, singular: kind.toLowerCase(), kind }, ...spec },
})
const condition = { type: 'object', required: ['type', 'status'], properties: { type: { type: 'string' }, status: { type: 'string', enum: ['True', 'False', 'Unknown'] }, reason: { type: 'string' }, lastTransitionTime: { type: 'string', format: 'date-time' } } }

/** As cert-manager's: columns that look into conditions, status of its own, short names. */
const CERTIFICATES = crd('certificates', 'Certificate', 'cert.example.com', {
  names: { plural: 'certificates', singular: 'certificate', kind: 'Certificate', shortNames: ['cert', 'certs'], categories: ['certs'] },
  versions: [{
    name: 'v1', served: true, storage: true, subresources: { status: {} }, selectableFields: [{ jsonPath: '.spec.secretName' }],
    additionalPrinterColumns: [
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' }, { name: 'Secret', type: 'string', jsonPath: '.spec.secretName' },
      { name: 'Issuer', type: 'string', jsonPath: '.spec.issuerRef.name', priority: 1 }, { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
    schema: { openAPIV3Schema: {
      description: 'A Certificate resource should be created to ensure an up to date and signed X.509 certificate.', type: 'object',
      properties: {
        spec: {
          description: 'Specification of the desired state of the Certificate resource.', type: 'object', required: ['issuerRef', 'secretName'],
          properties: {
            secretName: { description: 'Name of the Secret resource.', type: 'string' }, duration: { type: 'string', format: 'duration' },
            dnsNames: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } }, revisionHistoryLimit: { type: 'integer', format: 'int32', minimum: 1, default: 1 },
            issuerRef: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, kind: { type: 'string', default: 'Issuer' } } },
            privateKey: { type: 'object', properties: { size: { type: 'integer' }, algorithm: { type: 'string', enum: ['RSA', 'ECDSA', 'Ed25519'] } } },
          },
        },
        status: { type: 'object', properties: { conditions: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'], items: condition } } },
      },
    } },
  }],
})

/** As Gateway API's: rules over lists, a rule that looks at the past. */
const ROUTES = crd('routes', 'Route', 'gateway.example.com', {
  versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec: {
    type: 'object', 'x-kubernetes-validations': [{ rule: '!has(oldSelf.gateway) || self.gateway == oldSelf.gateway', message: 'gateway is immutable', fieldPath: '.gateway' }],
    properties: {
      gateway: { type: 'string', maxLength: 63 },
      rules: { type: 'array', maxItems: 16, items: {
        type: 'object', 'x-kubernetes-validations': [{ rule: 'self.kind != "Service" || has(self.port)', messageExpression: "'Must have port for ' + self.kind + ' reference'" }],
        properties: { kind: { type: 'string', default: 'Service', maxLength: 63 }, name: { type: 'string', maxLength: 253, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }, port: { type: 'integer', minimum: 1, maximum: 65535 } },
      } },
    },
  } } } } }],
})

const door = (name: string, version: string, spec: object) => ({ apiVersion: `doors.example.com/${version}`, kind: 'Door', metadata: { name }, spec })

describe('custom resources', { timeout: 600_000 }, () => {
  let lab: OneHost
  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await lab.kubectl(args)
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const send = (verb: string[], ...objects: object[]) => lab.kubectl([...verb, '-f', '-'], { input: objects.map((o) => JSON.stringify(o)).join('\n') })
  const must = async (verb: string[], ...objects: object[]): Promise<string> => {
    const { code, stdout, stderr } = await send(verb, ...objects)
    assert.equal(code, 0, stderr)
    return stdout
  }
  const refused = async (verb: string[], ...objects: object[]): Promise<string> => {
    const { code, stderr } = await send(verb, ...objects)
    assert.equal(code, 1)
    return stderr
  }
  const define = async (definition: { metadata: { name: string } }) => {
    await must(['create'], definition)
    await kubectl('wait', '--for=condition=Established', `crd/${definition.metadata.name}`, '--timeout=10s')
  }
  const serve = async () => {
    lab.start('server', ['server', ...lab.nodeFlags(), '--write-kubeconfig', lab.path('data.yaml'), '--disable-agent', '--disable', 'scheduler'])
    await lab.waitForApi()
  }
  const certificate = (name: string, spec: object = {}) => ({ apiVersion: 'cert.example.com/v1', kind: 'Certificate', metadata: { name }, spec: { secretName: `${name}-tls`, issuerRef: { name: 'ca' }, ...spec } })

  before(async () => {
    lab = await OneHost.create()
    await serve()
  })
  after(async () => { await lab.lab.destroy() })

  it('are created, printed, explained, changed in every way and deleted', async () => {
    await define(CERTIFICATES)
    await must(['apply'], certificate('web', { dnsNames: ['a.example.com'] }))
    assert.match(await kubectl('get', 'cert'), /^NAME +READY +SECRET +AGE\nweb +web-tls +\d+s\n$/)
    await kubectl('patch', 'cert', 'web', '--subresource=status', '--type=merge', '-p', '{"status":{"conditions":[{"type":"Issuing","status":"False"},{"type":"Ready","status":"True"}]}}')
    assert.match(await kubectl('get', 'certs', '-o', 'wide'), /^NAME +READY +SECRET +ISSUER +AGE\nweb +True +web-tls +ca +\d+s\n$/)
    assert.match(await kubectl('get', 'certs.cert.example.com', '--field-selector', 'spec.secretName=web-tls', '-o', 'name'), /^certificate.cert.example.com\/web\n$/)
    assert.match(await kubectl('explain', 'certificate.spec.secretName'), /FIELD: secretName <string>\n\n\nDESCRIPTION:\n {4}Name of the Secret resource\./)
    await must(['apply'], certificate('web', { dnsNames: ['b.example.com'], duration: '24h' }))
    await kubectl('patch', 'cert', 'web', '--type=json', '-p', '[{"op":"add","path":"/spec/dnsNames/-","value":"c.example.com"}]')
    assert.deepEqual(JSON.parse(await kubectl('get', 'cert', 'web', '-o', 'jsonpath={.spec}')), { dnsNames: ['b.example.com', 'c.example.com'], duration: '24h', issuerRef: { kind: 'Issuer', name: 'ca' }, revisionHistoryLimit: 1, secretName: 'web-tls' })
    await must(['apply', '--server-side', '--field-manager=other'], { ...certificate('web'), spec: { privateKey: { algorithm: 'ECDSA' } } })
    assert.equal(await kubectl('get', 'cert', 'web', '-o', 'jsonpath={.spec.privateKey.algorithm}'), 'ECDSA')
    await kubectl('label', 'cert', 'web', 'seen=yes')
    const edited = await lab.host.run(['env', 'KUBE_EDITOR=sed -i s/24h/48h/', 'kubectl', '--kubeconfig', lab.path('data.yaml'), 'edit', 'cert', 'web'])
    assert.equal(edited.code, 0, edited.stderr)
    assert.equal(await kubectl('get', 'cert', 'web', '-o', 'jsonpath={.spec.duration} {.metadata.labels.seen}'), '48h yes')
    assert.match(await kubectl('get', 'certs', '-A', '-l', 'seen=yes', '--no-headers'), /^default +web/)
    assert.match(await refused(['create'], certificate('bad', { duration: 'long', dnsNames: ['a', 'a'], privateKey: { algorithm: 'DSA' }, revisionHistoryLimit: 0 })), /The Certificate "bad" is invalid: \n\* spec\.duration: Invalid value: "long": spec\.duration in body must be of type duration: "long"\n\* spec\.privateKey\.algorithm: Unsupported value: "DSA": supported values: "RSA", "ECDSA", "Ed25519"\n\* spec\.revisionHistoryLimit: Invalid value: 0: spec\.revisionHistoryLimit in body should be greater than or equal to 1\n\* spec\.dnsNames\[1\]: Duplicate value: "a"/)
    assert.match(await refused(['create'], certificate('bad', { unknown: 1 })), /strict decoding error: unknown field "spec\.unknown"/)
    await kubectl('delete', 'cert', 'web')
    assert.equal(await kubectl('get', 'certs', '-o', 'name'), '')
  })

  it('obey the rules of their schema, also about what they were', async () => {
    await define(ROUTES)
    const route = (spec: object) => ({ apiVersion: 'gateway.example.com/v1', kind: 'Route', metadata: { name: 'r' }, spec })
    assert.equal(await refused(['create'], route({ rules: [{ name: 'a', port: 80 }, { name: 'b' }] })), 'The Route "r" is invalid: spec.rules[1]: Invalid value: Must have port for Service reference\n')
    await must(['apply'], route({ gateway: 'g', rules: [{ name: 'a', port: 80 }] }))
    assert.equal(await refused(['apply'], route({ gateway: 'other', rules: [{ name: 'a', port: 80 }] })), 'The Route "r" is invalid: spec.gateway: Invalid value: gateway is immutable\n')
    const wrong = crd('wrongs', 'Wrong', 'gateway.example.com', { versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.nope == 1' }], properties: { spec: { type: 'object' } } } } }] })
    assert.match(await refused(['create'], wrong), /The CustomResourceDefinition "wrongs\.gateway\.example\.com" is invalid: spec\.validation\.openAPIV3Schema\.x-kubernetes-validations\[0\]\.rule: Invalid value: \{"rule":"self\.nope == 1"\}: compilation failed: ERROR: <input>:1:5: undefined field 'nope'/)
  })

  it('are converted by their webhook, and migrate when they are written', async () => {
    const ca = await testAuthority()
    const directory = lab.path('conversion')
    mkdirSync(directory)
    const { cert, key } = await testCertificate(ca, [], [lab.host.ip])
    for (const [name, text] of [['tls.crt', cert], ['tls.key', key]] as const) writeFileSync(join(directory, name), text)
    lab.host.start('conversion', [process.execPath, WEBHOOK, lab.host.ip, String(PORT), directory])
    await until('the webhook listens', 15_000, () => lab.host.log('conversion').includes('serving'))
    const text = { type: 'string' }
    const versions = (storage: string) => [['v1', { hostPort: text }], ['v2', { host: text, port: text }]].map(([name, properties]) => ({ name, served: true, storage: name === storage, schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } } } }))
    const conversion = { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: `https://${lab.host.ip}:${PORT}/`, caBundle: Buffer.from(ca.pem).toString('base64') } } }
    await define(crd('doors', 'Door', 'doors.example.com', { versions: versions('v1'), conversion }))
    await must(['create'], door('a', 'v1', { hostPort: 'h:1' }), door('b', 'v2', { host: 'k', port: '2' }))
    const specs = async (version: string): Promise<unknown> => JSON.parse(await kubectl('get', `doors.${version}.doors.example.com`, '-o', 'jsonpath=[{.items[0].spec},{.items[1].spec}]'))
    assert.deepEqual([await specs('v1'), await specs('v2')], [[{ hostPort: 'h:1' }, { hostPort: 'k:2' }], [{ host: 'h', port: '1' }, { host: 'k', port: '2' }]])
    await kubectl('patch', 'crd', 'doors.doors.example.com', '--type=json', '-p', JSON.stringify([{ op: 'replace', path: '/spec/versions', value: versions('v2') }]))
    assert.equal(await kubectl('get', 'crd', 'doors.doors.example.com', '-o', 'jsonpath={.status.storedVersions}'), '["v1","v2"]')
    await kubectl('label', 'doors.v2.doors.example.com', 'a', 'touched=yes')
    assert.deepEqual([await specs('v1'), await specs('v2')], [[{ hostPort: 'h:1' }, { hostPort: 'k:2' }], [{ host: 'h', port: '1' }, { host: 'k', port: '2' }]])
    for (const pid of lab.pids(/conversion-webhook/)) kill(pid)
    await kubectl('label', 'doors.v2.doors.example.com', 'a', 'again=yes')
    const { stderr } = await lab.kubectl(['get', '--raw', '/apis/doors.example.com/v1/namespaces/default/doors/a'])
    assert.match(stderr, /conversion webhook for doors\.example\.com\/v2, Kind=Door failed: Post "https:\/\/[\d.]+:8444\/\?timeout=30s": dial tcp/)
  })

  it('go with their namespace, their owner and their definition', async () => {
    await kubectl('create', 'namespace', 'short')
    await must(['create', '-n', 'short'], certificate('x'))
    await kubectl('delete', 'namespace', 'short', '--timeout=20s')
    await must(['create'], certificate('owner'))
    const uid = await kubectl('get', 'cert', 'owner', '-o', 'jsonpath={.metadata.uid}')
    const owned = { ownerReferences: [{ apiVersion: 'cert.example.com/v1', kind: 'Certificate', name: 'owner', uid, controller: true }] }
    await must(['create'], { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owned', ...owned } }, { ...certificate('owned'), metadata: { name: 'owned', ...owned } })
    await kubectl('delete', 'cert', 'owner')
    await until('what it owned is gone', 20_000, async () => (await kubectl('get', 'configmaps,certs', '-o', 'name', '--ignore-not-found')).split('\n').every((line) => !line.endsWith('/owned')))
    await must(['create'], certificate('last'))
    await kubectl('delete', 'crd', 'certificates.cert.example.com', '--timeout=20s')
    assert.match((await lab.kubectl(['get', 'certs'])).stderr, /the server doesn't have a resource type "cert/)
    await define(CERTIFICATES)
    assert.equal(await kubectl('get', 'certs', '-o', 'name'), '')
  })

  it('are served as soon as a server that was killed is ready again', async () => {
    await must(['create'], certificate('stays'))
    for (const pid of lab.pids(/skiff\S* server/)) kill(pid)
    await until('the server is gone', 10_000, () => lab.pids(/skiff\S* server/).length === 0)
    await serve()
    assert.equal(await kubectl('get', 'certs', '-o', 'name'), 'certificate.cert.example.com/stays\n')
    assert.match(await kubectl('get', '--raw', '/readyz?verbose'), /\[\+\]poststarthook\/crd-informer-synced ok/)
  })
})
