import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog, type Log } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, privateKeyPem } from '#base/x509/index.ts'
import { parseFlags } from './flags.ts'
import { followServingCertificates } from './serving-certificates.ts'
import { SERVER_FLAGS } from './verb-flags.ts'

async function pairOf(commonName: string): Promise<{ cert: string; key: string }> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName, organizations: [] }, notBeforeMs: 0, notAfterMs: 4e12, keyUsages: ['digitalSignature'] }, { key }, { selfSigned: key }, systemRandom)
  return { cert: certificatePem(der), key: privateKeyPem(key) }
}

function world(t: TestContext, tell: (message: string) => void = () => {}) {
  const dir = mkdtempSync(join(tmpdir(), 'serving-certificates-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const log: Log = { ...silentLog, info: tell, error: tell, with: () => log }
  return {
    dir,
    write(name: string, { cert, key }: { cert: string; key: string }) {
      writeFileSync(join(dir, `${name}.crt`), cert)
      writeFileSync(join(dir, `${name}.key`), key)
      return [join(dir, `${name}.crt`), join(dir, `${name}.key`)] as const
    },
    follow: (...argv: string[]) => followServingCertificates(parseFlags('server', SERVER_FLAGS, { argv, env: {}, readConfig: () => ({}) }).values, { clock: systemClock, log }),
  }
}

test('certificates and the names they are for come from files; without flags there are none', async (t) => {
  const w = world(t)
  const [plain, named, other] = [await pairOf('plain'), await pairOf('named'), await pairOf('other')]
  const [cert, key] = w.write('plain', plain)
  assert.equal(w.follow(), undefined)
  const certificates = w.follow('--tls-cert-file', cert, '--tls-private-key-file', key, '--tls-sni-cert-key', `${w.write('named', named).join(',')}:a.org, *.b.org`, '--tls-sni-cert-key', w.write('other', other).join(','))
  t.after(() => certificates?.close())
  assert.deepStrictEqual(certificates?.current(), { fallback: plain, named: [{ ...named, names: ['a.org', '*.b.org'] }, { ...other, names: [] }] })
})

test('changed files are in force once certificate and key fit; until then those before stay', async (t) => {
  const said: PromiseWithResolvers<string>[] = [Promise.withResolvers(), Promise.withResolvers()]
  const left = [...said]
  const w = world(t, (message) => left.shift()?.resolve(message))
  const [first, second] = [await pairOf('first'), await pairOf('second')]
  const certificates = w.follow('--tls-sni-cert-key', w.write('a', first).join(','))
  t.after(() => certificates?.close())
  const heard: unknown[] = []
  certificates?.onChange(() => heard.push(certificates.current().named[0]?.cert))
  w.write('a', { cert: second.cert, key: first.key })
  assert.equal(await said[0]?.promise, 'a changed configuration file is not used; the one before it stays in force')
  assert.deepStrictEqual(certificates?.current().named[0]?.cert, first.cert)
  w.write('a', second)
  assert.equal(await said[1]?.promise, 'a changed configuration file is in force')
  assert.deepStrictEqual(heard, [second.cert])
})

test('files and names that make no sense are refused by the flag', async (t) => {
  const w = world(t)
  const [cert, key] = w.write('a', await pairOf('a'))
  const [, otherKey] = w.write('b', await pairOf('b'))
  for (const [argv, message] of [
    [['--tls-cert-file', cert], '--tls-cert-file: it needs the key of this certificate: pass --tls-private-key-file, too'],
    [['--tls-private-key-file', key], '--tls-private-key-file: it needs the certificate of this key: pass --tls-cert-file, too'],
    [['--tls-cert-file', cert, '--tls-private-key-file', otherKey], /^--tls-cert-file: .*a\.crt, .*b\.key: .*mismatch/],
    [['--tls-sni-cert-key', cert], `--tls-sni-cert-key: ${cert}: expected comma separated certificate and key file paths`],
    [['--tls-sni-cert-key', `${cert},${key}:`], `--tls-sni-cert-key: ${cert},${key}:: empty names list is not allowed`],
    [['--tls-sni-cert-key', `${cert},${key}:a.org,10.0.0.1`], '--tls-sni-cert-key: 10.0.0.1 is an address: whoever connects by address is shown the cluster\'s own certificate; name it with --tls-san'],
    [['--tls-sni-cert-key', '/gone,/gone'], /^--tls-sni-cert-key: \/gone, \/gone: ENOENT/],
  ] as const) assert.throws(() => w.follow(...argv), { code: 'USAGE', message })
})
