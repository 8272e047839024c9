import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, ResourceRequirements } from '#api/types/index.ts'
import { containerResources, oomScoreAdj, podCgroupLimits, podCgroupPath } from './resources.ts'
import { containerSecurity } from './security.ts'
import { aContainer, aPod } from './testing/builders.ts'

const GI = 2 ** 30
const with_ = (...resources: (ResourceRequirements | undefined)[]): Pod => aPod({ containers: resources.map((r, i) => aContainer(`c${i}`, r ? { resources: r } : {})) })
const first = (pod: Pod) => pod.spec?.containers[0] ?? aContainer('none')
const guaranteed = with_({ requests: { cpu: '500m', memory: '1Gi' }, limits: { cpu: '500m', memory: '1Gi' } })
const burstable = with_({ requests: { cpu: '100m', memory: '1Gi' }, limits: { cpu: '2' } }, undefined)

const swapOf = (pod: Pod, podSwapBytes: number) => containerResources(pod, first(pod), { memoryBytes: 4 * GI, podSwapBytes }).unified?.['memory.swap.max']

const table: [string, unknown, unknown][] = [
  ['limits become quota and bytes, requests shares', containerResources(guaranteed, first(guaranteed), { memoryBytes: 4 * GI }), { cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000, memoryLimitBytes: GI, oomScoreAdj: -997, unified: { 'memory.oom.group': '1', 'memory.min': String(GI) } }],
  ['a limit of CPU is counted in the period that the node has, 1 ms at least', [containerResources(guaranteed, first(guaranteed), { memoryBytes: 4 * GI, cpuPeriodUs: 10_000 }), podCgroupLimits(guaranteed, 10_000), containerResources(guaranteed, first(guaranteed), { memoryBytes: 4 * GI, cpuPeriodUs: 1_000 })].map(({ cpuQuota, ...rest }) => [cpuQuota, 'cpuPeriod' in rest ? rest.cpuPeriod : undefined]), [[5_000, 10_000], [5_000, undefined], [1_000, 1_000]]],
  ['where limits of CPU are not held there is no quota', [containerResources(guaranteed, first(guaranteed), { memoryBytes: 4 * GI, cpuPeriodUs: 0 }), podCgroupLimits(guaranteed, 0)].map((r) => [r.cpuShares, r.cpuQuota]), [[512, undefined], [512, undefined]]],
  ['what a burstable container asks for is left to it while others have more', containerResources(burstable, first(burstable), { memoryBytes: 4 * GI }).unified, { 'memory.oom.group': '1', 'memory.low': String(GI) }],
  ['of swap that pods may have, a burstable container that may have more memory than it asks for gets its part', swapOf(burstable, GI), String(GI / 4)],
  ['no others do: who asks for nothing, or for what it is limited to, is guaranteed, or what the node cannot do without', [
    swapOf(burstable, 0), swapOf(with_({ requests: { cpu: '1' } }), GI), swapOf(with_({ requests: { memory: '1Gi' }, limits: { memory: '1Gi' } }, undefined), GI), swapOf(guaranteed, GI), swapOf(with_(undefined), GI),
    swapOf({ ...burstable, spec: { ...burstable.spec, containers: burstable.spec?.containers ?? [], priority: 2_000_000_000 } }, GI), swapOf({ ...burstable, metadata: { ...burstable.metadata, annotations: { 'kubernetes.io/config.source': 'file' } } }, GI),
  ], Array.from({ length: 7 }, () => undefined)],
  ['where one process is to go for too much memory, not all, the kernel is not told to end all', containerResources(with_(undefined), aContainer('c0'), { memoryBytes: 4 * GI, singleProcessOomKill: true }).unified, {}],
  ['huge pages are limited by the container, else by the pod', [{ 'hugepages-2Mi': '4Mi' }, undefined].map((limits) => containerResources({ ...guaranteed, spec: { ...guaranteed.spec, containers: [], resources: { limits: { 'hugepages-2Mi': '8Mi', 'hugepages-1Gi': '1Gi' } } } }, { name: 'c', ...(limits && { resources: { limits } }) }, { memoryBytes: 4 * GI }).hugepageLimits), [{ '2MB': 4 << 20, '1GB': GI }, { '2MB': 8 << 20, '1GB': GI }]],
  ['a pod that asks for nothing has the least', containerResources(with_(undefined), aContainer('c0'), { memoryBytes: 4 * GI }), { cpuShares: 2, oomScoreAdj: 1000, unified: { 'memory.oom.group': '1' } }],
  ['a quarter of the memory asked for lowers the score by 250', oomScoreAdj(burstable, first(burstable), 4 * GI), 750],
  ['burstable stays between 3 and 999', [oomScoreAdj(burstable, aContainer('x', { resources: { requests: { memory: '8Gi' } } }), 4 * GI), oomScoreAdj(burstable, aContainer('x'), 4 * GI)], [3, 999]],
  ['node-critical pods are spared', oomScoreAdj(aPod({ priorityClassName: 'system-node-critical' }), aContainer('x'), GI), -997],
  ['a sidecar is not killed before the app', oomScoreAdj(burstable, aContainer('s', { restartPolicy: 'Always', resources: { requests: { memory: '1Mi' } } }), 4 * GI), 750],
  ['the pod\'s cgroup has a limit only where every container has', [podCgroupLimits(burstable), podCgroupLimits(guaranteed)], [{ cpuShares: 102, memoryLowBytes: GI }, { cpuShares: 512, cpuQuota: 50_000, memoryLimitBytes: GI, memoryMinBytes: GI }]],
  ['its path tells its class', [podCgroupPath('/lab', guaranteed), podCgroupPath('', burstable), podCgroupPath('', with_(undefined))], ['/lab/kubepods/podu1', '/kubepods/burstable/podu1', '/kubepods/besteffort/podu1']],
]
for (const [name, actual, expected] of table) test(name, () => assert.deepStrictEqual(actual, expected))

