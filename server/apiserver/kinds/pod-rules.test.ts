import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { causes, cluster, pod, PODS } from './kinds.test-support.ts'

const refused = async (spec: Record<string, unknown>, container: Record<string, unknown> = {}): Promise<string[]> => causes(await cluster().call('POST', PODS, pod({}, spec, container)))

test('what a pod asks of devices, of resizing and as a whole is checked', async () => {
  deepStrictEqual(await refused({ resourceClaims: [{ name: 'a' }, { name: 'a', resourceClaimName: 'x' }] }, { resources: { claims: [{ name: 'b' }] } }), [
    'spec.containers[0].resources.claims[0]: Not found: "b": must be one of the names in pod.spec.resourceClaims: a, a',
    'spec.resourceClaims[0]: Invalid value: {"name":"a"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`', 'spec.resourceClaims[1].name: Duplicate value: "a"',
  ])
  deepStrictEqual(await refused({ restartPolicy: 'Never' }, { resizePolicy: [{ resourceName: 'gpu', restartPolicy: 'RestartContainer' }] }), [
    'spec.containers[0].resizePolicy: Unsupported value: "gpu": supported values: "cpu", "memory"', "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when `restartPolicy` is 'Never'",
  ])
  deepStrictEqual(await refused({ resources: { requests: { cpu: '1' }, limits: { cpu: '2' } } }, { resources: { requests: { cpu: '1500m' }, limits: { cpu: '3' } } }), [
    'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 1500m', 'spec.containers[0].resources.limits[cpu]: Invalid value: "3": must be less than or equal to pod limits of 2',
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
    'spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/a": must not already exist as a path in volumeMounts', 'spec.containers[0].volumeDevices[0].name: Invalid value: "c": must not already exist in volumeMounts',
    'spec.containers[0].volumeDevices[1].name: Invalid value: "e": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode', 'spec.containers[0].volumeDevices[1].devicePath: Invalid value: "/../b": must not contain \'..\'',
  ])
  deepStrictEqual(await refused({ volumes: [{ name: 'g', gcePersistentDisk: { partition: 300 } }, { name: 'f', fc: {} }, { name: 'p', ephemeral: { volumeClaimTemplate: { spec: { accessModes: ['ReadWriteOnce'] } } } }] }), [
    'spec.volumes[0].gcePersistentDisk.pdName: Required value', 'spec.volumes[0].gcePersistentDisk.partition: Invalid value: 300: must be between 0 and 255, inclusive',
    'spec.volumes[1].fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both', 'spec.volumes[2].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value',
  ])
})

test('hooks sleep no longer than the pod waits; label keys need a selector; host names fit', async () => {
  deepStrictEqual(await refused({ terminationGracePeriodSeconds: 5 }, { lifecycle: { preStop: { sleep: { seconds: 6 } } } }), ['spec.containers[0].lifecycle.preStop.sleep: Invalid value: 6: must be non-negative and less than terminationGracePeriodSeconds (5)'])
  deepStrictEqual(await refused({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'a', matchLabelKeys: ['x'] }] } } }), ['spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set'])
  deepStrictEqual(await refused({ hostnameOverride: 'a', hostNetwork: true }), ['spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true'])
})
