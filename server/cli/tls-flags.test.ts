import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, getCiphers } from 'node:tls'
import { test } from 'node:test'
import { served } from '../apiserver/http-server.test-support.ts'
import { parseFlags } from './flags.ts'
import { knowsAes, tlsChoiceOf } from './tls-flags.ts'
import { SERVER_FLAGS } from './verb-flags.ts'

const choiceOn = (hasAes: boolean, ...argv: string[]) => tlsChoiceOf(parseFlags('server', SERVER_FLAGS, { argv, env: {}, readConfig: () => ({}) }).values, hasAes)
const choice = (...argv: string[]) => choiceOn(true, ...argv)

test('TLS is chosen by the names that kube-apiserver has; key exchanges in any order', () => {
  assert.deepStrictEqual(choice(), { minVersion: 'TLSv1.2' })
  assert.deepStrictEqual(choice('--tls-min-version=VersionTLS13', '--tls-curve-preferences=23,29,4588'), { minVersion: 'TLSv1.3', ecdhCurve: 'X25519MLKEM768:X25519:P-256' })
  const given = ['TLS_AES_128_GCM_SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'TLS_RSA_WITH_AES_256_CBC_SHA']
  const { ciphers = '' } = choice(`--tls-cipher-suites=${given.join(',')}`)
  assert.equal(ciphers, 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:AES256-SHA')
  const known = new Set(getCiphers().map((name) => name.toUpperCase()))
  assert.deepStrictEqual(ciphers.split(':').filter((name) => !known.has(name)), [])
})

test('what TLS does not have is refused in upstream\'s words', () => {
  for (const [flag, message] of [
    ['--tls-cipher-suites=TLS_ECDHE_RSA_WITH_RC4_128_SHA', "--tls-cipher-suites: Cipher suite TLS_ECDHE_RSA_WITH_RC4_128_SHA not supported or doesn't exist"], ['--tls-cipher-suites=TLS_RSA_WITH_CHACHA20_POLY1305', "--tls-cipher-suites: Cipher suite TLS_RSA_WITH_CHACHA20_POLY1305 not supported or doesn't exist"],
    ['--tls-curve-preferences=0', '--tls-curve-preferences: curve preference 0 is out of range (must be 1-65535)'], ['--tls-curve-preferences=29,29', '--tls-curve-preferences: duplicate curve preference 29'], ['--tls-curve-preferences=99', '--tls-curve-preferences: curve preference 99 is not supported'],
  ] as const) assert.throws(() => choice(flag), { code: 'USAGE', message })
  assert.throws(() => choice('--tls-min-version=VersionTLS10'), { code: 'USAGE' })
})

test('processors say whether they know AES', () => {
  const [pi4, pi5, pc] = ['processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n', 'processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n', 'flags\t\t: fpu vme sse4_2 aes avx\nvmx flags\t: vnmi\n']
  assert.deepStrictEqual([pi4, pi5, pc, `${pi5}\n${pi4}`, 'processor\t: 0\nhart\t: 1\n', 'Features\t: vaes128\n'].map(knowsAes), [false, true, true, false, true, false])
})

test('where a processor does not know AES, ChaCha20 is taken before it, whatever the client would like best', async () => {
  assert.equal(choiceOn(false, '--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256').ciphers, 'TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES128-GCM-SHA256')
  for (const [hasAes, older, newer] of [[true, 'ECDHE-ECDSA-AES128-GCM-SHA256', 'TLS_AES_256_GCM_SHA384'], [false, 'ECDHE-ECDSA-CHACHA20-POLY1305', 'TLS_CHACHA20_POLY1305_SHA256']] as const) {
    const { http, port, ca } = await served({}, {}, { tlsChoice: choiceOn(hasAes) })
    const taken = await Promise.all((['TLSv1.2', 'TLSv1.3'] as const).map(async (maxVersion) => {
      const socket = connect({ port, host: '127.0.0.1', ca, maxVersion })
      await once(socket, 'secureConnect')
      const { name } = socket.getCipher()
      socket.destroy()
      return name
    }))
    assert.deepStrictEqual(taken, [older, newer])
    await http.close()
  }
})
