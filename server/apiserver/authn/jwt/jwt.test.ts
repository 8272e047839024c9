import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import type { Client } from '#api/client/client.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { systemRandom } from '#base/random.ts'
import { printMetrics } from '#base/metrics.ts'
import type { Authentication } from '../../auth.ts'
import { JwtMetrics } from '../../metrics/jwt-metrics.ts'
import { createDialer, createHttpsPool } from '../../webhook-client/index.ts'
import { httpsServer, type TestServer } from '../../webhook-client/https-server.test-support.ts'
import { parseAuthenticationConfig, type JwtIssuerConfig } from './authentication-config.ts'
import { loadCelTools } from './expressions.ts'
import { createJwtAuthenticator } from './jwt-authenticator.ts'

const open: { close(): unknown }[] = []
after(async () => { for (const one of open) await one.close() })

const NOW = Date.UTC(2026, 10, 20)
const OWN = 'https://kubernetes.default.svc.cluster.local'
const cel = await loadCelTools()

interface Key { kid: string; alg: string; privateKey: CryptoKey; jwk: JWK }

async function key(kid: string, alg = 'RS256'): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

const parse = (jwt: unknown, rest: object = {}) => parseAuthenticationConfig({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration', jwt, ...rest }, cel, [OWN])

function issuersOf(jwt: unknown): readonly JwtIssuerConfig[] {
  const parsed = parse(jwt)
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message)
  return parsed.config.issuers
}

/** A real issuer over HTTPS: discovery and key set. */
async function issuer(keys: Key[], over: { issuer?: string } = {}) {
  const published: { keys: Key[]; claims: Record<string, string> } = { keys, claims: {} }
  const server: TestServer = await httpsServer(({ path, headers }, res) => {
    const claim = published.claims[`${path} ${headers['authorization'] ?? ''}`.trim()]
    if (claim !== undefined) return res.end(claim)
    if (path === '/.well-known/openid-configuration') res.end(JSON.stringify({ issuer: over.issuer ?? url, jwks_uri: `${url}/keys` }))
    else if (path === '/keys') res.end(JSON.stringify({ keys: published.keys.map((k) => k.jwk) }))
    else { res.statusCode = 404; res.end() }
  })
  const url = `https://127.0.0.1:${server.port}`
  open.push(server)
  const entry = (more: object = {}) => ({ issuer: { url, audiences: ['skiff'], certificateAuthority: server.caPem }, claimMappings: { username: { claim: 'sub', prefix: 'oidc:' } }, ...more })
  const sign = (claims: object, { by = keys[0] as Key, kid = by.kid as string | undefined, expiresIn = 3600 } = {}) => new SignJWT({ iss: url, aud: 'skiff', sub: 'jane', exp: NOW / 1000 + expiresIn, ...claims })
    .setProtectedHeader({ alg: by.alg, ...(kid !== undefined && { kid }) }).sign(by.privateKey)
  return { server, url, published, entry, sign, asked: () => server.received.map((r) => r.path) }
}

function authenticator(issuers: readonly JwtIssuerConfig[]) {
  const clock = new FakeClock(NOW)
  const pool = createHttpsPool(createDialer({ client: {} as Client, connector: undefined, clock, random: systemRandom }), clock)
  open.push(pool)
  const metrics = new JwtMetrics({ clock, serverName: 'one' })
  return { clock, metrics, jwt: createJwtAuthenticator({ pool, clock, metrics, issuers, cel }) }
}

const because = (answer: Authentication): string => (answer.ok ? 'OK' : answer.why === 'invalid' ? answer.because : 'none')

test('a token is verified with keys that are fetched once and looked for again when one is unknown', async () => {
  const [first, second] = [await key('one'), await key('two', 'ES256')]
  const { url, entry, sign, asked, published } = await issuer([first])
  const { jwt, clock } = authenticator(issuersOf([entry({ claimMappings: { username: { claim: 'sub', prefix: 'oidc:' }, groups: { claim: 'groups', prefix: 'g:' }, uid: { claim: 'uid' } } })]))
  assert.deepStrictEqual(await jwt.authenticate(await sign({ groups: ['a', 'b'], uid: '7', jti: 'x' })), {
    ok: true, user: { name: 'oidc:jane', uid: '7', groups: ['g:a', 'g:b', 'system:authenticated'], extra: { 'authentication.kubernetes.io/credential-id': ['JTI=x'] } },
  })
  const groupsIn = async (groups: unknown) => { const answer = await jwt.authenticate(await sign({ groups, uid: '7' })); return answer.ok ? answer.user.groups : because(answer) }
  assert.deepStrictEqual([await groupsIn('one'), await groupsIn(''), await groupsIn(null), await groupsIn(['a', null, ''])], [['g:one', 'system:authenticated'], ['g:', 'system:authenticated'], ['system:authenticated'], ['g:a', 'g:', 'system:authenticated']])
  assert.match(String(await groupsIn(['a', 1])), /parse groups claim "groups"/)
  assert.deepStrictEqual(asked(), ['/.well-known/openid-configuration', '/keys'])

  published.keys = [second]
  await clock.advance(60_000)
  assert.equal(because(await jwt.authenticate(await sign({ uid: '7' }, { by: second }))), 'OK')
  assert.equal(because(await jwt.authenticate(await sign({ uid: '7' }, { by: first }))), 'oidc: verify token: failed to verify signature: failed to verify id token signature')
  assert.deepStrictEqual(asked(), ['/.well-known/openid-configuration', '/keys', '/keys'], `a made-up key id right after does not bother ${url}`)
})

test('every algorithm of go-oidc, with and without a key id', async () => {
  const keys = await Promise.all(['RS256', 'PS384', 'ES384', 'ES512', 'RS512'].map((alg) => key(alg, alg)))
  const { entry, sign } = await issuer([...keys, await key('other', 'RS256')])
  const { jwt } = authenticator(issuersOf([entry()]))
  for (const by of keys) assert.deepStrictEqual([because(await jwt.authenticate(await sign({}, { by }))), because(await jwt.authenticate(await sign({}, { by, kid: undefined })))], ['OK', 'OK'], by.alg)
})

test('what is wrong with a token is said in upstream\'s words', async () => {
  const one = await key('one')
  const { entry, sign, url } = await issuer([one])
  const stranger = await key('one')
  const { jwt } = authenticator(issuersOf([entry({ claimValidationRules: [{ claim: 'hd', requiredValue: 'example.com' }, { expression: 'claims.exp - claims.iat <= 3600', message: 'lives too long' }], userValidationRules: [{ expression: "!user.username.startsWith('oidc:system:')", message: 'reserved' }] })]))
  const good = { hd: 'example.com', iat: NOW / 1000 }
  const say = async (claims: object, options?: Parameters<typeof sign>[1]) => because(await jwt.authenticate(await sign({ ...good, ...claims }, options)))
  assert.deepStrictEqual([
    await say({}), await say({ iss: 'https://elsewhere.example' }), await say({ aud: ['x', 'y'] }), await say({}, { expiresIn: -1 }), await say({ nbf: NOW / 1000 + 301 }), await say({ nbf: NOW / 1000 + 299 }),
    await say({}, { by: stranger }), await say({ hd: 'evil.example' }), await say({ hd: undefined }), await say({ iat: NOW / 1000 - 60 }), await say({ iat: undefined }), await say({ sub: 'system:node' }), await say({ sub: 7 }), await say({ sub: undefined }),
    because(await jwt.authenticate('not-a-token')),
  ], [
    'OK', 'none', 'oidc: verify token: oidc: expected audience in ["skiff"] got ["x" "y"]', 'oidc: verify token: oidc: token is expired (Token Expiry: 2026-11-19 23:59:59 +0000 UTC)',
    'oidc: verify token: oidc: current time 2026-11-20 00:00:00 +0000 UTC before the nbf (not before) time: 2026-11-20 00:05:01 +0000 UTC', 'OK',
    'oidc: verify token: failed to verify signature: failed to verify id token signature', 'oidc: required claim hd value does not match. Got = evil.example, want = example.com', 'oidc: required claim hd not present in ID token',
    "oidc: error evaluating claim validation expression: validation expression 'claims.exp - claims.iat <= 3600' failed: lives too long", "oidc: error evaluating claim validation expression: expression 'claims.exp - claims.iat <= 3600' resulted in error: no such key: iat",
    "oidc: error evaluating user info validation rule: validation expression '!user.username.startsWith('oidc:system:')' failed: reserved", 'oidc: parse username claims "sub": it is no string', 'oidc: parse username claims "sub": claim not present',
    'none',
  ])
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ iss: url, aud: 'skiff', sub: 'x', exp: NOW })).toString('base64url')}.e30`
  assert.match(because(await jwt.authenticate(unsigned)), /^oidc: verify token: oidc: malformed jwt: unexpected signature algorithm/)
})

test('groups are fetched from where a token says they are, and believed if they are signed there', async () => {
  const [one, other] = [await key('one'), await key('other')]
  const { url, entry, sign, published, asked } = await issuer([one])
  const { jwt } = authenticator(issuersOf([entry({ claimMappings: { username: { claim: 'sub', prefix: '' }, groups: { claim: 'groups', prefix: '' } } })]))
  published.claims = {
    '/groups': await sign({ groups: ['far'], aud: 'anybody' }), '/secret Bearer t0k': await sign({ groups: 'alone' }), '/none': await sign({}), '/old': await sign({ groups: [] }, { expiresIn: -1 }),
    '/forged': await sign({ groups: ['system:masters'] }, { by: other, kid: 'one' }), '/junk': 'x',
  }
  const at = (path: string, more: object = {}) => ({ _claim_names: { groups: 'src' }, _claim_sources: { src: { endpoint: `${url}${path}`, ...more } } })
  const say = async (claims: object) => { const answer = await jwt.authenticate(await sign(claims)); return answer.ok ? answer.user.groups : because(answer) }
  const failed = 'oidc: could not expand distributed claims: '
  assert.deepStrictEqual([
    await say(at('/groups')), await say(at('/secret', { access_token: 't0k' })), await say({ ...at('/groups'), groups: ['near'] }), await say({ _claim_names: { other: 'src' }, _claim_sources: {} }), await say({ _claim_names: { groups: 'src' }, _claim_sources: { src: { JWT: 'x.y.z' } } }),
    await say({ _claim_names: { groups: 'src' } }), await say({ _claim_names: 7, _claim_sources: {} }), await say({ _claim_names: { groups: 'src' }, _claim_sources: {} }),
    await say(at('/secret')), await say(at('/none')), await say(at('/old')), await say(at('/forged')), await say(at('/junk')),
  ], [
    ['far', 'system:authenticated'], ['alone', 'system:authenticated'], ['near', 'system:authenticated'], ['system:authenticated'], ['system:authenticated'],
    `${failed}oidc: no claim sources`, `${failed}oidc: error parsing distributed claim names: it is no object of strings`, `${failed}id token _claim_names contained a source src missing in _claims_sources`,
    `${failed}while getting distributed claim "groups": Get "${url}/secret": 404: `, `${failed}jwt returned by distributed claim endpoint ${url}/none did not contain claim: groups`,
    `${failed}verify distributed claim token: oidc: token is expired (Token Expiry: 2026-11-19 23:59:59 +0000 UTC)`, `${failed}verify distributed claim token: failed to verify signature: failed to verify id token signature`,
    `${failed}getting untrusted issuer from endpoint failed: malformed token, missing or empty issuer`,
  ])
  assert.equal(asked().filter((path) => path === '/keys').length, 2, 'the keys of who signs claims are fetched once')
})

test('expressions make names, groups, ids and extra fields', async () => {
  const { entry, sign } = await issuer([await key('one')])
  const { jwt } = authenticator(issuersOf([entry({ claimMappings: {
    username: { expression: "claims.email_verified ? claims.email : 'nobody'" }, groups: { expression: "claims.roles.split(',')" }, uid: { expression: "'u-' + claims.sub" },
    extra: [{ key: 'example.com/tenant', valueExpression: 'claims.tenant' }, { key: 'example.com/none', valueExpression: "claims.?none.orValue('')" }],
  } })]))
  assert.deepStrictEqual(await jwt.authenticate(await sign({ email: 'j@x', email_verified: true, roles: 'a,b', tenant: ['t1', 't2'] })), {
    ok: true, user: { name: 'j@x', uid: 'u-jane', groups: ['a', 'b', 'system:authenticated'], extra: { 'example.com/tenant': ['t1', 't2'] } },
  })
  assert.equal(because(await jwt.authenticate(await sign({ email: '', email_verified: true, roles: '' }))), 'oidc: empty username via CEL expression is not allowed')
})

test('an address that is not verified is nobody\'s; an issuer that is somebody else, or away, is not believed', async () => {
  const one = await key('one')
  const real = await issuer([one])
  const liar = await issuer([one], { issuer: 'https://elsewhere.example' })
  const mail = { claimMappings: { username: { claim: 'email', prefix: '' } } }
  const { jwt } = authenticator(issuersOf([real.entry(mail), liar.entry(mail), { ...real.entry(mail), issuer: { url: 'https://127.0.0.1:1', audiences: ['skiff'] } }]))
  assert.deepStrictEqual([
    because(await jwt.authenticate(await real.sign({ email: 'a@x' }))), because(await jwt.authenticate(await real.sign({ email: 'a@x', email_verified: false }))),
    because(await jwt.authenticate(await liar.sign({ email: 'a@x' }))), because(await jwt.authenticate(await real.sign({ iss: 'https://127.0.0.1:1' }))),
  ], [
    'OK', 'oidc: email not verified',
    `oidc: verify token: failed to verify signature: fetching keys oidc: issuer did not match the issuer returned by provider, expected "${liar.url}" got "https://elsewhere.example"`,
    'oidc: verify token: failed to verify signature: fetching keys Get "https://127.0.0.1:1/.well-known/openid-configuration": dial tcp 127.0.0.1:1: connect: connection refused',
  ])
})

test('a discovery document may be elsewhere, and issuers can be replaced', async () => {
  const one = await key('one')
  const real = await issuer([one], { issuer: 'https://public.example' })
  const [config] = issuersOf([real.entry()])
  assert.ok(config)
  const { jwt } = authenticator([{ ...config, url: 'https://public.example', discoveryUrl: `${real.url}/.well-known/openid-configuration` }])
  const token = await real.sign({ iss: 'https://public.example' })
  assert.equal(because(await jwt.authenticate(token)), 'OK')
  await jwt.replace([], cel, new AbortController().signal)
  assert.equal(because(await jwt.authenticate(token)), 'none')
})

test('it is told when the keys of each issuer were fetched, which they are, and how many of its tokens were believed; nothing of one that is gone', async () => {
  const one = await key('one')
  const real = await issuer([one])
  const away = 'https://127.0.0.1:1'
  const [config, other] = issuersOf([real.entry(), { ...real.entry(), issuer: { url: away, audiences: ['skiff'] } }])
  assert.ok(config && other)
  const { jwt, metrics, clock } = authenticator([config, other])
  const told = () => printMetrics(metrics.all()).toString().split('\n').filter((line) => /^[^#]/.test(line) && !/_bucket|_sum/.test(line)).map((line) => line.replace('apiserver_authentication_jwt_authenticator_', '')).sort()
  const sha = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`
  const before = told()
  await jwt.authenticate(await real.sign({}))
  await jwt.authenticate(await real.sign({ aud: 'others' }))
  await clock.advance(5_000)
  await jwt.authenticate(await real.sign({ iss: away }))
  const [server, here, there, set] = [sha('one'), sha(real.url), sha(away), sha(JSON.stringify({ keys: [one.jwk] }))]
  assert.deepStrictEqual([before, told()], [[], [
    `jwks_fetch_last_key_set_info{apiserver_id_hash="${server}",hash="${set}",jwt_issuer_hash="${here}"} 1`,
    `jwks_fetch_last_timestamp_seconds{apiserver_id_hash="${server}",jwt_issuer_hash="${here}",result="success"} ${NOW / 1000}`,
    `latency_seconds_count{jwt_issuer_hash="${here}",result="failure"} 1`, `latency_seconds_count{jwt_issuer_hash="${here}",result="success"} 1`, `latency_seconds_count{jwt_issuer_hash="${there}",result="failure"} 1`,
  ].sort()])
  await jwt.replace([], cel, new AbortController().signal)
  assert.deepStrictEqual(told().filter((line) => line.startsWith('jwks')), [])
})

