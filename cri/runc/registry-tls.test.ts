/** Debian's docker-registry with TLS, its own CA, client certificates and passwords: what registries.yaml says of it is what is done. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom, systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, NO_ALT_NAMES, parseCertificate, privateKeyPem, type Issuer } from '#base/x509/index.ts'
import { buildImage, type BuiltImage } from '#test/images/build-image.ts'
import { pushImage, startRegistry, type TestRegistry } from '#test/images/registry.ts'
import { FakeNetwork, unpackCommand } from '#test/images/runtime-machine.ts'
import { EmbeddedImageService } from './image-service.ts'
import { parseRegistries } from './parse-registries.ts'

const missing = process.getuid?.() !== 0 ? 'needs root: layers keep their owners' : spawnSync('docker-registry', ['--version']).error ? 'docker-registry is not installed' : false

describe('registries with TLS', { skip: missing }, () => {
  const root = mkdtempSync(join(tmpdir(), 'skiff-tls-'))
  const path = (name: string) => join(root, name)
  let image: BuiltImage
  let plainTls: TestRegistry
  let mutual: TestRegistry
  let dirs = 0

  before(async () => {
    const random = seededRandom(5)
    const year = { notBeforeMs: Date.now() - 3_600_000, notAfterMs: Date.now() + 86_400_000 }
    const caKey = await generateKey()
    const ca = createCertificate({ subject: { commonName: 'test ca', organizations: [] }, ...year, isCa: true, keyUsages: ['certSign', 'digitalSignature'], extendedKeyUsages: [], altNames: NO_ALT_NAMES }, { key: caKey }, { selfSigned: caKey }, random)
    const issuer: Issuer = { certificate: parseCertificate(ca), key: caKey }
    writeFileSync(path('ca.pem'), certificatePem(ca))
    for (const [name, usage, ips] of [['server', 'serverAuth', ['127.0.0.1']], ['client', 'clientAuth', []]] as const) {
      const key = await generateKey()
      const der = createCertificate({ subject: { commonName: name, organizations: [] }, ...year, isCa: false, keyUsages: ['digitalSignature'], extendedKeyUsages: [usage], altNames: { ...NO_ALT_NAMES, ipAddresses: [...ips] } }, { key }, issuer, random)
      writeFileSync(path(`${name}.pem`), certificatePem(der))
      writeFileSync(path(`${name}.key`), privateKeyPem(key), { mode: 0o600 })
    }
    image = await buildImage(path('image'), { layers: [[{ name: 'a', content: 'one' }]], config: { Cmd: ['a'] } })
    const plain = await startRegistry({ dir: path('registry') })
    await pushImage(image, { host: plain.host, repository: 'library/app', tag: '1' })
    await plain.stop()
    const server = { certificate: path('server.pem'), key: path('server.key') }
    plainTls = await startRegistry({ dir: path('registry'), tls: server })
    mutual = await startRegistry({ dir: path('registry'), tls: { ...server, clientCa: path('ca.pem') } })
  })
  after(async () => {
    await plainTls.stop()
    await mutual.stop()
    rmSync(root, { recursive: true, force: true })
  })

  const pull = async (ref: string, file: unknown) => {
    const images = new EmbeddedImageService({ dataDir: path(`data-${++dirs}`), network: new FakeNetwork(), clock: systemClock, random: systemRandom, log: silentLog, selfCommand: unpackCommand, pullStallMs: 3_000, registries: parseRegistries(file) }, () => [])
    await images.open()
    return (await images.pullImage(ref, {})).id
  }
  const mirror = (registry: TestRegistry, tls: object) => ({ mirrors: { 'docker.io': { endpoint: [`https://${registry.host}`] } }, configs: { [registry.host]: { tls } } })

  test('its own CA is trusted when it is named, and not otherwise', async () => {
    assert.equal(await pull(`${plainTls.host}/library/app:1`, { configs: { [plainTls.host]: { tls: { ca_file: path('ca.pem') } } } }), image.configDigest)
    await assert.rejects(pull(`${plainTls.host}/library/app:1`, { configs: { [plainTls.host]: { tls: {} } } }), (error: Error) => /failed to do request: .*(certificate|self-signed|issuer)/i.test(error.message))
  })

  test('insecure_skip_verify takes any certificate', async () => {
    assert.equal(await pull('app:1', { mirrors: { '*': { endpoint: [`https://${plainTls.host}`] } }, configs: { '*': { tls: { insecure_skip_verify: true } } } }), image.configDigest)
  })

  test('a client certificate is shown where it is asked for; without it, or with files that are not there, the pull says why', async () => {
    const certificate = { ca_file: path('ca.pem'), cert_file: path('client.pem'), key_file: path('client.key') }
    assert.equal(await pull(`${mutual.host}/library/app:1`, mirror(mutual, certificate)), image.configDigest)
    await assert.rejects(pull(`${mutual.host}/library/app:1`, mirror(mutual, { ca_file: path('ca.pem') })), (error: Error) => /failed to do request: .*(certificate|alert)/i.test(error.message))
    await assert.rejects(pull(`${mutual.host}/library/app:1`, mirror(mutual, { ca_file: path('none.pem') })), (error: Error) => error.message.includes(`registries.yaml: cannot read ${path('none.pem')} for ${mutual.host}: ENOENT`))
  })

  test('rewrites change what a mirror is asked for', async () => {
    const file = mirror(plainTls, { ca_file: path('ca.pem') })
    assert.equal(await pull('somewhere.example/team/app:1', { ...file, mirrors: { 'somewhere.example': { endpoint: [`https://${plainTls.host}`], rewrite: { '^team/(.*)': 'library/$1' } } } }), image.configDigest)
  })
})
