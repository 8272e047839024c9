import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askedFor, type PeerRequest } from './exchange.ts'
import { parseRequestInfo } from './http/request-info.ts'
import { splitTarget } from './http/query.ts'

const SELECTED = '?fieldSelector=metadata.name%3Da'

test('a list and a watch of one name are about that object, deleting a collection is not (upstream\'s RequestInfo)', () => {
  const names = (['GET', 'DELETE'] as const).flatMap((method) => ['/api/v1/namespaces/n/configmaps', '/api/v1/namespaces'].flatMap((path) => ['', SELECTED, `${SELECTED}&watch=1`].map((query) => {
    const request: PeerRequest = { method, path: path + query, headers: {}, peer: {} as PeerRequest['peer'], signal: new AbortController().signal }
    const info = parseRequestInfo(splitTarget(request.path).path)
    if (info?.kind !== 'resource') return assert.fail(path)
    const { verb, info: { name, isSelected = false } } = askedFor(request, info)
    return [verb, name, isSelected]
  })))
  const read = [['list', '', false], ['list', 'a', true], ['watch', 'a', true]]
  const deleted = Array.from({ length: 3 }, () => ['deletecollection', '', false])
  assert.deepEqual(names, [...read, ...read, ...deleted, ...deleted])
})
