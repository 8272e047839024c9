import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cluster, MERGE } from '../kinds/kinds.test-support.ts'
import { roundedIntegers } from './rounded-integers.ts'

test('integers that cannot be held are told of, those that can and texts are not', () => {
  const of = (text: string) => roundedIntegers(Buffer.from(text))
  assert.deepStrictEqual([
    of('{"a":9007199254740993}'), of('{"a":9007199254740992,"b":9007199254740991,"c":-9007199254740994}'), of('{"a":"9007199254740993, 9007199254740995"}'), of('{"a":[1.2345678901234567,12345678901234567e3]}'),
    of('{"a":9223372036854775807,"b":[9223372036854775807]}'), of('a: 9007199254740993'), of('{}'),
  ], [['9007199254740993 is kept as 9007199254740992: integers beyond 2^53 are rounded'], [], [], [], ['9223372036854775807 is kept as 9223372036854775808: integers beyond 2^53 are rounded'], [], []])
})

test('such a number is found wherever in the body it stands', () => {
  for (let before = 0; before < 40; before++) {
    const text = `{"${'k'.repeat(before)}":9007199254740993,"b":123456789012345}`
    assert.equal(roundedIntegers(Buffer.from(text)).length, 1, text)
  }
  assert.deepStrictEqual(roundedIntegers(Buffer.from('[9007199254740993]')), roundedIntegers(Buffer.from('9007199254740993')))
})

test('whoever writes such a number is warned, by a body or a patch', async () => {
  const c = cluster()
  const path = '/apis/batch/v1/namespaces/default/cronjobs'
  const body = { metadata: { name: 'c' }, spec: { schedule: '* * * * *', jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } } } } }
  const made = await c.call('POST', path, Buffer.from(JSON.stringify(body).replace('"schedule"', '"startingDeadlineSeconds":9007199254740993,"schedule"')))
  const patched = await c.call('PATCH', `${path}/c`, Buffer.from('{"spec":{"startingDeadlineSeconds":9007199254740995}}'), MERGE)
  assert.deepStrictEqual([made.status, made.headers['warning'], patched.status, patched.headers['warning']], [201, '299 - "9007199254740993 is kept as 9007199254740992: integers beyond 2^53 are rounded"', 200, '299 - "9007199254740995 is kept as 9007199254740996: integers beyond 2^53 are rounded"'])
})
