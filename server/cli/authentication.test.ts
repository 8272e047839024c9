import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog, type Log } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { toPem } from '#base/x509/index.ts'
import { createServiceAccountTokens } from '../apiserver/authn/service-account-tokens.ts'
import { printMetrics } from '#base/metrics.ts'
import { REQUEST_HEADERS } from '../apiserver/middleware/front-proxy.ts'
import type { SigningKey } from '../apiserver/pki/service-account-keys.ts'
import { authenticationOf } from './authentication.ts'
import { followClientAuthorities } from './client-authorities.ts'
import { authorizationOf } from './authorization.ts'
import { parseFlags } from './flags.ts'
import { requestHeadersOf } from './request-headers.ts'
import { serviceAccountKeys } from './service-account-keys.ts'
import { SERVER_FLAGS } from './verb-flags.ts'

function world(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'authentication-'))
  const told: string[] = []
  const waiting = new Set<() => void>()
  const tell = (message: string) => { told.push(message); for (const wake of waiting) wake() }
  const log: Log = { ...silentLog, info: tell, warn: tell, error: tell, with: () => log }
  const deps = { clock: systemClock, random: systemRandom, log, serverName: 'board' }
  t.after(() => rmSync(dir, { recursive: true }))
  const flags = (...argv: string[]) => parseFlags('server', SERVER_FLAGS, { argv, env: {}, readConfig: () => ({}) }).values
  return {
    dir, told, flags, deps,
    write(name: string, text: string) { writeFileSync(join(dir, name), text); return join(dir, name) },
    authentication: (...argv: string[]) => authenticationOf(flags(...argv), ['https://own'], deps),
    authorization: (...argv: string[]) => authorizationOf(flags(...argv), deps),
    /** Resolves with what is logged next. */
    next: () => new Promise<string>((resolve) => {
      const wake = () => { waiting.delete(wake); resolve(told.at(-1) ?? '') }
      waiting.add(wake)
    }),
  }
}

const config = (rest: string) => `apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n${rest}\n`

test('nobody is anonymous where everybody may do everything, unless a configuration file says otherwise', async (t) => {
  const w = world(t)
  assert.deepStrictEqual((await w.authentication('--authorization-mode', 'RBAC')).anonymous(), { enabled: true, paths: [] })
  assert.deepStrictEqual(w.told, [])
  assert.deepStrictEqual((await w.authentication('--authorization-mode', 'RBAC,AlwaysAllow')).anonymous(), { enabled: false, paths: [] })
  assert.deepStrictEqual(w.told, ['AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. You should use a different authorizer'])
  const path = w.write('a.yaml', config('anonymous: {enabled: true, conditions: [{path: /livez}]}'))
  const authentication = await w.authentication('--authorization-mode', 'AlwaysAllow', '--authentication-config', path)
  t.after(() => authentication.close())
  assert.deepStrictEqual(authentication.anonymous(), { enabled: true, paths: ['/livez'] })
})

test('a changed authentication configuration is taken over; a broken one is not', async (t) => {
  const w = world(t)
  const path = w.write('a.yaml', config('anonymous: {enabled: false}'))
  const authentication = await w.authentication('--authentication-config', path)
  t.after(() => authentication.close())
  assert.deepStrictEqual(authentication.anonymous(), { enabled: false, paths: [] })
  let next = w.next()
  w.write('a.yaml', config('jwt: ['))
  assert.equal(await next, 'a changed configuration file is not used; the one before it stays in force')
  assert.deepStrictEqual(authentication.anonymous(), { enabled: false, paths: [] })
  next = w.next()
  w.write('a.yaml', config('anonymous: {enabled: true, conditions: [{path: /livez}]}'))
  assert.equal(await next, 'a changed configuration file is in force')
  assert.deepStrictEqual(authentication.anonymous(), { enabled: true, paths: ['/livez'] })
  const told = printMetrics(authentication.metrics()).toString()
  assert.deepStrictEqual(['failure', 'success'].map((status) => new RegExp(`^apiserver_authentication_config_controller_automatic_reloads_total\\{apiserver_id_hash="sha256:[0-9a-f]{64}",status="${status}"\\} 1$`, 'm').test(told)), [true, true])
})

