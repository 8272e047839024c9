import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { causes, cluster, MERGE, pod, PODS } from './kinds.test-support.ts'

const refused = async (spec: Record<string, unknown>, container: Record<string, unknown> = {}): Promise<string[]> => causes(await cluster().call('POST', PODS, pod({}, spec, container)))

test('rules of restarting need a policy, an action and exit codes', async () => {
  const rule = { action: 'Restart', exitCodes: { operator: 'In', values: [3] } }
  const of = (restartPolicyRules: unknown, more: object = { restartPolicy: 'Never' }) => refused({}, { restartPolicyRules, ...more })
  const at = 'spec.containers[0].restartPolicy'
  deepStrictEqual([await of([rule]), await of([{ ...rule, action: 'RestartAllContainers' }]), await of([rule], {}), await of([{ ...rule, action: 'DoNotRestart' }]), await of([{ action: 'Restart' }]), await of([{ action: 'Restart', exitCodes: { operator: 'Equals' } }, { action: 'Restart', exitCodes: { values: [1] } }]), await of(Array(21).fill(rule))], [
    ['201 '], ['201 '], [`${at}: Required value: must specify restartPolicy when restart rules are used`], [`${at}Rules[0].action: Unsupported value: "DoNotRestart": supported values: "Restart", "RestartAllContainers"`], [`${at}Rules[0].exitCodes: Required value: must be specified`],
    [`${at}Rules[0].exitCodes.operator: Unsupported value: "Equals": supported values: "In", "NotIn"`, `${at}Rules[1].exitCodes.operator: Unsupported value: "": supported values: "In", "NotIn"`], [`${at}Rules: Too many: 21: must have at most 20 items`],
  ])
  deepStrictEqual(await refused({ initContainers: [{ name: 'i', image: 'i', restartPolicyRules: [rule] }] }), ['spec.initContainers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used'])
})

test('what a pod asks of devices, of resizing and as a whole is checked', async () => {
  deepStrictEqual(await refused({ resourceClaims: [{ name: 'a' }, { name: 'a', resourceClaimName: 'x' }] }, { resources: { claims: [{ name: 'b' }] } }), [
    'spec.resourceClaims[0]: Invalid value: {"name":"a"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`', 'spec.resourceClaims[1].name: Duplicate value: "a"',
    'spec.containers[0].resources.claims[0]: Not found: "b": must be one of the names in pod.spec.resourceClaims: a',
  ])
  deepStrictEqual(await refused({ restartPolicy: 'Never' }, { resizePolicy: [{ resourceName: 'gpu', restartPolicy: 'RestartContainer' }] }), [
    'spec.containers[0].resizePolicy: Unsupported value: "gpu": supported values: "cpu", "memory"', "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when pod `restartPolicy` is 'Never'",
  ])
  deepStrictEqual(await refused({ resources: { requests: { cpu: '1' }, limits: { cpu: '2' } } }, { resources: { requests: { cpu: '1500m' }, limits: { cpu: '3' } } }), [
    'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 1500m', 'spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 2',
  ])
})

test('an operating system rules out what it does not know', async () => {
  deepStrictEqual(await refused({ os: { name: 'linux' }, securityContext: { windowsOptions: {} } }), ['spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod'])
  deepStrictEqual(await refused({ os: { name: 'windows' }, hostPID: true }, { securityContext: { privileged: true } }), ['spec.hostPID: Forbidden: cannot be set for a windows pod', 'spec.containers[0].securityContext.privileged: Forbidden: cannot be set for a windows pod'])
  deepStrictEqual(await refused({}, { lifecycle: { stopSignal: 'SIGUSR1' } }), ['spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`'])
})

