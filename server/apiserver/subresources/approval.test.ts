import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { createRequest, generateKey, NO_ALT_NAMES } from '#base/x509/index.ts'
import { cluster } from '../kinds/kinds.test-support.ts'

const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const merge = { 'content-type': 'application/merge-patch+json' }

test('a request is approved once and for all; what was said is not taken back', async () => {
  const { call } = cluster()
  const request = Buffer.from(createRequest({ commonName: 'jane', organizations: [] }, NO_ALT_NAMES, await generateKey())).toString('base64')
  await call('POST', CSRS, { metadata: { name: 'jane' }, spec: { request, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] } })
  const approved = { type: 'Approved', status: 'True', reason: 'Me', message: 'm' }
  const approve = async (...conditions: object[]) => { const r = await call('PATCH', `${CSRS}/jane/approval`, { status: { conditions } }, merge); return r.status === 200 ? 'OK' : String(r.json['message']) }
  const before = 'CertificateSigningRequest.certificates.k8s.io "jane" is invalid: '
  deepStrictEqual([await approve(approved), await approve({ ...approved, message: 'again' }), await approve(), await approve({ ...approved, type: 'Denied' }), await approve(approved, { ...approved, type: 'Denied' })], [
    'OK', 'OK', `${before}status.conditions: Forbidden: updates may not remove a condition of type "Approved"`, `${before}status.conditions: Forbidden: updates may not remove a condition of type "Approved"`,
    `${before}status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive`,
  ])
  const status = async (...conditions: object[]) => {
    const { json } = await call('PATCH', `${CSRS}/jane/status`, { status: { conditions } }, merge)
    const { message, status: written } = json as { message?: string; status?: { conditions?: { message: string }[] } }
    return message ?? written?.conditions?.map((c) => c.message)
  }
  const failed = { ...approved, type: 'Failed', message: 'no luck' }
  deepStrictEqual([await status(failed), await status(approved, { ...approved, type: 'Denied' }), await status(failed, { ...approved, message: 'reworded' })], [
    `${before}status.conditions: Forbidden: updates may not remove a condition of type "Approved"`,
    `${before}[status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive, status.conditions: Forbidden: updates may not add a condition of type "Denied"]`,
    ['no luck', 'again'],
  ])
  const certificate = await call('PATCH', `${CSRS}/jane/status`, { status: { certificate: 'eA==' } }, merge)
  deepStrictEqual(certificate.json['message'], `${before}status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block`)
})
