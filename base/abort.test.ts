import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { aborted, unlessAborted } from './abort.ts'

describe('waiting that a signal ends', () => {
  test('aborted resolves at once for a signal that has aborted, and when one does', async () => {
    await aborted(AbortSignal.abort())
    const control = new AbortController()
    const heard = aborted(control.signal).then(() => 'heard')
    control.abort()
    assert.equal(await heard, 'heard')
  })

  test('unlessAborted is the work itself while nothing aborts, and leaves no listener', async () => {
    const { signal } = new AbortController()
    assert.equal(await unlessAborted(signal, Promise.resolve(7)), 7)
    await assert.rejects(unlessAborted(signal, Promise.reject(new Error('no'))), /no/)
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  test('unlessAborted does not wait for work that hangs, nor throws what it fails with later', async () => {
    const control = new AbortController()
    const work = Promise.withResolvers<number>()
    const waiting = unlessAborted(control.signal, work.promise)
    control.abort()
    assert.equal(await waiting, undefined)
    work.reject(new Error('too late'))
    await new Promise((resolve) => { setImmediate(resolve) })
    assert.equal(await unlessAborted(AbortSignal.abort(), Promise.withResolvers<number>().promise), undefined)
  })
})