test('mounts, devices and old plugins', async () => {
  const volumes = [{ name: 'c', persistentVolumeClaim: { claimName: 'x' } }, { name: 'e', emptyDir: {} }]
  deepStrictEqual(await refused({ volumes }, { volumeMounts: [{ name: 'c', mountPath: '/a' }], volumeDevices: [{ name: 'c', devicePath: '/a' }, { name: 'e', devicePath: '/../b' }] }), [
    'spec.containers[0].volumeMounts[0].name: Invalid value: "c": must not already exist in volumeDevices', 'spec.containers[0].volumeMounts[0].mountPath: Invalid value: "/a": must not already exist as a path in volumeDevices',
    'spec.containers[0].volumeDevices[0].name: Invalid value: "c": must not already exist in volumeMounts', 'spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/a": must not already exist as a path in volumeMounts',
    'spec.containers[0].volumeDevices[1].name: Invalid value: "e": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode', 'spec.containers[0].volumeDevices[1].devicePath: Invalid value: "/../b": can not contain backsteps (\'..\')',
  ])
  deepStrictEqual(await refused({ volumes: [{ name: 'g', gcePersistentDisk: { partition: 300 } }, { name: 'f', fc: {} }, { name: 'p', ephemeral: { volumeClaimTemplate: { spec: { accessModes: ['ReadWriteOnce'] } } } }] }), [
    'spec.volumes[0].persistentDisk.pdName: Required value', 'spec.volumes[0].persistentDisk.partition: Invalid value: 300: must be between 1 and 255, inclusive',
    'spec.volumes[1].fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both', 'spec.volumes[2].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value',
  ])
})

test('hooks sleep no longer than the pod waits; label keys need a selector; host names fit', async () => {
  deepStrictEqual(await refused({ terminationGracePeriodSeconds: 5 }, { lifecycle: { preStop: { sleep: { seconds: 6 } } } }), ['spec.containers[0].lifecycle.preStop.sleep: Invalid value: 6: must be non-negative and less than terminationGracePeriodSeconds (5)'])
  deepStrictEqual(await refused({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'a', matchLabelKeys: ['x'] }] } } }), ['spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set'])
  deepStrictEqual(await refused({ hostnameOverride: 'a', hostNetwork: true }), ['spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true'])
})

test('a path stays inside its volume, a source is one of its kind, and what is wrong with a volume keeps mounts from naming it', async () => {
  deepStrictEqual(await refused({ volumes: [{ name: 'g', gitRepo: { repository: 'r', directory: '../up' } }, { name: 'two', emptyDir: {}, hostPath: { path: '/x' } }, { name: 'a', azureDisk: { diskName: 'd', diskURI: 'http://x', kind: 'Shared' } }] }, { volumeMounts: [{ name: 'g', mountPath: '/g', subPath: '/abs' }] }), [
    "spec.volumes[0].gitRepo.directory: Invalid value: \"../up\": must not contain '..'", 'spec.volumes[1].hostPath: Forbidden: may not specify more than 1 volume type',
    'spec.volumes[2].azureDisk.diskURI: Unsupported value: "http://x": supported values: "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"',
    'spec.containers[0].volumeMounts[0].name: Not found: "g"', 'spec.containers[0].volumeMounts.subPath: Invalid value: "/abs": must be a relative path',
  ])
})

test('what is counted comes whole, in its own size, and under a known name', async () => {
  const found = await refused({}, { resources: { limits: { disk: '1', 'example.com/gpu': '500m', 'hugepages-2Mi': '3Mi', cpu: '1' }, requests: { 'example.com/gpu': '1' } } })
  // Requests that are not given are the limits: what is wrong with these is wrong with those.
  deepStrictEqual(found.filter((line) => !line.includes('.requests[')), [
    'spec.containers[0].resources.limits[disk]: Invalid value: "disk": must be a standard resource type or fully qualified', 'spec.containers[0].resources.limits[disk]: Invalid value: "disk": must be a standard resource for containers',
    'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer', 'spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
    'spec.containers[0].resources.requests: Invalid value: "1": must be equal to example.com/gpu limit of 500m',
  ])
})

