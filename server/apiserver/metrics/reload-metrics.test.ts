import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { printMetrics } from '#base/metrics.ts'
import { ReloadMetrics } from './reload-metrics.ts'

test('reloads are counted by how they went, with the time of the last of each, and the configuration in force is told by its hash', async () => {
  const clock = new FakeClock()
  const metrics = new ReloadMetrics('authentication', { clock, serverName: 'board' })
  const lines = () => printMetrics(metrics.all()).toString().split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const hash = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`
  assert.deepStrictEqual(lines(), [])
  metrics.inForce('one')
  metrics.reloaded('failure')
  await clock.advance(2_000)
  metrics.reloaded('success')
  metrics.inForce('two')
  const [server, seconds] = [`apiserver_id_hash="${hash('board')}"`, clock.nowMs() / 1000]
  assert.deepStrictEqual(lines(), [
    `apiserver_authentication_config_controller_automatic_reloads_total{${server},status="failure"} 1`, `apiserver_authentication_config_controller_automatic_reloads_total{${server},status="success"} 1`,
    `apiserver_authentication_config_controller_automatic_reload_last_timestamp_seconds{${server},status="failure"} ${seconds - 2}`, `apiserver_authentication_config_controller_automatic_reload_last_timestamp_seconds{${server},status="success"} ${seconds}`,
    `apiserver_authentication_config_controller_last_config_info{${server},hash="${hash('two')}"} 1`,
  ])
})
