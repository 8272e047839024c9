import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from '#api/client/rest.ts'
import { harness, ADMIN } from '../app.test-support.ts'
import { REQUEST_HEADERS } from '../middleware/front-proxy.ts'
import { publishAuthenticationConfig } from './authentication-config.ts'

test('extension API servers find whom to believe, and what others added stays', async () => {
  const h = harness()
  const client = createClient(h.api.transportFor(ADMIN), { userAgent: 'test' })
  const path = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication'
  await publishAuthenticationConfig(client, { clientCa: 'CLIENT', requestHeaderCa: 'PROXY', requestHeaders: REQUEST_HEADERS })
  const data = {
    'client-ca-file': 'CLIENT', 'requestheader-client-ca-file': 'PROXY', 'requestheader-allowed-names': '["system:auth-proxy"]', 'requestheader-username-headers': '["X-Remote-User"]',
    'requestheader-uid-headers': '["X-Remote-Uid"]', 'requestheader-group-headers': '["X-Remote-Group"]', 'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
  }
  const first = await h.call('GET', path)
  assert.deepStrictEqual(first.json['data'], data)
  await publishAuthenticationConfig(client, { clientCa: 'CLIENT', requestHeaderCa: 'PROXY', requestHeaders: REQUEST_HEADERS })
  assert.deepStrictEqual((await h.call('GET', path)).json['metadata']?.['resourceVersion'], first.json['metadata']?.['resourceVersion'], 'nothing to do, nothing written')
  await h.call('PATCH', path, { data: { more: 'x' } }, { 'content-type': 'application/merge-patch+json' })
  await publishAuthenticationConfig(client, { clientCa: 'NEW', requestHeaderCa: 'PROXY', requestHeaders: REQUEST_HEADERS })
  assert.deepStrictEqual((await h.call('GET', path)).json['data'], { ...data, 'client-ca-file': 'NEW', more: 'x' })
})
