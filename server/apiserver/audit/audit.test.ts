/** What is noted of which request: a table of policies, and events as they come out. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { harness } from '../app.test-support.ts'
import { createAuditor, type AuditBackend } from './auditor.ts'
import { legacyLine, type AuditEvent } from './event.ts'
import { createLogBackend } from './log-backend.ts'
import { decideAudit, parsePolicy, type AuditPolicy, type AuditedRequest } from './policy.ts'
import { createWebhookBackend } from './webhook-backend.ts'
import { createWebhookSender } from './webhook-sender.ts'
import { httpsServer } from '../webhook-client/https-server.test-support.ts'

const policyOf = (value: object): AuditPolicy => {
  const parsed = parsePolicy({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', ...value })
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message)
  return parsed.policy
}
const silent = createLog({ format: 'text', level: 'error', nowMs: () => 0, write: () => {} })

describe('the policy', () => {
  const alice = { name: 'alice', groups: ['dev', 'system:authenticated'] }
  const pod: AuditedRequest = { user: alice, verb: 'get', path: '/api/v1/namespaces/shop/pods/web', resource: { group: '', resource: 'pods', subresource: '', namespace: 'shop', name: 'web' } }
  const log: AuditedRequest = { ...pod, resource: { ...pod.resource as object, subresource: 'log' } as AuditedRequest['resource'] & object }
  const health: AuditedRequest = { user: alice, verb: 'get', path: '/healthz' }
  // Rule (always with level Metadata), then which of the three it wants.
  for (const [rule, wanted] of [
    [{}, ['pod', 'log', 'health']],
    [{ users: ['bob'] }, []], [{ users: ['alice'] }, ['pod', 'log', 'health']], [{ userGroups: ['ops', 'dev'] }, ['pod', 'log', 'health']],
    [{ verbs: ['list'] }, []], [{ verbs: ['get'] }, ['pod', 'log', 'health']],
    [{ namespaces: ['shop'] }, ['pod', 'log']], [{ namespaces: [''] }, []],
    [{ nonResourceURLs: ['/healthz'] }, ['health']], [{ nonResourceURLs: ['/health*'] }, ['health']], [{ nonResourceURLs: ['*'] }, ['health']], [{ nonResourceURLs: ['/metrics'] }, []],
    [{ resources: [{ group: 'apps' }] }, []], [{ resources: [{ group: '' }] }, ['pod', 'log']], [{ resources: [{ group: '*', resources: ['pods'] }] }, ['pod']], [{ resources: [{ group: '*', resources: ['deployments'] }] }, []],
    [{ resources: [{ resources: ['pods'] }] }, ['pod']], [{ resources: [{ resources: ['pods/log'] }] }, ['log']], [{ resources: [{ resources: ['pods/*'] }] }, ['pod', 'log']], [{ resources: [{ resources: ['*/log'] }] }, ['log']], [{ resources: [{ resources: ['*'] }] }, ['pod', 'log']],
    [{ resources: [{ resources: ['pods'], resourceNames: ['web'] }] }, ['pod']], [{ resources: [{ resources: ['pods'], resourceNames: ['db'] }] }, []],
    [{ users: ['alice'], verbs: ['get'], namespaces: ['shop'], resources: [{ resources: ['pods'] }] }, ['pod']],
  ] as const) it(`${JSON.stringify(rule)} means ${wanted.join(', ') || 'none of them'}`, () => {
    const policy = policyOf({ rules: [{ level: 'Metadata', ...rule }] })
    assert.deepEqual(Object.entries({ pod, log, health }).filter(([, request]) => decideAudit(policy, request).level === 'Metadata').map(([name]) => name), wanted)
  })
  it('the first rule that matches decides; stages left out add up; omitManagedFields of the rule wins', () => {
    const policy = policyOf({ omitStages: ['RequestReceived'], omitManagedFields: true, rules: [{ level: 'None', users: ['bob'] }, { level: 'Request', omitStages: ['Panic'], omitManagedFields: false }, { level: 'Metadata' }] })
    assert.deepEqual(decideAudit(policy, { ...pod, user: { name: 'bob', groups: [] } }).level, 'None')
    assert.deepEqual(decideAudit(policy, pod), { level: 'Request', omitStages: new Set(['RequestReceived', 'Panic']), omitManagedFields: false })
  })
  for (const [value, says] of [
    [{ rules: [] }, 'loaded illegal policy with 0 rules'], [{ rules: [{}] }, 'rules[0].level: Required value'],
    [{ rules: [{ level: 'All' }] }, 'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request", "RequestResponse"'],
    [{ rules: [{ level: 'None', user: ['a'] }] }, 'rules[0]: unknown field "user"'], [{ rules: [{ level: 'None', verbs: 'get' }] }, 'rules[0].verbs: must be a list of texts'],
    [{ rules: [{ level: 'None', nonResourceURLs: ['healthz'] }] }, 'rules[0].nonResourceURLs[0]: Invalid value: "healthz": non-resource URL rules must begin with a \'/\' character'],
    [{ rules: [{ level: 'None', nonResourceURLs: ['/a*b'] }] }, 'rules[0].nonResourceURLs[0]: Invalid value: "/a*b": non-resource URL wildcards \'*\' must be the final character of the path'],
    [{ rules: [{ level: 'None', nonResourceURLs: ['/a'], namespaces: ['b'] }] }, 'rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular resources and non-resource URLs'],
    [{ rules: [{ level: 'None', resources: [{ resourceNames: ['a'] }] }] }, 'rules[0].resources[0].resourceNames: Invalid value: ["a"]: using resourceNames requires at least one resource'],
    [{ rules: [{ level: 'None' }], omitStages: ['Later'] }, 'omitStages[0]: Invalid value: "Later": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic'],
  ] as const) it(`is refused: ${says}`, () => assert.deepEqual(parsePolicy({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', ...value }), { ok: false, message: says }))
})

/** A server that notes as `rules` say; `events` come without what changes from run to run. */
function audited(...rules: object[]) {
  const events: AuditEvent[] = []
  const clock = new FakeClock()
  const backend: AuditBackend = { write: (event) => events.push(structuredClone(event)) > 0, close: async () => {} }
  const auditor = createAuditor({ policy: policyOf({ rules }), backends: [backend], clock })
  const h = harness({ auditor })
  return { ...h, auditor, events, take: () => events.splice(0) }
}

const CMS = '/api/v1/namespaces/shop/configmaps'
const ALICE = { 'impersonate-user': 'alice', 'user-agent': 'kubectl/v1', 'audit-id': 'id-1' }

describe('events', () => {
  it('Metadata: who did what to what, and how it ended; nothing of the objects', async () => {
    const h = audited({ level: 'Metadata' })
    const answer = await h.call('POST', CMS, { metadata: { name: 'a' }, data: { password: 'hush' } }, { 'user-agent': 'kubectl/v1', 'audit-id': 'id-1', 'x-forwarded-for': '10.1.1.1, nonsense' })
    assert.deepEqual([answer.status, answer.headers['audit-id']], [201, 'id-1'])
    const events = h.take()
    assert.equal(JSON.stringify(events).includes('hush'), false)
    const common = {
      kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', auditID: 'id-1', requestURI: CMS, verb: 'create', user: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
      sourceIPs: ['10.1.1.1', '127.0.0.1'], userAgent: 'kubectl/v1', requestReceivedTimestamp: '2026-01-01T00:00:00.000000Z', stageTimestamp: '2026-01-01T00:00:00.000000Z',
    }
    assert.deepEqual(events, [
      { ...common, stage: 'RequestReceived', objectRef: { resource: 'configmaps', namespace: 'shop', apiVersion: 'v1', name: 'a' } },
      {
        ...common, stage: 'ResponseComplete', objectRef: { resource: 'configmaps', namespace: 'shop', apiVersion: 'v1', name: 'a' }, responseStatus: { metadata: {}, code: 201 },
        annotations: { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': '' },
      },
    ].map((e) => (e.stage === 'RequestReceived' ? { ...e, objectRef: { resource: 'configmaps', namespace: 'shop', apiVersion: 'v1' } } : e)))
  })

  it('Request: with what was sent; RequestResponse: with what was answered', async () => {
    const h = audited({ level: 'Request', verbs: ['create'] }, { level: 'RequestResponse', omitManagedFields: true })
    await h.call('POST', CMS, { metadata: { name: 'a' }, data: { k: 'v' } })
    const [, created] = h.take()
    assert.deepEqual([created?.requestObject, created?.responseObject], [{ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'a' }, data: { k: 'v' } }, undefined])
    await h.call('PATCH', `${CMS}/a`, { data: { k: 'w' } }, { 'content-type': 'application/merge-patch+json' })
    const [, patched] = h.take()
    assert.deepEqual(patched?.requestObject, { data: { k: 'w' } })
    const { data, metadata } = (patched as AuditEvent).responseObject as { data: object; metadata: { managedFields?: unknown } }
    assert.deepEqual([data, metadata.managedFields], [{ k: 'w' }, undefined])
    await h.call('DELETE', `${CMS}/a`, { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' })
    const [, deleted] = h.take()
    assert.deepEqual((deleted as AuditEvent).requestObject, { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' })
    assert.equal((deleted as AuditEvent).responseStatus?.['status'], 'Success')
  })

  it('at level Metadata, too, a deletion says what became of it, and a list of one name is about that object', async () => {
    const h = audited({ level: 'Metadata', omitStages: ['RequestReceived'] })
    await h.call('POST', CMS, { metadata: { name: 'a' } })
    await h.call('GET', `${CMS}?fieldSelector=metadata.name%3Da`)
    await h.call('DELETE', `${CMS}/a`)
    const [, listed, deleted] = h.take()
    const { status, details } = (deleted as AuditEvent).responseStatus as { status: string; details: { name: string; kind: string } }
    assert.deepEqual([listed?.objectRef?.name, status, details.name, details.kind], ['a', 'Success', 'a', 'configmaps'])
  })

  it('a refusal says why, an impersonator is told from the impersonated', async () => {
    const h = audited({ level: 'Metadata', omitStages: ['RequestReceived'] })
    await h.call('GET', `${CMS}/none`, undefined, ALICE)
    const [event] = h.take()
    assert.deepEqual([event?.user.username, event?.impersonatedUser], ['admin', { username: 'alice', groups: ['system:authenticated'] }])
    assert.deepEqual([event?.responseStatus?.['code'], event?.responseStatus?.['reason'], event?.annotations?.['authorization.k8s.io/decision']], [403, 'Forbidden', 'forbid'])
    await h.call('GET', `${CMS}/none`)
    assert.deepEqual(h.take()[0]?.responseStatus, { metadata: {}, status: 'Failure', message: 'configmaps "none" not found', reason: 'NotFound', details: { name: 'none', kind: 'configmaps' }, code: 404 })
  })

  it('of who may not ask the body is not read', async () => {
    const h = audited({ level: 'Request', omitStages: ['RequestReceived'] })
    assert.equal((await h.call('POST', CMS, { metadata: { name: 'a' } }, ALICE)).status, 403)
    assert.deepEqual(h.take().map((e) => [e.impersonatedUser?.username, e.requestObject]), [['alice', undefined]])
  })

  it('health checks and the version are noted with who asked', async () => {
    const h = audited({ level: 'Metadata', omitStages: ['RequestReceived'] })
    for (const path of ['/healthz', '/version']) await h.call('GET', path)
    assert.deepEqual(h.take().map((e) => [e.requestURI, e.verb, e.user.username, e.responseStatus?.['code']]), [['/healthz', 'get', 'admin', 200], ['/version', 'get', 'admin', 200]])
  })

  it('a method that is no verb has none', async () => {
    const h = audited({ level: 'Metadata', omitStages: ['RequestReceived'] })
    await h.call('OPTIONS', CMS)
    await h.call('OPTIONS', '/metrics')
    assert.deepEqual(h.take().map((e) => e.verb), ['', 'options'])
  })

  it('wrong credentials are noted without a user', async () => {
    const h = audited({ level: 'Metadata' })
    await h.call('GET', CMS, undefined, { authorization: 'Bearer wrong' })
    assert.deepEqual(h.take().map((e) => [e.stage, e.user, e.responseStatus]), [['ResponseStarted', {}, { metadata: {}, status: 'Failure', message: 'Unauthorized', reason: 'Unauthorized', code: 401 }]])
  })

  it('a watch is noted when it begins and when it ends', async () => {
    const h = audited({ level: 'Metadata' })
    const watch = await h.watch(`${CMS}?watch=1`)
    assert.deepEqual(h.take().map((e) => [e.stage, e.verb]), [['RequestReceived', 'watch'], ['ResponseStarted', 'watch']])
    watch.stop()
    await watch.ended
    assert.deepEqual(h.take().map((e) => e.stage), ['ResponseComplete'])
  })

  it('annotations of admission follow the level they are meant for', async () => {
    const plugin = { name: 'Test', validate: async (_: unknown, api: { annotate(k: string, v: string, l?: 'Metadata' | 'Request'): void }) => {
      api.annotate('a.example.com/x', '1')
      api.annotate('a.example.com/x', '2')
      api.annotate('b.example.com/y', '3', 'Request')
      return undefined
    } }
    for (const [level, expected] of [['Metadata', { 'a.example.com/x': '1' }], ['Request', { 'a.example.com/x': '1', 'b.example.com/y': '3' }]] as const) {
      const events: AuditEvent[] = []
      const h = harness({ admission: [plugin], auditor: createAuditor({ policy: policyOf({ rules: [{ level }] }), backends: [{ write: (e) => events.push(e) > 0, close: async () => {} }], clock: new FakeClock() }) })
      await h.call('POST', CMS, { metadata: { name: 'a' } })
      const { 'authorization.k8s.io/decision': _d, 'authorization.k8s.io/reason': _r, ...rest } = events.at(-1)?.annotations ?? {}
      assert.deepEqual(rest, expected)
    }
  })

  it('a token that is given out is told by its id, never by itself', async () => {
    const events: AuditEvent[] = []
    const h = harness({
      issueToken: async () => ({ ok: true, token: 'secret', id: 'id-1', expirationTimestamp: '2026-01-01T01:00:00Z', audiences: [], expirationSeconds: 3600 }),
      auditor: createAuditor({ policy: policyOf({ rules: [{ level: 'Metadata' }] }), backends: [{ write: (e) => events.push(e) > 0, close: async () => {} }], clock: new FakeClock() }),
    })
    await h.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 's' } })
    assert.equal((await h.call('POST', '/api/v1/namespaces/default/serviceaccounts/s/token', { spec: { audiences: ['x'] } })).status, 201)
    assert.equal(events.at(-1)?.annotations?.['authentication.kubernetes.io/issued-credential-id'], 'JTI=id-1')
    assert.equal(JSON.stringify(events).includes('secret'), false)
  })

  it('a body that nests too deep is refused and not printed', async () => {
    const h = audited({ level: 'RequestResponse' })
    const answer = await h.call('POST', CMS, Buffer.from(`{"data":${'['.repeat(20_000)}${']'.repeat(20_000)}}`))
    assert.equal(answer.status, 400)
    assert.equal(h.take().at(-1)?.requestObject, undefined)
  })

  it('the legacy line', async () => {
    const h = audited({ level: 'Metadata', omitStages: ['RequestReceived'] })
    await h.call('GET', CMS, undefined, { 'audit-id': 'id-1', 'user-agent': 'curl' })
    assert.equal(legacyLine(h.take()[0] as AuditEvent), '2026-01-01T00:00:00.000000Z AUDIT: id="id-1" stage="ResponseComplete" ip="127.0.0.1" method="list" user="admin" groups="system:masters","system:authenticated" as="<self>" asgroups="<lookup>" user-agent="curl" namespace="shop" uri="/api/v1/namespaces/shop/configmaps" response="200"\n')
  })
})

const event = (n: number): AuditEvent => ({ kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', auditID: `id-${n}`, stage: 'ResponseComplete', requestURI: '/', verb: 'get', user: {}, requestReceivedTimestamp: '', stageTimestamp: '' })

describe('the log', () => {
  const inDirectory = async (run: (directory: string) => Promise<void>) => {
    const directory = mkdtempSync(join(tmpdir(), 'skiff-audit-'))
    try {
      await run(directory)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
  it('gathers lines and writes them together, readable by its owner alone', () => inDirectory(async (directory) => {
    const clock = new FakeClock()
    const path = join(directory, 'logs', 'audit.log')
    const backend = createLogBackend({ path, format: 'json', maxAgeDays: 0, maxBackups: 0, maxSizeBytes: 1_000_000, compress: false, clock, log: silent })
    backend.write(event(1))
    backend.write(event(2))
    assert.throws(() => statSync(path), { code: 'ENOENT' })
    await clock.advance(1_000)
    await backend.close()
    assert.deepEqual(readFileSync(path, 'utf8').trim().split('\n').map((l) => (JSON.parse(l) as AuditEvent).auditID), ['id-1', 'id-2'])
    assert.equal(statSync(path).mode & 0o777, 0o600)
  }))
  it('is rotated by size; backups go by number and by age, and are compressed when asked', () => inDirectory(async (directory) => {
    const clock = new FakeClock()
    const path = join(directory, 'audit.log')
    const backend = createLogBackend({ path, format: 'json', maxAgeDays: 2, maxBackups: 2, maxSizeBytes: 300, compress: true, clock, log: silent })
    const write = async (n: number) => {
      backend.write(event(n))
      await clock.advance(1_000)
      await backend.close()
    }
    for (let n = 1; n <= 5; n++) await write(n)
    const backups = readdirSync(directory).filter((f) => f !== 'audit.log').sort()
    assert.deepEqual(backups.map((f) => /^audit-2026-01-01T00-00-0\d\.000\.log\.gz$/.test(f)), [true, true])
    assert.match(gunzipSync(readFileSync(join(directory, backups[1] ?? ''))).toString(), /"auditID":"id-4"/)
    await clock.advance(3 * 86_400_000)
    await write(6)
    assert.equal(readdirSync(directory).length, 2)
  }))
  it('does not grow without bound when the disk does not follow', () => {
    const backend = createLogBackend({ path: '/dev/null/audit.log', format: 'json', maxAgeDays: 0, maxBackups: 0, maxSizeBytes: 1, compress: false, clock: new FakeClock(), log: silent })
    const big = { ...event(1), requestObject: 'x'.repeat(1_000_000) }
    assert.equal(Array.from({ length: 12 }, () => backend.write(big)).includes(false), true)
  })
  it('goes to standard output as -', async () => {
    const written: string[] = []
    const backend = createLogBackend({ path: '-', format: 'json', maxAgeDays: 0, maxBackups: 0, maxSizeBytes: 1, compress: false, clock: new FakeClock(), log: silent, writeOut: (t) => written.push(t) })
    backend.write(event(7))
    await backend.close()
    assert.match(written.join(''), /^\{"kind":"Event".*"id-7".*\}\n$/)
  })
})

describe('the webhook', () => {
  it('gets batches, tries again, and drops what has no room', async () => {
    const clock = new FakeClock()
    const sent: string[][] = []
    const failures = { left: 1 }
    const backend = createWebhookBackend({
      clock, log: silent, limits: { bufferSize: 5, maxSize: 3, maxWaitMs: 30_000, attempts: 2, backoffMs: 1_000 },
      send: async (body) => {
        if (failures.left-- > 0) throw new Error('not now')
        sent.push((JSON.parse(body.toString()) as { items: AuditEvent[] }).items.map((e) => e.auditID))
      },
    })
    assert.deepEqual(Array.from({ length: 9 }, (_, n) => backend.write(event(n))), [true, true, true, true, true, true, true, true, false])
    await clock.advance(1_000)
    assert.deepEqual(sent, [['id-0', 'id-1', 'id-2'], ['id-3', 'id-4', 'id-5'], ['id-6', 'id-7']])
    backend.write(event(9))
    await clock.advance(30_000)
    assert.deepEqual(sent.at(-1), ['id-9'])
    await backend.close()
  })
  it('gets no more batches at once, and a second, than it may', async () => {
    const clock = new FakeClock()
    const start = clock.nowMs()
    const sent: number[] = []
    const backend = createWebhookBackend({ clock, log: silent, limits: { maxSize: 1, throttle: { perSecond: 2, burst: 3 } }, send: () => { sent.push(clock.nowMs() - start); return Promise.resolve() } })
    for (let n = 0; n < 6; n++) backend.write(event(n))
    await clock.advance(2_000)
    assert.deepEqual(sent, [0, 0, 0, 500, 1_000, 1_500])
    await backend.close()
  })
})

describe('what sends to the webhook', () => {
  it('posts over one TLS connection that it trusts, says who it is, and takes only 2xx for an answer', async () => {
    const codes = { next: 200 }
    const server = await httpsServer((_, res) => { res.writeHead(codes.next).end() })
    const send = createWebhookSender({ url: `https://127.0.0.1:${server.port}/audit?x=1`, ca: server.caPem, bearer: 'tok' })
    const { signal } = new AbortController()
    await send(Buffer.from('{"kind":"EventList"}'), signal)
    await send(Buffer.from('{}'), signal)
    assert.deepEqual([server.connections(), server.received.map((r) => [r.method, r.path, r.headers.authorization, r.body])], [1, [['POST', '/audit?x=1', 'Bearer tok', '{"kind":"EventList"}'], ['POST', '/audit?x=1', 'Bearer tok', '{}']]])
    codes.next = 503
    await assert.rejects(send(Buffer.from('{}'), signal), { code: 'WEBHOOK_FAILED', message: `POST https://127.0.0.1:${server.port}/audit?x=1: it answered 503` })
    await assert.rejects(createWebhookSender({ url: `https://127.0.0.1:${server.port}/` })(Buffer.from('{}'), signal), { code: 'WEBHOOK_FAILED' })
    await server.close()
  })
  it('posts without TLS where the kubeconfig says http', async () => {
    const received: string[] = []
    const server = createServer((req, res) => { req.setEncoding('utf8').on('data', (text: string) => received.push(`${req.method} ${req.url} ${text}`)).on('end', () => res.end()) })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    await createWebhookSender({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/audit` })(Buffer.from('{}'), new AbortController().signal)
    assert.deepEqual(received, ['POST /audit {}'])
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
})