test('a changed authorization configuration is taken over; a broken one is not', async (t) => {
  const w = world(t)
  const file = (types: string[]) => `apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers: [${types.map((type) => `{type: ${type}, name: ${type.toLowerCase()}}`).join(', ')}]\n`
  const path = w.write('z.yaml', file(['RBAC', 'Node']))
  const authorization = await w.authorization('--authorization-config', path)
  t.after(() => authorization.close())
  let next = w.next()
  w.write('z.yaml', file(['Nobody']))
  await next
  assert.deepStrictEqual(authorization.authorizers(), ['RBAC', 'Node'])
  next = w.next()
  w.write('z.yaml', file(['Node', 'AlwaysAllow']))
  await next
  assert.deepStrictEqual(authorization.authorizers(), ['Node', 'AlwaysAllow'])
})

test('flags that make no sense together, or name files that make none, are one line each', async (t) => {
  const w = world(t)
  const path = w.write('a.yaml', config('jwt: []'))
  const short = w.write('t.csv', 'token,user\n')
  const no = (made: Promise<unknown>) => made.then(() => 'OK', (error: unknown) => String((error as Error).message).replaceAll(w.dir, 'DIR'))
  assert.deepStrictEqual([
    await no(w.authentication('--authentication-config', path, '--oidc-client-id', 'x')), await no(w.authentication('--oidc-client-id', 'x')), await no(w.authentication('--oidc-client-id', 'x', '--oidc-issuer-url', 'http://x')),
    await no(w.authentication('--oidc-client-id', 'x', '--oidc-issuer-url', 'https://x', '--oidc-signing-algs', 'HS256')), await no(w.authentication('--token-auth-file', short)), await no(w.authentication('--token-auth-file', '/gone')),
    await no(w.authorization('--authorization-mode', 'ABAC')), await no(w.authorization('--authorization-mode', 'Webhook')), await no(w.authorization('--authorization-webhook-config-file', path)), await no(w.authorization('--authorization-config', path, '--authorization-mode', 'RBAC')), await no(w.authorization('--authorization-config', path)),
    await no(Promise.resolve().then(() => followClientAuthorities(w.flags('--client-ca-file', path), w.deps))),
  ], [
    '--authentication-config: authentication-config file and oidc-* flags are mutually exclusive: leave out --oidc-client-id', '--oidc-issuer-url: oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are specified',
    '--oidc-issuer-url: jwt[0].issuer.url: Invalid value: "http://x": URL scheme must be https', '--oidc-signing-algs: oidc: unsupported signing alg: "HS256": use one of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512',
    '--token-auth-file: DIR/t.csv: line 1 must have at least 3 columns (token, user name, user uid)', "--token-auth-file: /gone cannot be read (ENOENT: no such file or directory, open '/gone')",
    '--authorization-mode: authorization-mode "ABAC" is not a valid mode: use AlwaysAllow, AlwaysDeny, Node, RBAC, Webhook', "--authorization-mode: authorization-mode Webhook's authorization config file not passed: pass --authorization-webhook-config-file FILE, too",
    '--authorization-webhook-config-file: cannot specify --authorization-webhook-config-file without mode Webhook: pass --authorization-mode Node,RBAC,Webhook, too', '--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined: leave those out',
    '--authorization-config: DIR/a.yaml: expected AuthorizationConfiguration of apiserver.config.k8s.io/v1, got "AuthenticationConfiguration" of "apiserver.config.k8s.io/v1"',
    '--client-ca-file: DIR/a.yaml holds no certificate: it must be PEM',
  ])
})

test('changed authorities of clients are told once they are in force; a file without a certificate is not', async (t) => {
  const w = world(t)
  const [first, second] = ['x', 'y'].map((der) => toPem('CERTIFICATE', Buffer.from(der)))
  const authorities = followClientAuthorities(w.flags('--client-ca-file', w.write('ca.pem', first ?? '')), w.deps)
  t.after(() => authorities.close())
  const heard: string[] = []
  authorities.onChange(() => heard.push(authorities.clients()))
  assert.deepStrictEqual([authorities.clients(), authorities.proxies()], [first, ''])
  let next = w.next()
  w.write('ca.pem', 'none')
  assert.equal(await next, 'a changed configuration file is not used; the one before it stays in force')
  assert.equal(authorities.clients(), first)
  next = w.next()
  w.write('ca.pem', second ?? '')
  assert.equal(await next, 'a changed configuration file is in force')
  assert.deepStrictEqual([heard, authorities.clients()], [[second], second])
})

