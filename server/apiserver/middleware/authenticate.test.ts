import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { harness } from '../app.test-support.ts'

test('where only some paths may be asked for anonymously, all others need credentials, health and version too', async () => {
  const { api } = harness({ authenticator: {
    authenticate: ({ bearer }) => Promise.resolve(bearer === 'good' ? { ok: true, user: { name: 'jane', groups: ['system:masters'] } } : { ok: false, why: 'none' }),
    mayBeAnonymous: (path) => path === '/livez',
  } })
  const get = async (path: string, headers: Record<string, string> = {}) => (await api.handle({ method: 'GET', path, headers, signal: new AbortController().signal, peer: { remoteAddress: '192.0.2.1' } })).status
  deepStrictEqual([await get('/livez'), await get('/version'), await get('/api'), await get('/version', { authorization: 'Bearer good' }), await get('/api', { authorization: 'Bearer good' })], [200, 401, 401, 200, 200])
})