test('annotations of old say no other than the fields that replaced them, and who is a mirror has a node', async () => {
  const annotations = { 'kubernetes.io/config.mirror': 'x', 'controller.kubernetes.io/pod-deletion-cost': '+1', 'container.seccomp.security.alpha.kubernetes.io/c': 'unconfined', 'container.apparmor.security.beta.kubernetes.io/other': 'runtime/foo' }
  const body = pod({ annotations }, {}, { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } })
  deepStrictEqual(causes(await cluster().call('POST', PODS, body)), [
    'metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set', 'metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must be a 32bit integer',
    'metadata.annotations[container.apparmor.security.beta.kubernetes.io/other]: Invalid value: "other": container not found', 'metadata.annotations[container.apparmor.security.beta.kubernetes.io/other]: Invalid value: "runtime/foo": invalid AppArmor profile name: "runtime/foo"',
    'spec.containers[0].securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match',
  ])
})

test('a gated pod may be told of fewer nodes, not of others', async () => {
  const c = cluster()
  const term = (...values: string[]) => ({ nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: values.map((key) => ({ key, operator: 'Exists' })) }] } } })
  await c.create(PODS, pod({}, { schedulingGates: [{ name: 'g' }], nodeSelector: { a: '1' }, affinity: term('x') }))
  const patch = async (spec: unknown) => causes(await c.call('PATCH', `${PODS}/p`, { spec }, MERGE))
  deepStrictEqual([
    await patch({ nodeSelector: { b: '2' }, affinity: term('x', 'y') }), await patch({ nodeSelector: { a: '3' } }), await patch({ affinity: term('y') }), await patch({ schedulingGates: [{ name: 'h' }] }),
  ].map((list) => list.map((line) => line.replace(/\{.*\}/, '{}'))), [
    ['200 '],
    ['spec.nodeSelector: Invalid value: {}: only additions to spec.nodeSelector are allowed (no mutations or deletions)'],
    ['spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]: Invalid value: {}: only additions are allowed (no mutations or deletions)'],
    ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'h'"],
  ])
})

test('a StatefulSet mounts the claims it makes', async () => {
  const claim = { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }
  const set = (mount: string) => ({
    apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 's' },
    spec: { serviceName: 's', selector: { matchLabels: { a: 'b' } }, volumeClaimTemplates: [claim], template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i', volumeMounts: [{ name: mount, mountPath: '/d' }] }] } } },
  })
  const c = cluster()
  const sets = '/apis/apps/v1/namespaces/default/statefulsets'
  deepStrictEqual([causes(await c.call('POST', sets, set('other'))), (await c.call('POST', sets, set('data'))).status], [['spec.template.spec.containers[0].volumeMounts[0].name: Not found: "other"'], 201])
  // They are volumes like others, in what is said of them, too; of which kind is not up to the writer.
  const bad = { ...set('data'), spec: { ...set('data').spec, volumeClaimTemplates: [{ ...claim, metadata: { name: 'a.b' } }, claim] } }
  deepStrictEqual(causes(await c.call('POST', sets, bad)).map((text) => text.split(' (e.g.')[0]), ['spec.template.spec.volumes[0].name: Invalid value: "a.b": must not contain dots'])
  const put = await c.call('PUT', `${sets}/s`, { ...set('data'), spec: { ...set('data').spec, volumeClaimTemplates: [{ ...claim, apiVersion: 'x/y', kind: 'Z' }] } })
  deepStrictEqual([put.status, (put.json['metadata'] as unknown as { generation: number }).generation], [200, 1])
})