test('static tokens are users with groups', async (t) => {
  const w = world(t)
  const { staticTokens } = await w.authentication('--token-auth-file', w.write('t.csv', 'a,jane,7,"dev,ops"\n\nb,joe,,\nc,kim,9\n'))
  assert.deepStrictEqual([...staticTokens], [['a', { name: 'jane', uid: '7', groups: ['dev', 'ops', 'system:authenticated'] }], ['b', { name: 'joe', groups: ['system:authenticated'] }], ['c', { name: 'kim', uid: '9', groups: ['system:authenticated'] }]])
})

test('keys of service account tokens come from files: RSA signs, public ones only check', async (t) => {
  const w = world(t)
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs1', format: 'pem' } })
  const ec = generateKeyPairSync('ec', { namedCurve: 'secp384r1', publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'sec1', format: 'pem' } })
  const { signs, verifies } = serviceAccountKeys(w.flags('--service-account-signing-key-file', w.write('rsa.key', rsa.privateKey), '--service-account-key-file', w.write('both.pub', rsa.publicKey + ec.publicKey)))
  const ecSigns = serviceAccountKeys(w.flags('--service-account-signing-key-file', w.write('ec.key', ec.privateKey))).signs
  assert.ok(signs && ecSigns)
  assert.deepStrictEqual(verifies.map(({ kid, key }) => [kid, key.type]), [[signs.kid, 'public'], [ecSigns.kid, 'public']])
  const lookup = { get: () => Promise.resolve({ metadata: { name: 'a', uid: 'u', namespace: 'n' } } as never) }
  const world2 = (keys: readonly SigningKey[]) => createServiceAccountTokens({ keys, issuer: 'https://own', lookup, clock: systemClock, random: systemRandom })
  for (const [key, alg] of [[signs, 'RS256'], [ecSigns, 'ES384']] as const) {
    const made = await world2([key]).issueToken({ namespace: 'n', serviceAccount: 'a', audiences: [] })
    assert.ok(made.ok)
    assert.deepStrictEqual(JSON.parse(Buffer.from(made.token.split('.')[0] ?? '', 'base64url').toString()), { alg, kid: key.kid })
    assert.deepStrictEqual([(await world2(verifies).verify(made.token)).ok, (await world2(verifies.filter(({ kid }) => kid !== key.kid)).verify(made.token)).ok], [true, false])
  }
  const { keys } = world2(verifies).jwks() as { keys: Record<string, string>[] }
  assert.deepStrictEqual(keys.map(({ kid, kty, alg, use, crv, e }) => ({ kid, kty, alg, use, crv, e })), [{ kid: signs.kid, kty: 'RSA', alg: 'RS256', use: 'sig', crv: undefined, e: 'AQAB' }, { kid: ecSigns.kid, kty: 'EC', alg: 'ES384', use: 'sig', crv: 'P-384', e: undefined }])
  assert.throws(() => serviceAccountKeys(w.flags('--service-account-signing-key-file', w.write('x.key', rsa.publicKey))), { code: 'USAGE', message: /^--service-account-signing-key-file: .*x.key holds no private RSA or ECDSA key: it must be PEM$/ })
})

test('authenticating proxies: their authority, names and headers', (t) => {
  const w = world(t)
  const of = (...argv: string[]) => requestHeadersOf(w.flags(...argv))
  const pem = toPem('CERTIFICATE', Buffer.from('x'))
  const ca = w.write('proxy.pem', pem)
  assert.deepStrictEqual(of(), REQUEST_HEADERS)
  assert.deepStrictEqual(of('--requestheader-client-ca-file', ca), { ...REQUEST_HEADERS, allowedNames: [], uidHeaders: [] })
  assert.deepStrictEqual(of('--requestheader-client-ca-file', ca, '--requestheader-allowed-names', 'a,b', '--requestheader-username-headers', 'X-User', '--requestheader-extra-headers-prefix', 'X-More-'), { ...REQUEST_HEADERS, allowedNames: ['a', 'b'], userHeaders: ['x-user'], uidHeaders: [], extraPrefixes: ['x-more-'] })
  assert.throws(() => of('--requestheader-allowed-names', 'a'), { code: 'USAGE', message: /^--requestheader-allowed-names: no proxy is believed without an authority/ })
  assert.throws(() => of('--requestheader-client-ca-file', ca, '--requestheader-group-headers', 'a b'), { code: 'USAGE', message: /^--requestheader-group-headers: "a b" is not the name of a header$/ })
})