const secure = (pod: Pod, container: object, image: { uid?: number; username?: string } = {}, seccompDefault = false) => {
  const result = containerSecurity({ pod, container: aContainer('app', container), image, podText: 'web_default(u1)', seccompDir: '/s', seccompDefault })
  return result.ok ? result.security : result.message
}
const plain = { privileged: false, readonlyRootfs: false, supplementalGroups: [], addCapabilities: [], dropCapabilities: [], noNewPrivs: false, seccomp: { profile: 'Unconfined' } }
const security: [string, unknown, unknown][] = [
  ['nothing asked is nothing changed', secure(aPod(), {}), plain],
  ['the image\'s user stands unless another is named', [secure(aPod(), {}, { uid: 5 }), secure(aPod(), {}, { username: 'www' }), secure(aPod({ securityContext: { runAsUser: 7 } }), {}, { uid: 5 })], [{ ...plain, runAsUser: 5 }, { ...plain, runAsUsername: 'www' }, { ...plain, runAsUser: 7 }]],
  ['the container\'s word wins over the pod\'s', secure(aPod({ securityContext: { runAsUser: 1, runAsGroup: 2, seccompProfile: { type: 'RuntimeDefault' } } }), { securityContext: { runAsUser: 3, seccompProfile: { type: 'Unconfined' } } }), { ...plain, runAsUser: 3, runAsGroup: 2 }],
  ['groups are those of the pod and fsGroup, once each', secure(aPod({ securityContext: { supplementalGroups: [1, 2], fsGroup: 2 } }), {}), { ...plain, supplementalGroups: [1, 2] }],
  ['capabilities have one form', secure(aPod(), { securityContext: { capabilities: { add: ['CAP_NET_ADMIN', 'net_admin'], drop: ['ALL'] } } }), { ...plain, addCapabilities: ['NET_ADMIN'], dropCapabilities: ['ALL'] }],
  ['no escalation means no new privileges', secure(aPod(), { securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true } }), { ...plain, noNewPrivs: true, readonlyRootfs: true }],
  ['a profile that nobody asks for is the runtime\'s where the node says so, never for who is privileged', [secure(aPod(), {}, {}, true), secure(aPod({ securityContext: { seccompProfile: { type: 'Unconfined' } } }), {}, {}, true), secure(aPod(), { securityContext: { privileged: true } }, {}, true)], [{ ...plain, seccomp: { profile: 'RuntimeDefault' } }, plain, { ...plain, privileged: true }]],
  ['kernel files are unmasked for who asks for it', secure(aPod(), { securityContext: { procMount: 'Unmasked' } }), { ...plain, maskedPaths: [], readonlyPaths: [] }],
  ['a local profile is below the agent\'s directory', [secure(aPod(), { securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'a/b.json' } } }), secure(aPod(), { securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: '../x' } } })], [{ ...plain, seccomp: { profile: 'Localhost', path: '/s/a/b.json' } }, 'localhostProfile "../x" must be a path below /s']],
  ['AppArmor: the container\'s word, then the annotation, then the pod\'s', [
    secure(aPod({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }), {}), secure(aPod({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }), { securityContext: { appArmorProfile: { type: 'Unconfined' } } }),
    secure(aPod({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }, { annotations: { 'container.apparmor.security.beta.kubernetes.io/app': 'localhost/mine' } }), {}),
    secure(aPod({}, { annotations: { 'container.apparmor.security.beta.kubernetes.io/app': 'unconfined' } }), { securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'other' } } }),
    secure(aPod({}, { annotations: { 'container.apparmor.security.beta.kubernetes.io/app': 'runtime/default', 'container.apparmor.security.beta.kubernetes.io/other': 'unconfined' } }), {}),
  ], [{ profile: 'RuntimeDefault' }, { profile: 'Unconfined' }, { profile: 'Localhost', name: 'mine' }, { profile: 'Localhost', name: 'other' }, { profile: 'RuntimeDefault' }].map((apparmor) => ({ ...plain, apparmor }))],
  ['SELinux options are the container\'s as a whole, or the pod\'s', [
    secure(aPod({ securityContext: { seLinuxOptions: { level: 's0:c1', type: 't' } } }), {}), secure(aPod({ securityContext: { seLinuxOptions: { level: 's0:c1', type: 't' } } }), { securityContext: { seLinuxOptions: { user: 'u' } } }),
  ], [{ ...plain, selinux: { level: 's0:c1', type: 't' } }, { ...plain, selinux: { user: 'u' } }]],
  ['root is refused where it must not be', secure(aPod({ securityContext: { runAsNonRoot: true } }), {}), 'container has runAsNonRoot and image will run as root (pod: "web_default(u1)", container: app)'],
  ['also when asked for', secure(aPod({ securityContext: { runAsNonRoot: true, runAsUser: 0 } }), {}), 'container\'s runAsUser breaks non-root policy (pod: "web_default(u1)", container: app)'],
  ['and a name cannot be judged', secure(aPod({ securityContext: { runAsNonRoot: true } }), {}, { username: 'www' }), 'container has runAsNonRoot and image has non-numeric user (www), cannot verify user is non-root (pod: "web_default(u1)", container: app)'],
  ['nor is a number that nobody can have', secure(aPod({ securityContext: { runAsNonRoot: true } }), {}, { uid: 3_000_000_000 }), 'container has runAsNonRoot and image has an invalid user id (3000000000). (Must be 1-(2147483647)): must be between 0 and 2147483647, inclusive (pod: "web_default(u1)", container: app)'],
  ['another user will do', secure(aPod({ securityContext: { runAsNonRoot: true } }), {}, { uid: 9 }), { ...plain, runAsUser: 9 }],
]
for (const [name, actual, expected] of security) test(name, () => assert.deepStrictEqual(actual, expected))

test('what a pod asks for as a whole bounds containers without limits, and is shared out when memory runs out', () => {
  const machine = { memoryBytes: 1000 * 2 ** 20 }
  const pod = aPod({
    resources: { requests: { cpu: '1', memory: '500Mi' }, limits: { cpu: '2', memory: '600Mi' } },
    containers: [aContainer('own', { resources: { requests: { memory: '100Mi' }, limits: { cpu: '500m', memory: '200Mi' } } }), aContainer('none')],
  })
  const of = (i: number) => {
    const { cpuShares, cpuQuota, memoryLimitBytes, oomScoreAdj } = containerResources(pod, pod.spec?.containers[i] ?? aContainer(''), machine)
    return [cpuShares, cpuQuota, memoryLimitBytes, oomScoreAdj]
  }
  assert.deepStrictEqual([of(0), of(1)], [[512, 50_000, 200 * 2 ** 20, 700], [2, 200_000, 600 * 2 ** 20, 800]])
  assert.deepStrictEqual(podCgroupLimits(pod), { cpuShares: 1024, cpuQuota: 200_000, memoryLimitBytes: 600 * 2 ** 20, memoryLowBytes: 500 * 2 ** 20 })
})
