import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RuntimeEvent } from '../runtime.ts'
import { LifeEvents } from './life-events.ts'

function watched() {
  const told: string[] = []
  const lives = new LifeEvents((event: RuntimeEvent) => told.push(`${event.kind} ${'containerId' in event ? event.containerId : event.sandboxId}`))
  return { lives, told: () => told.splice(0) }
}

test('each step is told once, whoever noticed it first, and nothing goes backwards', () => {
  const { lives, told } = watched()
  lives.sandbox('s', 'ready')
  lives.container('c', 's', 'created')
  lives.container('c', 's', 'running')
  lives.see({ sandboxes: [{ id: 's', state: 'ready' }], containers: [{ id: 'c', sandboxId: 's', state: 'created' }] }, lives.known())
  lives.container('c', 's', 'exited')
  lives.see({ sandboxes: [{ id: 's', state: 'ready' }], containers: [{ id: 'c', sandboxId: 's', state: 'running' }] }, lives.known())
  assert.deepEqual(told(), ['containerCreated c', 'containerStarted c', 'containerStopped c'])
})

test('what vanished between two looks has ended first; a start that failed is told as an end alone', () => {
  const { lives, told } = watched()
  lives.see({ sandboxes: [{ id: 's', state: 'ready' }], containers: [{ id: 'a', sandboxId: 's', state: 'running' }] }, lives.known())
  told()
  lives.container('b', 's', 'created')
  lives.container('b', 's', 'exited')
  assert.deepEqual(told(), ['containerCreated b', 'containerStopped b'])
  lives.see({ sandboxes: [], containers: [] }, lives.known())
  assert.deepEqual(told(), ['containerStopped a', 'containerDeleted a', 'containerDeleted b', 'sandboxStopped s', 'sandboxDeleted s'])
})

test('what came while the lists were being read is not taken for gone', () => {
  const { lives, told } = watched()
  const known = lives.known()
  lives.sandbox('new', 'ready')
  lives.container('c', 'new', 'created')
  lives.see({ sandboxes: [], containers: [] }, known)
  assert.deepEqual(told(), ['containerCreated c'])
})
