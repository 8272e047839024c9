/** Who is believed, with the real binary: an OpenID Connect issuer by flags and by AuthenticationConfiguration, an authenticating proxy, keys of service account tokens that are brought along. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { exportJWK, SignJWT } from 'jose'
import { createCertificate, certificatePem, generateKey, parseCertificate, privateKeyPem, NO_ALT_NAMES, type ExtendedKeyUsage, type Issuer } from '#base/x509/index.ts'
import { systemRandom } from '#base/random.ts'
import { until } from '../lab/cluster.ts'
import { OneHost } from './one-host.ts'

const DAY_MS = 86_400_000
const ISSUER = 'https://127.0.0.1:9443'
const CONFIG = (prefix: string) => `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {url: "${ISSUER}", audiences: [skiff, other], audienceMatchPolicy: MatchAny, certificateAuthority: CA}
  claimMappings:
    username: {expression: '"${prefix}" + claims.email'}
    groups: {expression: 'claims.groups.map(g, "team:" + g)'}
    extra: [{key: example.com/tenant, valueExpression: claims.hd}]
  claimValidationRules: [{expression: 'claims.?email_verified.orValue(true) == true', message: the address must be verified}]
  userValidationRules: [{expression: "!user.username.startsWith('${prefix}root')", message: root is not let in}]
`

async function authority(commonName: string): Promise<Issuer> {
  const key = await generateKey()
  const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS }
  return { certificate: parseCertificate(createCertificate({ subject: { commonName, organizations: [] }, ...validity, isCa: true, keyUsages: ['certSign', 'digitalSignature'] }, { key }, { selfSigned: key }, systemRandom)), key }
}

async function leaf(issuer: Issuer, commonName: string, usage: ExtendedKeyUsage): Promise<{ cert: string; key: string }> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName, organizations: [] }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS, keyUsages: ['digitalSignature'], extendedKeyUsages: [usage], altNames: { ...NO_ALT_NAMES, ipAddresses: ['127.0.0.1'] } }, { key }, issuer, systemRandom)
  return { cert: certificatePem(der), key: privateKeyPem(key) }
}

describe('who is believed', { timeout: 600_000 }, () => {
  let lab: OneHost
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const nowSeconds = () => Math.floor(Date.now() / 1000)
  const token = (claims: object = {}, { by = keys.privateKey, lifeSeconds = 600 } = {}) =>
    new SignJWT({ iss: ISSUER, aud: 'skiff', sub: 'u-1', email: 'jane@example.com', email_verified: true, hd: 'example.com', groups: ['dev'], exp: nowSeconds() + lifeSeconds, ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(by)
  const write = (name: string, text: string): string => {
    writeFileSync(lab.path(name), text)
    return lab.path(name)
  }
  interface Answer { code: number; stderr: string; user?: { username?: string; groups?: string[]; extra?: Record<string, string[]> } }
  const whoami = async (name: string, bearer: string): Promise<Answer> => {
    const view = JSON.parse((await lab.kubectl(['config', 'view', '--raw', '-o', 'json'], { name })).stdout) as { clusters: unknown[] }
    const kubeconfig = write('token.json', JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters: view.clusters, users: [{ name: 'u', user: { token: bearer } }], contexts: [{ name: 'c', context: { cluster: (view.clusters[0] as { name: string }).name, user: 'u' } }], 'current-context': 'c' }))
    const { code, stdout, stderr } = await lab.host.run(['kubectl', '--kubeconfig', kubeconfig, 'auth', 'whoami', '-o', 'json'])
    return { code, stderr, ...(code === 0 && { user: (JSON.parse(stdout) as { status: { userInfo: Answer['user'] & object } }).status.userInfo }) }
  }
  const refused = async (name: string, bearer: string) => (await whoami(name, bearer)).stderr.trim().split('\n').at(-1)

  before(async () => {
    lab = await OneHost.create()
    const issuerCa = await authority('issuer-ca')
    const serving = await leaf(issuerCa, 'issuer', 'serverAuth')
    write('issuer-ca.pem', certificatePem(issuerCa.certificate.der))
    write('jwks.json', JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] }))
    const issuer = lab.host.start('issuer', [process.execPath, join(import.meta.dirname, 'token-issuer.ts'), '9443', write('issuer.pem', serving.cert), write('issuer.key', serving.key), lab.path('jwks.json')])
    await until('the issuer listens', 10_000, () => lab.host.log('issuer').includes('listening') || issuer.exitCode !== null)
    const proxyCa = await authority('sso-ca')
    for (const name of ['sso', 'other']) {
      const { cert, key } = await leaf(proxyCa, name, 'clientAuth')
      write(`${name}.pem`, cert)
      write(`${name}.key`, key)
    }
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    lab.start('flags', [
      ...lab.serverFlags('flags'), '--https-listen-port', '7443', '--oidc-issuer-url', ISSUER, '--oidc-client-id', 'skiff', '--oidc-ca-file', lab.path('issuer-ca.pem'), '--oidc-signing-algs', 'ES256',
      '--oidc-username-claim', 'email', '--oidc-groups-claim', 'groups', '--oidc-groups-prefix', 'oidc:', '--oidc-required-claim', 'hd=example.com',
      '--requestheader-client-ca-file', write('sso-ca.pem', certificatePem(proxyCa.certificate.der)), '--requestheader-allowed-names', 'sso', '--requestheader-username-headers', 'X-Sso-User', '--requestheader-group-headers', 'X-Sso-Groups',
      '--service-account-signing-key-file', write('sa.key', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()),
    ])
    write('authentication.yaml', CONFIG('sso:').replace('CA}', `${JSON.stringify(readFileSync(lab.path('issuer-ca.pem'), 'utf8'))}}`))
    lab.start('file', [...lab.serverFlags('file'), '--https-listen-port', '8443', '--authentication-config', lab.path('authentication.yaml')])
    await Promise.all([lab.waitForApi('flags'), lab.waitForApi('file')])
  })
  after(async () => { await lab.lab.destroy() })

  it('an issuer by flags: its tokens name users and groups, for whom roles can be bound', async () => {
    const { user } = await whoami('flags', await token())
    assert.deepEqual([user?.username, user?.groups], ['jane@example.com', ['oidc:dev', 'system:authenticated']])
    await lab.kubectl(['create', 'clusterrole', 'lister', '--verb=list', '--resource=pods'], { name: 'flags' })
    await lab.kubectl(['create', 'clusterrolebinding', 'dev', '--clusterrole=lister', '--group=oidc:dev'], { name: 'flags' })
    const can = async (verb: string) => (await lab.host.run(['kubectl', '--kubeconfig', lab.path('token.json'), 'auth', 'can-i', verb, 'pods'])).stdout.trim()
    assert.deepEqual([await can('list'), await can('delete')], ['yes', 'no'])
  })

  it('tokens that are too old, meant for others, signed by others or lack what is asked for are refused', async () => {
    const refusals = await Promise.all([token({}, { lifeSeconds: -600 }), token({ aud: 'somebody' }), token({}, { by: stranger.privateKey }), token({ hd: 'example.org' }), token({ email_verified: false }), token({ iss: 'https://127.0.0.1:9444' })])
    for (const bearer of refusals) assert.match((await refused('flags', bearer)) ?? '', /You must be logged in to the server|Unauthorized/)
  })

  it('an issuer by file: CEL makes the user, rules refuse some, and changes of the file are followed', async () => {
    const { user } = await whoami('file', await token({ aud: ['other'] }))
    assert.deepEqual([user?.username, user?.groups, user?.extra?.['example.com/tenant']], ['sso:jane@example.com', ['team:dev', 'system:authenticated'], ['example.com']])
    assert.match((await refused('file', await token({ email: 'root@example.com' }))) ?? '', /You must be logged in to the server|Unauthorized/)
    write('authentication.yaml', CONFIG('corp:').replace('CA}', `${JSON.stringify(readFileSync(lab.path('issuer-ca.pem'), 'utf8'))}}`))
    const bearer = await token()
    await until('the changed file is in force', 20_000, async () => (await whoami('file', bearer)).user?.username === 'corp:jane@example.com')
  })

  it('an authenticating proxy speaks for users in the headers it was told, with a certificate of its authority and the right name', async () => {
    const ask = async (name: string, ...headers: string[]) => {
      const { stdout } = await lab.host.run(['curl', '-sk', '--cert', lab.path(`${name}.pem`), '--key', lab.path(`${name}.key`), '-H', 'content-type: application/json', ...headers.flatMap((h) => ['-H', h]), '-d', '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}', 'https://127.0.0.1:7443/apis/authentication.k8s.io/v1/selfsubjectreviews'])
      const answer = JSON.parse(stdout) as { code?: number; status?: { userInfo?: { username: string; groups: string[] } } | string }
      return answer.code ?? (answer.status as { userInfo: { username: string; groups: string[] } }).userInfo
    }
    assert.deepEqual(await ask('sso', 'X-Sso-User: joe', 'X-Sso-Groups: ops', 'X-Remote-User: root'), { username: 'joe', groups: ['ops', 'system:authenticated'] })
    assert.deepEqual([await ask('other', 'X-Sso-User: joe'), await ask('sso', 'X-Remote-User: joe')], [401, 401])
    const published = JSON.parse((await lab.kubectl(['-n', 'kube-system', 'get', 'cm', 'extension-apiserver-authentication', '-o', 'json'], { name: 'flags' })).stdout) as { data: Record<string, string> }
    assert.deepEqual([published.data['requestheader-allowed-names'], published.data['requestheader-username-headers'], published.data['requestheader-client-ca-file']?.split('BEGIN CERTIFICATE').length], ['["sso","system:auth-proxy"]', '["X-Sso-User","X-Remote-User"]', 3])
  })

  it('service account tokens are signed with the key that was brought along, and its public half is published', async () => {
    await lab.kubectl(['create', 'sa', 'robot'], { name: 'flags' })
    const { stdout } = await lab.kubectl(['create', 'token', 'robot'], { name: 'flags' })
    const head = JSON.parse(Buffer.from(stdout.split('.')[0] ?? '', 'base64url').toString()) as { alg: string; kid: string }
    const jwks = JSON.parse((await lab.kubectl(['get', '--raw', '/openid/v1/jwks'], { name: 'flags' })).stdout) as { keys: { kid: string; n?: string; kty: string }[] }
    const own = createPublicKey(readFileSync(lab.path('sa.key'))).export({ format: 'jwk' })
    assert.deepEqual([head.alg, jwks.keys.map((k) => [k.kid, k.kty, k.n])], ['RS256', [[head.kid, 'RSA', own.n]]])
    assert.equal((await whoami('flags', stdout.trim())).user?.username, 'system:serviceaccount:default:robot')
  })
})
