import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { silentLog } from '#base/log.ts'
import { harness } from '../app.test-support.ts'
import type { StatusError } from '../http/status.ts'
import { authenticate } from './authenticate.ts'

test('where only some paths may be asked for anonymously, all others need credentials, health and version too', async () => {
  const { api } = harness({ authenticator: {
    authenticate: ({ bearer }) => Promise.resolve(bearer === 'good' ? { ok: true, user: { name: 'jane', groups: ['system:masters'] } } : { ok: false, why: 'none' }),
    mayBeAnonymous: (path) => path === '/livez',
  } })
  const get = async (path: string, headers: Record<string, string> = {}) => (await api.handle({ method: 'GET', path, headers, signal: new AbortController().signal, peer: { remoteAddress: '192.0.2.1' } })).status
  deepStrictEqual([await get('/livez'), await get('/version'), await get('/api'), await get('/version', { authorization: 'Bearer good' }), await get('/api', { authorization: 'Bearer good' })], [200, 401, 401, 200, 200])
})

test('a proxy says who asks in the headers it was told to use; which certificates may, is configured', async () => {
  const who = { authenticate: ({ certificate }: { certificate?: { commonName: string } }) => Promise.resolve(certificate ? { ok: true as const, user: { name: certificate.commonName, groups: [] } } : { ok: false as const, why: 'none' as const }) }
  const requestHeaders = { allowedNames: ['sso'], userHeaders: ['x-user', 'x-remote-user'], uidHeaders: ['x-uid'], groupHeaders: ['x-team', 'x-group'], extraPrefixes: ['x-more-'] }
  const ask = (frontProxy: string, headers: Record<string, string>, certificate?: { commonName: string; organizations: string[]; fingerprint: string }) =>
    authenticate({ remoteAddress: '192.0.2.1', frontProxy, ...(certificate && { certificate }) }, headers, '/api', { authenticator: who, requestHeaders, log: silentLog }).catch((error: unknown) => (error as StatusError).body.code)
  const headers = { 'x-remote-user': 'second', 'x-user': 'jane', 'x-uid': '7', 'x-team': 'dev, ops', 'x-group': 'all', 'x-more-example.com%2fa': '1', 'x-remote-extra-b': '2' }
  deepStrictEqual(await ask('sso', headers), { name: 'jane', uid: '7', groups: ['dev', 'ops', 'all', 'system:authenticated'], extra: { 'example.com/a': ['1'] } })
  deepStrictEqual(await ask('sso', { 'x-remote-user': 'second' }), { name: 'second', groups: ['system:authenticated'] })
  deepStrictEqual([await ask('other', headers), await ask('sso', {})], [401, 401])
  // An authority of both: whoever may not speak for others is himself.
  deepStrictEqual(await ask('joe', headers, { commonName: 'joe', organizations: [], fingerprint: '' }), { name: 'joe', groups: [] })
})

test('what credentials warn of is said in the answer', async () => {
  const { api } = harness({ authenticator: { authenticate: () => Promise.resolve({ ok: true, user: { name: 'jane', groups: ['system:masters'] }, warning: 'too old' }) } })
  const { headers } = await api.handle({ method: 'GET', path: '/api', headers: { authorization: 'Bearer old' }, signal: new AbortController().signal, peer: { remoteAddress: '192.0.2.1' } })
  deepStrictEqual(headers['warning'], '299 - "too old"')
})
