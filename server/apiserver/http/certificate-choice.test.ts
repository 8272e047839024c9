import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, NO_ALT_NAMES } from '#base/x509/index.ts'
import { certificateChoice, type NamedPair } from './certificate-choice.ts'

const key = await generateKey()

function certificate(commonName: string, ...dnsNames: readonly string[]): string {
  return certificatePem(createCertificate({ subject: { commonName, organizations: [] }, notBeforeMs: 0, notAfterMs: 4e12, keyUsages: ['digitalSignature'], altNames: { ...NO_ALT_NAMES, dnsNames } }, { key }, { selfSigned: key }, systemRandom))
}

const OWN = certificate('kube-apiserver', 'kubernetes', 'localhost', 'board')
const pair = (cert: string, ...names: readonly string[]): NamedPair => ({ cert, key: '', names })

test('a name is answered by the pair that has it: whole before wildcard, given before read, the first before the others', () => {
  const named = [
    pair(certificate('', '*.example.org')), pair(certificate('', 'whole.example.org', 'given.example.org')), pair(certificate('', 'x'), 'given.example.org', '*.given.org'),
    pair(certificate('', 'twice.org')), pair(certificate('', 'twice.org')), pair(certificate('cn.org', 'alt.org')), pair(certificate('', 'kubernetes'), 'kubernetes', 'Board'),
  ]
  const choose = certificateChoice(OWN, new Set(['kubernetes']), { fallback: undefined, named })
  const index = (name: string) => named.findIndex((one) => one === choose(name))
  const asked = ['a.example.org', 'whole.example.org', 'WHOLE.example.org', 'given.example.org', 'a.given.org', 'twice.org', 'cn.org', 'alt.org', 'board']
  assert.deepStrictEqual(asked.map(index), [0, 1, 1, 2, 2, 3, 5, 5, 6])
  assert.deepStrictEqual(['kubernetes', 'Kubernetes', 'a.b.example.org', 'example.org', 'x', 'localhost', '', '*'].map(choose), Array.from({ length: 8 }, () => undefined))
})

test('the fallback is for all names but the reserved ones and those that only the cluster\'s own certificate has', () => {
  const fallback = pair(certificate('', 'kube.example.org', 'board'))
  const choose = certificateChoice(OWN, new Set(['kubernetes', 'kubernetes.default']), { fallback, named: [] })
  const isFallback = (name: string) => choose(name) === fallback
  assert.deepStrictEqual(['kube.example.org', 'board', 'elsewhere', 'localhost', 'kubernetes', 'kubernetes.default'].map(isFallback), [true, true, true, false, false, false])
})
