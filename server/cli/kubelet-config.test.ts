import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { KUBELET_DEFAULTS, type KubeletConfig } from '#agent/kubelet/config.ts'
import { kubeletConfiguration } from '#agent/kubelet/stats/node-figures.ts'
import { kubeletFields } from './kubelet-config.ts'
import { kubeletSettings } from './kubelet-flags.ts'
import { parseNodeFlags } from './node-flags.ts'
import { AGENT_FLAGS } from './verb-flags.ts'

const HEAD = { apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration' }

/** Values by a file of this text, beside this command line; the config file has the rest. */
async function valuesOf(t: TestContext, configuration: string, { argv = [], own = '' }: { argv?: string[]; own?: string } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'kubelet-config-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const [file, config] = [join(dir, 'kubelet.yaml'), join(dir, 'config.yaml')]
  writeFileSync(file, configuration)
  writeFileSync(config, own)
  return { dir, file, values: (await parseNodeFlags('agent', AGENT_FLAGS, { argv: [`--config=${config}`, `--kubelet-config=${file}`, ...argv], env: {} })).values }
}
const yaml = (fields: object): string => JSON.stringify({ ...HEAD, ...fields })

test('a file as kubeadm writes it says what it sets; Go\'s zero values say nothing', async (t) => {
  const { values } = await valuesOf(t, `
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: { anonymous: { enabled: false }, webhook: { cacheTTL: 0s, enabled: true }, x509: {} }
authorization: { mode: Webhook, webhook: { cacheAuthorizedTTL: 0s, cacheUnauthorizedTTL: 0s } }
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
imageMinimumGCAge: 0s
logging: { flushFrequency: 0, options: { json: { infoBufferSize: "0" }, text: { infoBufferSize: "0" } }, verbosity: 0 }
memorySwap: {}
nodeStatusUpdateFrequency: 0s
rotateCertificates: true
shutdownGracePeriod: 0s
maxPods: 40
evictionHard: { memory.available: 200Mi }
`)
  assert.deepStrictEqual({ ...kubeletSettings(values) }, { ...kubeletSettings((await parseNodeFlags('agent', AGENT_FLAGS, { argv: [`--config=/dev/null`], env: {} })).values), maxPods: 40, evictionHard: { 'memory.available': '200Mi' } })
})

test('flags and the config file go before it, as a kubelet\'s flags do', async (t) => {
  const { values } = await valuesOf(t, yaml({ maxPods: 10, podsPerCore: 3, podPidsLimit: 5 }), { argv: ['--max-pods=30'], own: 'pods-per-core: 7' })
  assert.deepStrictEqual([values['max-pods'], values['pods-per-core'], values['pod-max-pids']], [30, 7, '5'])
})

test('files that it names are looked for where it is', async (t) => {
  const { dir, values } = await valuesOf(t, yaml({ authentication: { x509: { clientCAFile: 'kubelet.yaml' } }, resolvConf: '/dev/null' }))
  assert.deepStrictEqual([values['kubelet-client-ca-file'], values['resolv-conf']], [join(dir, 'kubelet.yaml'), '/dev/null'])
})

test('what has no form of its own in a flag is brought into one', () => {
  const { flags, problems } = kubeletFields({ ...HEAD, registerWithTaints: [{ key: 'board', value: 'old', effect: 'NoSchedule' }, { key: 'slow', effect: 'NoExecute' }], cgroupRoot: '/', serializeImagePulls: true, enforceNodeAllocatable: ['none'], shutdownGracePeriodByPodPriority: [{ priority: 5, shutdownGracePeriodSeconds: 7 }], kubeReserved: { cpu: '100m' }, logging: { format: 'json' } }, '/')
  assert.deepStrictEqual([flags, problems], [{ 'node-taint': ['board=old:NoSchedule', 'slow:NoExecute'], 'cgroup-root': '', 'max-parallel-image-pulls': 1, 'enforce-node-allocatable': 'none', 'shutdown-grace-period-by-pod-priority': ['5=7s'], 'kube-reserved': ['cpu=100m'], 'log-format': 'json' }, []])
})

test('what a node tells on /configz says how another is to be', async (t) => {
  const config: KubeletConfig = { ...KUBELET_DEFAULTS, nodeIp: '10.0.0.1', maxPods: 7, podsPerCore: 2, singleProcessOomKill: true, cpuPeriodUs: 50_000, usersPerPod: 131_072, statusImagesMax: -1, statusLookMs: 20_000, registersNode: false, providerId: 'x://1', restartSecondsMax: 20, evictionSoft: { 'memory.available': '1Gi' }, evictionSoftGracePeriod: { 'memory.available': '1m' }, imageGcHighPercent: 70, imageGcLowPercent: 60, memorySwapBehavior: 'LimitedSwap', shutdownPeriods: [{ priority: 0, seconds: 5 }], enforcePods: false, seccompDefault: false, oomScoreAdj: -7, tlsMinVersion: 'VersionTLS13', resolvConf: '/dev/null' }
  const { clusterDomain: _, clusterDNS: __, staticPodPath: ___, ...told } = kubeletConfiguration(config) as Record<string, unknown>
  const { values } = await valuesOf(t, JSON.stringify(told))
  assert.deepStrictEqual(kubeletConfiguration({ ...config, ...KUBELET_DEFAULTS, ...kubeletSettings(values), resolvConf: String(values['resolv-conf']) }), kubeletConfiguration(config))
})

const refused: [string, string][] = [
  [yaml({ maxPod: 3, evictionHard: { 'memory.available': 'much' }, logging: { colour: true }, clusterDNS: ['10.96.0.10'] }), 'maxPod: unknown field; logging.colour: unknown field; clusterDNS: ["10.96.0.10"] cannot be had: it is the whole cluster\'s: give it to the servers (--cluster-dns)'],
  [yaml({ maxPods: '3', seccompDefault: 'yes', evictionHard: ['memory.available<1Gi'], memorySwap: 'LimitedSwap' }), 'maxPods: must be a number; seccompDefault: must be true or false; evictionHard: must be a mapping; memorySwap: must be a mapping'],
  [yaml({ maxPods: -3, healthzPort: 70_000, imageMinimumGCAge: 'soon' }), 'maxPods: "-3" is not a whole number; healthzPort: must be a valid port between 0 and 65535, inclusive, got 70000; imageMinimumGCAge: "soon" is not a duration such as 1m30s'],
  [yaml({ cgroupDriver: 'systemd', readOnlyPort: 10_255, failSwapOn: true, enableServer: false, cpuManagerPolicy: 'static', featureGates: { Everything: true } }), 'cgroupDriver: "systemd" cannot be had, but "cgroupfs": cgroups are made without systemd; readOnlyPort: 10255 cannot be had: there is no port without authentication; failSwapOn: true cannot be had, but false: a node with swap starts; see --memory-swap-behavior; enableServer: false cannot be had, but true; cpuManagerPolicy: "static" cannot be had, but "none": there are no policies of managers of CPUs, memory and topology; featureGates: {"Everything":true} cannot be had: there are no feature gates'],
  [yaml({ serializeImagePulls: true, maxParallelImagePulls: 4 }), 'maxParallelImagePulls: 4 cannot be larger than 1 unless serializeImagePulls is set to false'],
  [JSON.stringify({ apiVersion: 'v1', kind: 'Pod', maxPods: 3 }), 'kind: it must be of kind KubeletConfiguration and apiVersion kubelet.config.k8s.io/v1beta1'],
  [yaml({ constructor: 1, __proto__x: 2 }), 'constructor: unknown field; __proto__x: unknown field'],
  [yaml({ imageGCHighThresholdPercent: 101 }), 'imageGCHighThresholdPercent: 101 is not a percentage (0 to 100)'],
]
for (const [text, says] of refused) test(`refused, all that is wrong at once: ${text.slice(0, 120)}`, async (t) => {
  await assert.rejects(valuesOf(t, text), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'USAGE')
    assert.match(error.message, /^--kubelet-config \/.*\/kubelet\.yaml: /)
    assert.equal(error.message.replace(/^--kubelet-config \S+: /, ''), says)
    return true
  })
})

test('a file that is not there, or no mapping, is refused by its name', async (t) => {
  await assert.rejects(parseNodeFlags('agent', AGENT_FLAGS, { argv: ['--config=/dev/null', '--kubelet-config=/no/such'], env: {} }), { code: 'USAGE', message: /^the kubelet configuration \/no\/such cannot be read: ENOENT/ })
  await assert.rejects(valuesOf(t, '- a\n- b\n'), { code: 'USAGE', message: /^the kubelet configuration .* must be a mapping/ })
})
