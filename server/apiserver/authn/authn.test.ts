import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose'
import { NODES, PODS, SECRETS, SERVICE_ACCOUNTS } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { seededRandom } from '#base/random.ts'
import { generateKey } from '#base/x509/index.ts'
import { withId } from '../pki/service-account-keys.ts'
import { createAuthenticator } from './authenticator.ts'
import { signJwt } from './jwt.ts'
import { lookupFromClient } from './lookup.ts'
import { createMemoryClient } from './memory-client.test-support.ts'
import { createServiceAccountTokens } from './service-account-tokens.ts'

const ISSUER = 'https://kubernetes.default.svc.cluster.local'
const NOW = Date.UTC(2026, 10, 20)

async function world() {
  const clock = new FakeClock(NOW)
  const client = createMemoryClient(() => clock.nowMs())
  const keys = [withId(await generateKey())]
  const lookup = lookupFromClient(client)
  const tokens = createServiceAccountTokens({ keys, issuer: ISSUER, lookup, clock, random: seededRandom(1) })
  const authenticator = createAuthenticator({
    serviceAccounts: tokens, lookup, clock, joinSecrets: () => [{ user: 'server', secret: 'strong' }, { user: 'node', secret: 'weak' }],
    staticTokens: new Map([['let-me-in', { name: 'admin', groups: ['system:masters', 'system:authenticated'] }]]),
  })
  client.put(NODES, { metadata: { name: 'n1', uid: 'node-uid' } })
  client.put(SERVICE_ACCOUNTS, { metadata: { name: 'default', namespace: 'ns', uid: 'sa-uid' } })
  client.put(PODS, { metadata: { name: 'p', namespace: 'ns', uid: 'pod-uid' }, spec: { nodeName: 'n1', serviceAccountName: 'default', containers: [] } })
  const issue = async (over: Partial<Parameters<typeof tokens.issueToken>[0]> = {}) => {
    const result = await tokens.issueToken({ namespace: 'ns', serviceAccount: 'default', audiences: [], ...over })
    assert.ok(result.ok, JSON.stringify(result))
    return result
  }
  const bearer = (token: string) => authenticator.authenticate({ bearer: token, remoteAddress: '192.0.2.1' })
  return { clock, client, keys, tokens, authenticator, issue, bearer }
}

const POD_REF = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'pod-uid' }
const SA_GROUPS = ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated']

test('a client certificate is a user with its organizations as groups; without a common name it is nobody', async () => {
  const { authenticator } = await world()
  const ask = (commonName: string, organizations: string[]) => authenticator.authenticate({ certificate: { commonName, organizations }, remoteAddress: '' })
  assert.deepStrictEqual(await ask('jane', ['dev', 'ops']), { ok: true, user: { name: 'jane', groups: ['dev', 'ops', 'system:authenticated'] } })
  assert.deepStrictEqual(await ask('', ['system:masters']), { ok: false, why: 'none' })
  assert.deepStrictEqual(await authenticator.authenticate({ remoteAddress: '' }), { ok: false, why: 'none' })
  const withUids = (uids: string[]) => authenticator.authenticate({ certificate: { commonName: 'jane', organizations: [], uids }, remoteAddress: '' })
  assert.deepStrictEqual(await withUids(['u7']), { ok: true, user: { name: 'jane', uid: 'u7', groups: ['system:authenticated'] } })
  assert.deepStrictEqual([await withUids(['a', 'b']), await withUids([''])], [{ ok: false, why: 'invalid', because: 'expected 1 UID, but found multiple: [a b]' }, { ok: false, why: 'invalid', because: 'UID cannot be an empty string' }])
})