test('issuers that do not tell their keys within a minute take nobody else\'s place', async () => {
  const one = await key('one')
  const real = await issuer([one])
  const [config] = issuersOf([real.entry()])
  assert.ok(config)
  const { jwt, clock } = authenticator([config])
  const token = await real.sign({})
  const before = because(await jwt.authenticate(token))
  let outcome = ''
  void jwt.replace([{ ...config, discoveryUrl: 'https://127.0.0.1:1/none' }], cel, new AbortController().signal).then(() => { outcome = 'taken' }, (error: unknown) => { outcome = String((error as Error).message) })
  const deadline = systemClock.monotonicMs() + 10_000
  while (outcome === '') {
    assert.ok(systemClock.monotonicMs() < deadline)
    await systemClock.sleep(2)
    if (clock.pending > 0) await clock.advance(10_000)
  }
  assert.match(outcome, /^Get "https:\/\/127\.0\.0\.1:1\/none": /)
  assert.deepStrictEqual([before, because(await jwt.authenticate(token))], ['OK', 'OK'])
  // A server that ends does not wait.
  const stop = new AbortController()
  const waiting = jwt.replace([{ ...config, discoveryUrl: 'https://127.0.0.1:1/none' }], cel, stop.signal)
  stop.abort()
  await assert.rejects(waiting)
})

