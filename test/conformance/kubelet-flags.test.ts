import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kubeletConfiguration } from '#agent/kubelet/stats/node-figures.ts'
import { KUBELET_DEFAULTS, type KubeletConfig } from '#agent/kubelet/config.ts'
import { kubeletSettings } from '#server/cli/kubelet-flags.ts'
import { AGENT_FLAGS } from '#server/cli/verb-flags.ts'
import { parseFlags } from '#server/cli/flags.ts'
import { flagsOf, type KubeletConfiguration } from './kubelet-flags.ts'

const told: KubeletConfiguration = { ...kubeletConfiguration({ ...KUBELET_DEFAULTS, nodeIp: '10.0.0.1' } satisfies KubeletConfig) }
const settingsOf = (config: KubeletConfiguration) => kubeletSettings(parseFlags('agent', AGENT_FLAGS, { argv: flagsOf(config).flags, env: {}, readConfig: () => ({}) }).values)

test('what a node tells of its configuration becomes flags by which it is configured just so', () => {
  assert.deepStrictEqual(settingsOf(told), kubeletSettings(parseFlags('agent', AGENT_FLAGS, { argv: [], env: {}, readConfig: () => ({}) }).values))
  assert.deepStrictEqual(flagsOf(told).without, [])
})

test('what is changed in it is changed, and what skiff has no flag for is told', () => {
  const changed = { ...told, evictionHard: { 'memory.available': '70%' }, evictionSoft: { 'memory.available': '80%' }, evictionSoftGracePeriod: { 'memory.available': '1m30s' }, podPidsLimit: 1024, seccompDefault: false, containerLogMaxSize: '40Ki', shutdownGracePeriodByPodPriority: [{ priority: 0, shutdownGracePeriodSeconds: 5 }], fileCheckFrequency: '30s', memorySwap: { swapBehavior: 'LimitedSwap' }, syncFrequency: '0s' }
  const { evictionHard, evictionSoft, evictionSoftGracePeriod, podPidsLimit, seccompDefault, memorySwapBehavior, containerLogMaxSize, shutdownPeriods } = settingsOf(changed)
  assert.deepStrictEqual({ evictionHard, evictionSoft, evictionSoftGracePeriod, podPidsLimit, seccompDefault, memorySwapBehavior, containerLogMaxSize, shutdownPeriods }, {
    evictionHard: { 'memory.available': '70%' }, evictionSoft: { 'memory.available': '80%' }, evictionSoftGracePeriod: { 'memory.available': '1m30s' }, podPidsLimit: 1024, seccompDefault: false, memorySwapBehavior: 'LimitedSwap', containerLogMaxSize: '40Ki', shutdownPeriods: [{ priority: 0, seconds: 5 }],
  })
  assert.deepStrictEqual(flagsOf(changed).without, ['fileCheckFrequency'])
})