test('a pod\'s token names the account, the pod and its node, and any OIDC library verifies it with the published keys', async () => {
  const { issue, bearer, tokens, keys } = await world()
  const { token, expirationTimestamp } = await issue({ boundObjectRef: POD_REF, expirationSeconds: 1200 })
  assert.equal(expirationTimestamp, '2026-11-20T00:20:00Z')
  const { payload } = await jwtVerify(token, createLocalJWKSet(tokens.jwks() as JSONWebKeySet), { issuer: ISSUER, audience: ISSUER, currentDate: new Date(NOW) })
  const { jti, ...claims } = payload
  assert.deepStrictEqual(claims, {
    aud: [ISSUER], exp: NOW / 1000 + 1200, iat: NOW / 1000, iss: ISSUER, nbf: NOW / 1000, sub: 'system:serviceaccount:ns:default',
    'kubernetes.io': { namespace: 'ns', node: { name: 'n1', uid: 'node-uid' }, pod: { name: 'p', uid: 'pod-uid' }, serviceaccount: { name: 'default', uid: 'sa-uid' } },
  })
  assert.deepStrictEqual(decodeProtectedHeader(token), { alg: 'ES256', kid: keys[0]?.kid })
  assert.deepStrictEqual(tokens.openIdConfiguration(), { issuer: ISSUER, jwks_uri: `${ISSUER}/openid/v1/jwks`, response_types_supported: ['id_token'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'] })
  assert.deepStrictEqual(await bearer(token), { ok: true, user: {
    name: 'system:serviceaccount:ns:default', uid: 'sa-uid', groups: SA_GROUPS,
    extra: {
      'authentication.kubernetes.io/credential-id': [`JTI=${jti}`], 'authentication.kubernetes.io/node-name': ['n1'], 'authentication.kubernetes.io/node-uid': ['node-uid'],
      'authentication.kubernetes.io/pod-name': ['p'], 'authentication.kubernetes.io/pod-uid': ['pod-uid'],
    },
  } })
})

test('a token dies with its time, its account, its pod, its secret or its node', async () => {
  const deaths: [string, (w: Awaited<ReturnType<typeof world>>) => void | Promise<void>, string][] = [
    ['Pod', ({ clock }) => clock.advance(3_600_000 + 61_000), 'service account token has expired'],
    ['Pod', ({ clock }) => clock.jumpWall(-120_000), 'service account token is not valid yet'],
    ['Pod', ({ client }) => client.remove(SERVICE_ACCOUNTS, 'default', 'ns'), 'service account ns/default has been deleted'],
    ['Pod', ({ client }) => { client.remove(SERVICE_ACCOUNTS, 'default', 'ns'); client.put(SERVICE_ACCOUNTS, { metadata: { name: 'default', namespace: 'ns', uid: 'other' } }) }, 'service account UID (other) does not match claim (sa-uid)'],
    ['Pod', ({ client }) => client.remove(PODS, 'p', 'ns'), 'service account token has been invalidated'],
    ['Pod', ({ client }) => { client.remove(PODS, 'p', 'ns'); client.put(PODS, { metadata: { name: 'p', namespace: 'ns', uid: 'other' } }) }, 'pod UID (other) does not match service account pod ref claim (pod-uid)'],
    ['Secret', ({ client }) => client.remove(SECRETS, 's', 'ns'), 'service account token has been invalidated'],
    ['Node', ({ client }) => client.remove(NODES, 'n1'), 'service account token has been invalidated'],
  ]
  for (const [kind, kill, because] of deaths) {
    const w = await world()
    w.client.put(SECRETS, { metadata: { name: 's', namespace: 'ns', uid: 'secret-uid' } })
    const name = { Pod: 'p', Secret: 's', Node: 'n1' }[kind] ?? ''
    const { token } = await w.issue({ boundObjectRef: { apiVersion: 'v1', kind, name } })
    assert.equal((await w.bearer(token)).ok, true, kind)
    await kill(w)
    assert.deepStrictEqual(await w.bearer(token), { ok: false, why: 'invalid', because })
  }
})

test('a token for another audience, issuer or key is refused, and so is one that changed or claims another algorithm', async () => {
  const { issue, bearer, authenticator, keys } = await world()
  const because = async (token: string) => {
    const result = await bearer(token)
    return result.ok ? 'ACCEPTED' : result.why === 'none' ? 'NONE' : result.because
  }
  const vault = await issue({ audiences: ['vault'] })
  assert.equal(await because(vault.token), `token audiences ["vault"] is invalid for the target audiences ["${ISSUER}"]`)
  const reviewed = await authenticator.authenticate({ bearer: vault.token, audiences: ['vault', 'x'], remoteAddress: '' })
  assert.deepStrictEqual(reviewed.ok && [reviewed.user.name, reviewed.audiences], ['system:serviceaccount:ns:default', ['vault']])
  const { token } = await issue()
  const [head = '', body = '', signature = ''] = token.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  assert.equal(await because(signJwt({ ...claims, iss: 'https://evil' }, keys[0] as never)), 'issued by somebody else')
  assert.equal(await because(signJwt({ ...claims, sub: 'system:serviceaccount:kube-system:admin' }, keys[0] as never)), 'the claims are not those of a service account')
  assert.equal(await because(signJwt(claims, { ...withId(await generateKey()), kid: keys[0]?.kid ?? '' })), 'the signature is of no key known here')
  assert.equal(await because(signJwt(claims, withId(await generateKey()))), 'the signature is of no key known here')
  assert.equal(await because(`${head}.${encode({ ...claims, exp: 9e9 })}.${signature}`), 'the signature is of no key known here')
  const hmacHead = encode({ alg: 'HS256', kid: keys[0]?.kid })
  assert.equal(await because(`${hmacHead}.${body}.${createHmac('sha256', 'x').update(`${hmacHead}.${body}`).digest('base64url')}`), 'algorithm "HS256" is not accepted')
  assert.equal(await because(`${encode({ alg: 'none' })}.${body}.x`), 'algorithm "none" is not accepted')
  assert.equal(await because('a.b.c'), 'the header is not JSON')
  assert.equal(await because('x'.repeat(20_000)), 'the token is too long')
})

test('TokenRequest refuses as upstream does', async () => {
  const { tokens, client } = await world()
  client.put(PODS, { metadata: { name: 'other', namespace: 'ns', uid: 'u2' }, spec: { serviceAccountName: 'robot', containers: [] } })
  const refused = async (over: object) => {
    const r = await tokens.issueToken({ namespace: 'ns', serviceAccount: 'default', audiences: [], ...over })
    return r.ok ? 'ISSUED' : `${r.code} ${r.reason} ${r.message}`
  }
  assert.deepStrictEqual([
    await refused({ expirationSeconds: 5 }), await refused({ expirationSeconds: 2 ** 33 }), await refused({ serviceAccount: 'gone' }), await refused({ boundObjectRef: { apiVersion: 'v1', kind: 'ConfigMap', name: 'x' } }),
    await refused({ boundObjectRef: { ...POD_REF, name: 'gone' } }), await refused({ boundObjectRef: { ...POD_REF, uid: 'stale' } }), await refused({ boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'other' } }),
  ], [
    '422 Invalid TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes',
    '422 Invalid TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 8589934592: may not specify a duration larger than 2^32 seconds',
    '404 NotFound serviceaccounts "gone" not found', '400 BadRequest cannot bind token to object of type /v1, Kind=ConfigMap', '404 NotFound pods "gone" not found',
    '409 Conflict Operation cannot be fulfilled on Pod "p": the UID in the bound object reference (stale) does not match the UID in record. The object might have been deleted and then recreated',
    '400 BadRequest cannot bind token for serviceaccount "default" to pod running with different serviceaccount name.',
  ])
})

test('an injected volume\'s token of 3607 seconds lives a year, as upstream extends it, but says 3607', async () => {
  const { issue, bearer, clock } = await world()
  const { token, expirationTimestamp } = await issue({ boundObjectRef: POD_REF, expirationSeconds: 3607 })
  assert.equal(expirationTimestamp, '2026-11-20T01:00:07Z')
  await clock.advance(300 * 86_400_000)
  assert.equal((await bearer(token)).ok, true)
})

test('bootstrap tokens let in by their Secret, and only as long as it says so', async () => {
  const { client, bearer } = await world()
  const put = (data: Record<string, string>, type = 'bootstrap.kubernetes.io/token') => client.put(SECRETS, {
    type, metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
    data: Object.fromEntries(Object.entries({ 'token-id': 'abcdef', 'token-secret': '0123456789abcdef', 'usage-bootstrap-authentication': 'true', ...data }).map(([k, v]) => [k, Buffer.from(v).toString('base64')])),
  })
  const ask = async (token = 'abcdef.0123456789abcdef') => {
    const r = await bearer(token)
    return r.ok ? r.user : r.why === 'invalid' ? r.because : r.why
  }
  assert.equal(await ask(), 'bootstrap token abcdef: there is no such token')
  put({})
  assert.deepStrictEqual(await ask(), { name: 'system:bootstrap:abcdef', groups: ['system:bootstrappers', 'system:authenticated'] })
  put({ 'auth-extra-groups': 'system:bootstrappers:skiff:node, system:bootstrappers:x', expiration: '2026-11-20T00:00:01Z' })
  assert.deepStrictEqual(await ask(), { name: 'system:bootstrap:abcdef', groups: ['system:bootstrappers', 'system:bootstrappers:skiff:node', 'system:bootstrappers:x', 'system:authenticated'] })
  assert.equal(await ask('abcdef.0123456789abcdee'), 'bootstrap token abcdef: the secret is wrong')
  put({ expiration: '2026-11-20T00:00:00Z' })
  assert.equal(await ask(), 'bootstrap token abcdef: it has expired')
  put({ expiration: 'soon' })
  assert.equal(await ask(), 'bootstrap token abcdef: it has expired')
  put({ 'usage-bootstrap-authentication': 'false' })
  assert.equal(await ask(), 'bootstrap token abcdef: it is not for authentication')
  put({ 'auth-extra-groups': 'system:masters' })
  assert.equal(await ask(), 'bootstrap token abcdef: group "system:masters" is not allowed')
  put({}, 'Opaque')
  assert.equal(await ask(), 'bootstrap token abcdef: the Secret has type Opaque')
})

test('the cluster\'s own tokens make a joiner, whole, as user and secret, or bare', async () => {
  const { bearer } = await world()
  const node = { ok: true, user: { name: 'system:bootstrap:skiff-node', groups: ['system:bootstrappers', 'system:bootstrappers:skiff:node', 'system:authenticated'] } }
  for (const token of ['weak', 'node:weak', `S10${'a'.repeat(64)}::node:weak`]) assert.deepStrictEqual(await bearer(token), node, token)
  assert.deepStrictEqual(await bearer('server:strong'), { ok: true, user: { name: 'system:bootstrap:skiff-server', groups: ['system:bootstrappers', 'system:bootstrappers:skiff:node', 'system:bootstrappers:skiff:server', 'system:authenticated'] } })
  for (const token of ['server:weak', 'node:strong', 'wea', 'weakk', 'node:', 'a b', 'S10zz']) assert.deepStrictEqual(await bearer(token), { ok: false, why: 'invalid', because: 'no such token' }, token)
  assert.deepStrictEqual(await bearer('let-me-in'), { ok: true, user: { name: 'admin', groups: ['system:masters', 'system:authenticated'] } })
})

test('a token that nobody here knows is asked about elsewhere, a join token never', async () => {
  const { clock, tokens, client } = await world()
  const asked: string[] = []
  const authenticator = createAuthenticator({
    serviceAccounts: tokens, lookup: lookupFromClient(client), clock, joinSecrets: () => [{ user: 'server', secret: 'strong' }],
    tokenWebhook: (token) => {
      asked.push(token)
      return Promise.resolve(token === 'theirs' ? { ok: true, user: { name: 'jane', groups: [] } } : token === 'bad' ? { ok: false, why: 'invalid', because: 'expired' } : { ok: false, why: 'none' })
    },
  })
  const ask = async (bearer: string) => { const answer = await authenticator.authenticate({ bearer, remoteAddress: '' }); return answer.ok ? answer.user.name : 'because' in answer ? answer.because : answer.why }
  assert.deepStrictEqual([await ask('theirs'), await ask('bad'), await ask('unknown')], ['jane', 'expired', 'no such token'])
  await ask(`S10${'a'.repeat(64)}::server:wrong`)
  assert.deepStrictEqual(asked, ['theirs', 'bad', 'unknown'])
})

test('a token kept in a Secret is good while the Secret holds it and the account is the same', async () => {
  const { clock, tokens, client } = await world()
  const used: string[] = []
  const noting = createServiceAccountTokens({ keys: (await world()).keys, issuer: ISSUER, lookup: lookupFromClient(client), clock, random: seededRandom(1), noteLegacyUse: (secret, date) => used.push(`${secret.metadata.name} ${date}`) })
  const token = noting.issueLegacyToken({ namespace: 'ns', serviceAccount: 'default', uid: 'sa-uid', secret: 's' })
  const put = (text: string, labels: Record<string, string> = {}) => client.put(SECRETS, { metadata: { name: 's', namespace: 'ns', labels }, type: 'kubernetes.io/service-account-token', data: { token: Buffer.from(text).toString('base64') } })
  const say = async () => { const verdict = await noting.verify(token); return verdict.ok ? verdict.user : verdict.because }
  const results = [await say()]
  put('another')
  results.push(await say())
  put(token)
  results.push(await say())
  put(token, { 'kubernetes.io/legacy-token-last-used': '2026-11-20' })
  assert.equal((await noting.verify(token, ['somebody-else'])).ok, false)
  await say()
  put(token, { 'kubernetes.io/legacy-token-invalid-since': '2026-11-20' })
  results.push(await say())
  put(token, { 'kubernetes.io/legacy-token-invalid-since': '', 'kubernetes.io/legacy-token-last-used': '2026-11-20' })
  assert.equal((await noting.verify(token)).ok, true, 'the label was emptied')
  const former = noting.issueLegacyToken({ namespace: 'ns', serviceAccount: 'default', uid: 'former', secret: 's' })
  put(former)
  const verdict = await noting.verify(former)
  results.push(verdict.ok ? verdict.user : verdict.because)
  assert.deepStrictEqual(results, [
    'service account token has been invalidated', "service account token does not match server's copy", { name: 'system:serviceaccount:ns:default', uid: 'sa-uid', groups: SA_GROUPS },
    "the token in secret ns/s for service account ns/default has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token",
    'service account UID (sa-uid) does not match claim (former)',
  ])
  assert.deepStrictEqual(used, ['s 2026-11-20', 's 2026-11-20'], 'of who has the right token, valid or not')
  const stranger = await tokens.verify(token)
  assert.deepStrictEqual(stranger, { ok: false, because: 'the signature is of no key known here' })
})

test('the token of a pod whose Node is not there names it all the same, without a uid', async () => {
  const { client, issue, bearer } = await world()
  client.remove(NODES, 'n1')
  const { token } = await issue({ boundObjectRef: POD_REF })
  const answer = await bearer(token)
  assert.deepStrictEqual(answer.ok && Object.entries(answer.user.extra ?? {}).filter(([key]) => key.includes('/node-')), [['authentication.kubernetes.io/node-name', ['n1']]])
})

test('whoever uses a token that was made for an account, as before 1.24, is warned; of one that somebody asked for nobody is', async () => {
  const { clock, client, keys } = await world()
  const tokens = createServiceAccountTokens({ keys, issuer: ISSUER, lookup: lookupFromClient(client), clock, random: seededRandom(1) })
  const warningOf = async (secret: string) => {
    const token = tokens.issueLegacyToken({ namespace: 'ns', serviceAccount: 'default', uid: 'sa-uid', secret })
    client.put(SECRETS, { metadata: { name: secret, namespace: 'ns' }, type: 'kubernetes.io/service-account-token', data: { token: Buffer.from(token).toString('base64') } })
    const verdict = await tokens.verify(token)
    return verdict.ok ? verdict.warning : verdict.because
  }
  client.put(SERVICE_ACCOUNTS, { metadata: { name: 'default', namespace: 'ns', uid: 'sa-uid' }, secrets: [{ name: 'automatic' }] })
  assert.deepStrictEqual([await warningOf('manual'), await warningOf('automatic')], [undefined, 'Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens.'])
})

test('issuers of before are still believed, lives are bounded, and extension can be turned off', async () => {
  const { keys, client, clock } = await world()
  const make = (over: object) => createServiceAccountTokens({ keys, issuer: ISSUER, lookup: lookupFromClient(client), clock, random: seededRandom(2), ...over })
  const ask = (from: ReturnType<typeof make>, expirationSeconds: number) => from.issueToken({ namespace: 'ns', serviceAccount: 'default', audiences: [], expirationSeconds, boundObjectRef: POD_REF })
  const old = await ask(make({}), 3607)
  const now = make({ issuer: 'https://new', formerIssuers: [ISSUER], apiAudiences: ['https://new', ISSUER], expirationSecondsMax: 7200, extendsExpiration: false })
  assert.equal((make({ jwksUri: 'https://keys.example/jwks' }).openIdConfiguration() as { jwks_uri: string }).jwks_uri, 'https://keys.example/jwks')
  const [long, injected] = [await ask(now, 90_000), await ask(now, 3607)]
  assert.ok(old.ok && long.ok && injected.ok)
  const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp: number; iat: number; iss: string }
  const life = (token: string) => claims(token).exp - claims(token).iat
  assert.deepStrictEqual([(await now.verify(old.token)).ok, (await make({}).verify(long.token)), life(old.token), life(long.token), long.expirationSeconds, long.warning, life(injected.token), claims(injected.token).iss], [
    true, { ok: false, because: 'issued by somebody else', isForeign: true }, 31_536_000, 7200, 7200, 'requested expiration of 90000 seconds shortened to 7200 seconds', 3607, 'https://new',
  ])
})