test('a configuration that is wrong is refused in upstream\'s words', () => {
  const username = { claim: 'sub', prefix: '' }
  const base = { issuer: { url: 'https://a.example', audiences: ['x'] }, claimMappings: { username } }
  const say = (over: object, rest: object = {}) => { const parsed = parse([{ ...base, ...over }], rest); return parsed.ok ? 'OK' : parsed.message }
  const mapping = (claimMappings: object) => say({ claimMappings: { username, ...claimMappings } })
  assert.deepStrictEqual([
    say({}), say({ issuer: { url: 'http://a.example/?q#f', audiences: [] } }), say({ issuer: { url: OWN, audiences: ['x', 'x'] } }), say({ issuer: { url: 'https://a', discoveryURL: 'https://a/', audiences: ['x'], certificateAuthority: 'junk' } }),
    mapping({ username: {} }), mapping({ username: { claim: 'sub' } }), mapping({ username: { expression: 'claims.email' } }), mapping({ username: { expression: 'claims.?email.orValue("") + string(claims.email_verified)' } }), mapping({ username: { claim: 'a', expression: 'b' } }),
    mapping({ extra: [{ key: 'foo', valueExpression: '"a"' }, { key: 'x.k8s.io/Y', valueExpression: '' }] }),
    say({ claimValidationRules: [{ expression: '1 + 1' }, { claim: 'a', message: 'm' }, {}] }), say({ userValidationRules: [{ expression: 'user.nme == "x"' }] }),
    say({}, { anonymous: { enabled: false, conditions: [{ path: '/livez' }] } }), say({ claimMapping: {} }),
  ], [
    'OK',
    '[jwt[0].issuer.url: Invalid value: "http://a.example/?q#f": URL scheme must be https, jwt[0].issuer.url: Invalid value: "http://a.example/?q#f": URL must not contain a query, jwt[0].issuer.url: Invalid value: "http://a.example/?q#f": URL must not contain a fragment, jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required]',
    `[jwt[0].issuer.url: Invalid value: "${OWN}": URL must not overlap with disallowed issuers: [${OWN}], jwt[0].issuer.audiences[1]: Duplicate value: "x", jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences]`,
    '[jwt[0].issuer.discoveryURL: Invalid value: "https://a/": discoveryURL must be different from URL, jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates]',
    'jwt[0].claimMappings.username: Required value: claim or expression is required', 'jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing',
    'jwt[0].claimMappings.username.expression: Invalid value: "claims.email": claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression',
    'OK', 'jwt[0].claimMappings.username: Invalid value: "": claim and expression can\'t both be set',
    '[jwt[0].claimMappings.extra[0].key: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo"), jwt[0].claimMappings.extra[1].key: Invalid value: "x.k8s.io/Y": must be lowercase, jwt[0].claimMappings.extra[1].key: Invalid value: "x.k8s.io/Y": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use, jwt[0].claimMappings.extra[1].valueExpression: Required value]',
    '[jwt[0].claimValidationRules[0].expression: Invalid value: "1 + 1": must evaluate to bool but got int, jwt[0].claimValidationRules[1].message: Invalid value: "m": may not be specified when claim is set, jwt[0].claimValidationRules[2]: Required value: claim or expression is required]',
    'jwt[0].userValidationRules[0].expression: Invalid value: "user.nme == \\"x\\"": compilation failed: ERROR: <input>:1:5: undefined field \'nme\'\n | user.nme == "x"\n | ....^',
    'anonymous.conditions: Invalid value: [{"path":"/livez"}]: enabled should be set to true when conditions are defined', 'strict decoding error: unknown field "jwt[0].claimMapping"',
  ])
})
