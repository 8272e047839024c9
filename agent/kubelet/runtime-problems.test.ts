import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PODS } from '#api/types/index.ts'
import { pod, startNodeWorld } from './testing/node-world.ts'

const told = (events: readonly { type: string; reason: string; message: string }[], reason: string) => [...new Set(events.filter((e) => e.reason === reason).map((e) => `${e.type} ${e.message}`))]

test('a pod that waits for the network is told so; one that does without is not, and any other failure is one of its sandbox', async (t) => {
  const w = await startNodeWorld(t)
  w.runtime.control.ready('NetworkReady', 'the agent has no network yet')
  w.runtime.control.fail('runPodSandbox', new Error('network is not ready: starting'), 2)
  w.create(pod('waits'))
  await w.until('it runs', () => w.pod('waits')?.status?.phase === 'Running')
  assert.deepEqual(told(w.events, 'NetworkNotReady'), ['Warning network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:the agent has no network yet'])
  assert.deepEqual(told(w.events, 'FailedCreatePodSandBox'), [])
  w.runtime.control.fail('runPodSandbox', new Error('no room'), 1)
  w.create(pod('of-the-host', { hostNetwork: true }))
  await w.until('it runs', () => w.pod('of-the-host')?.status?.phase === 'Running')
  w.runtime.control.ready('NetworkReady', undefined)
  w.runtime.control.fail('runPodSandbox', new Error('no address'), 1)
  w.create(pod('fails'))
  await w.until('it runs', () => w.pod('fails')?.status?.phase === 'Running')
  assert.deepEqual([told(w.events, 'NetworkNotReady').length, told(w.events, 'FailedCreatePodSandBox')], [1, ['Warning Failed to create pod sandbox: rpc error: code = Unknown desc = no room', 'Warning Failed to create pod sandbox: rpc error: code = Unknown desc = no address']])
})

test('a pod that cannot be ended is told so, and ends when it can', async (t) => {
  const w = await startNodeWorld(t)
  const { uid } = w.create(pod('stays')).metadata
  await w.until('it runs', () => w.pod('stays')?.status?.phase === 'Running')
  w.runtime.control.fail('stopContainer', new Error('it is "stuck"'), 1)
  w.runtime.control.fail('stopPodSandbox', new Error('busy'), 1)
  w.api.deletePod(PODS, 'default/stays')
  await w.until('it is gone', () => w.pod('stays') === undefined)
  assert.deepEqual(told(w.events, 'FailedKillPod'), ['Warning error killing pod: failed to "KillContainer" for "app" with KillContainerError: "it is \\"stuck\\""', `Warning error killing pod: failed to "KillPodSandbox" for "${uid}" with KillPodSandboxError: "busy"`])
})

test('a pod of which nothing can be found out is told so', async (t) => {
  const w = await startNodeWorld(t)
  w.runtime.control.fail('listPodSandbox', new Error('the runtime is away'), 3)
  w.create(pod('unseen'))
  await w.until('it runs', () => w.pod('unseen')?.status?.phase === 'Running')
  assert.deepEqual(told(w.events, 'FailedSync'), ['Warning error determining status: the runtime is away'])
})
