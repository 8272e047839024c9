import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PeerRequest } from '../apiserver/app.ts'
import { lateApi } from './late-api.ts'

test('what is refused before there is an API says when to come back, and is kept by no cache', async () => {
  const { status, headers, body } = await lateApi(() => undefined).handle({} as PeerRequest)
  assert.deepEqual([status, headers['retry-after'], headers['cache-control']], [503, '1', 'no-cache, private'])
  assert.match((body as Buffer).toString(), /"message":"the server is starting: it waits for a majority of the servers of its cluster"/)
})