test('variables of a file, signals, whole pods and host processes are checked', async () => {
  const volumes = [{ name: 'e', emptyDir: {} }, { name: 'h', hostPath: { path: '/x' } }]
  const fromFile = (fileKeyRef: object) => refused({ volumes }, { env: [{ name: 'A', valueFrom: { fileKeyRef } }] })
  const at = 'spec.containers[0].env[0].valueFrom.fileKeyRef'
  deepStrictEqual([await fromFile({ volumeName: 'e', path: 'a/b', key: 'K' }), await fromFile({ volumeName: 'h', path: '../b', key: 'K=' }), await fromFile({ volumeName: 'E', path: '', key: '' })].map((c) => c.map((text) => text.split(' (e.g.')[0])), [
    ['201 '],
    [`${at}.key: Invalid value: "K=": a valid environment variable name must consist only of printable ASCII characters other than '='`, `${at}.path: Invalid value: "../b": must not contain '..'`, `${at}.volumeName: Invalid value: "h": referenced volume must be of type emptyDir`],
    [`${at}.key: Required value`, `${at}.volumeName: Invalid value: "E": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character`, `${at}.path: Required value`, `${at}.volumeName: Not found: "E"`],
  ])
  const signal = async (os: string, stopSignal: string): Promise<string[]> => (await refused({ os: { name: os } }, { lifecycle: { stopSignal } })).map((text) => text.slice(0, 130))
  deepStrictEqual([await signal('linux', 'SIGRTMIN+15'), await signal('linux', 'SIGRTMIN+16'), await signal('windows', 'SIGHUP')], [
    ['201 '], ['spec.containers[0].lifecycle.stopSignal: Unsupported value: "SIGRTMIN+16": supported values: "SIGABRT", "SIGALRM", "SIGBUS", "SIGC'], ['spec.containers[0].lifecycle.stopSignal: Unsupported value: "SIGHUP": supported values: "SIGKILL", "SIGTERM"'],
  ])
  deepStrictEqual([await refused({ resourceClaims: [{ name: 'c', resourceClaimName: 'x' }], resources: { claims: [{ name: 'c' }] } }), await refused({ resources: {}, os: { name: 'windows' } }), await refused({ resources: { limits: { gpu: '1', 'example.com/gpu': '1' } } }), await refused({ hostUsers: false, volumes: [{ name: 'p', persistentVolumeClaim: { claimName: 'c' } }] }, { volumeDevices: [{ name: 'p', devicePath: '/d' }] }), await refused({ os: { name: 'plan9' } })], [
    ['spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level'], ['spec.resources: Forbidden: may not be set for a windows pod'],
    ['spec.resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified', 'spec.resources.limits[example.com/gpu]: Unsupported value: "example.com/gpu": supported values: "cpu", "hugepages-", "memory"'],
    ['spec.containers[0].volumeDevices: Forbidden: when `hostUsers` is false'], ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"'],
  ])
  const windows = { os: { name: 'windows' }, securityContext: { windowsOptions: { hostProcess: true } } }
  deepStrictEqual([await refused({ ...windows, hostNetwork: true }), await refused(windows, { securityContext: { windowsOptions: { hostProcess: false } } }), await refused({ ...windows, initContainers: [{ name: 'i', image: 'i', securityContext: { windowsOptions: { hostProcess: false } } }] })], [
    ['201 '],
    ['spec.containers[0].securityContext.windowsOptions.hostProcess: Invalid value: false: pod hostProcess value must be identical if both are specified, was true'],
    ['spec.initContainers[0].securityContext.windowsOptions.hostProcess: Invalid value: false: pod hostProcess value must be identical if both are specified, was true', 'spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess containers', 'spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers'],
  ])
})

test('pods are spread by a key once, and keys that make selectors are not selected by twice', async () => {
  const spread = (...constraints: object[]) => refused({ topologySpreadConstraints: constraints.map((c) => ({ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {}, ...c })) })
  const at = 'spec.topologySpreadConstraints'
  deepStrictEqual([await spread({}, {}), await spread({ whenUnsatisfiable: 'Wait', minDomains: 1 }), await spread({ matchLabelKeys: ['a!'] }), await spread({ matchLabelKeys: ['app'], labelSelector: { matchLabels: { app: 'x' }, matchExpressions: [{ key: 'app', operator: 'Exists' }] } })].map((c) => c.map((text) => text.split(' (e.g.')[0])), [
    [`${at}[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{zone, DoNotSchedule}"`],
    [`${at}[0].whenUnsatisfiable: Unsupported value: "Wait": supported values: "DoNotSchedule", "ScheduleAnyway"`, `${at}[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not Wait`],
    [`${at}[0].matchLabelKeys[0]: Invalid value: "a!": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`],
    [`${at}[0][0]: Invalid value: "app": exists in both matchLabelKeys and labelSelector`],
  ])
})
