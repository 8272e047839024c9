import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { PodSecurityContext } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock, type Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import { systemRandom } from '#base/random.ts'
import { podPaths } from '../pod-paths.ts'
import { createStorageOperations } from '../stats/storage-operations.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import { systemMounter } from './mounter.ts'
import { memoryVolumeSize } from './empty-dir.ts'
import { createPodVolumes } from './pod-volumes.ts'
import { ATTACH_LIMIT, VolumeStepError } from './volume-error.ts'

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'mounting and changing owners need root' }
const never = () => Promise.reject(new Error('nobody is asked for this'))

test('a volume in memory holds what its pod may use at most: its own limit, else the pod\'s where each container has one, else what all pods have', () => {
  const of = (limits: (string | undefined)[], sizeLimit?: string) => memoryVolumeSize(aPod({ containers: limits.map((memory, i) => aContainer(`c${i}`, { resources: { requests: { memory: '1Mi' }, ...(memory !== undefined && { limits: { memory } }) } })) }), { name: 'v', emptyDir: { medium: 'Memory', ...(sizeLimit !== undefined && { sizeLimit }) } }, '1Gi').sizeBytes
  const MI = 2 ** 20
  assert.deepStrictEqual([of([undefined]), of(['64Mi', undefined]), of(['64Mi', '32Mi']), of(['64Mi'], '8Mi'), of(['64Mi'], '2Gi'), of(['4Gi'], '2Gi')], [1024, 1024, 96, 8, 64, 1024].map((n) => n * MI))
})

/** A pod with a token and a ConfigMap in one volume; `token` is what the next setUp or refresh gets. */
function world(t: TestContext, securityContext: PodSecurityContext, containers = [aContainer('app')], { clock = systemClock, claim = () => Promise.resolve(undefined) }: { clock?: Clock; claim?: () => Promise<undefined> } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'pod-volumes-'))
  t.after(async () => {
    for (const point of await systemMounter.below(dir)) await systemMounter.unmount(point)
    rmSync(dir, { recursive: true, force: true })
  })
  const paths = podPaths(dir, join(dir, 'logs'))
  const given = { token: 'first' }
  const pod = aPod({
    securityContext, containers: containers.map((c) => ({ ...c, volumeMounts: [{ name: 'v', mountPath: '/v' }] })),
    volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { configMap: { name: 'c' } }] } }],
  })
  const volumes = createPodVolumes({
    paths, mounter: systemMounter, clock, random: systemRandom,
    objects: { configMap: () => Promise.resolve({ data: { a: '1' } }), secret: never, runtimeClass: never, read: never, release() { /* nothing is kept */ }, onChange: () => () => { /* nothing changes */ }, close() { /* nothing is open */ } },
    tokens: { get: () => Promise.resolve(given.token), nextRefreshMs: () => undefined, release() { /* nothing is kept */ } },
    persistent: { setUp: claim, locate: never, refresh: () => Promise.resolve(), usage: never, plugin: () => undefined, tearDown: never },
    operations: createStorageOperations(systemClock),
    field: () => ({ pod, nodeName: 'n', hostIps: [], podIps: [], allocatable: {} }),
  })
  const look = (name: string): string => {
    const path = join(paths.volume(pod.metadata.uid, 'kubernetes.io~projected', 'v'), name)
    const { uid, gid, mode } = statSync(path)
    return `${readFileSync(path, 'utf8')} ${uid}:${gid} ${(mode & 0o777).toString(8)}`
  }
  return { pod, volumes, given, look }
}

const table: [string, PodSecurityContext, token: string, file: string][] = [
  ['nobody', {}, 'first 0:0 644', '1 0:0 644'],
  ['the user that all containers run as', { runAsUser: 1000 }, 'first 1000:0 600', '1 0:0 644'],
  ['the group of the pod\'s files', { fsGroup: 10_000 }, 'first 0:10000 640', '1 0:10000 644'],
  ['both', { runAsUser: 1000, fsGroup: 10_000 }, 'first 1000:10000 640', '1 0:10000 644'],
]
for (const [whose, securityContext, token, file] of table) {
  test(`a token belongs to ${whose}, and other files of its volume to the group alone`, needsRoot, async (t) => {
    const { pod, volumes, look } = world(t, securityContext)
    await volumes.setUp(pod)
    assert.deepEqual([look('token'), look('a')], [token, file])
  })
}

test('a token belongs to no user where containers run as several', needsRoot, async (t) => {
  const { pod, volumes, look } = world(t, {}, [aContainer('a', { securityContext: { runAsUser: 1 } }), aContainer('b', { securityContext: { runAsUser: 2 } })])
  await volumes.setUp(pod)
  assert.equal(look('token'), 'first 0:0 644')
})

test('what no container names is not there; an ephemeral container that is the first to name it has it, and it is kept up to date from then on', needsRoot, async (t) => {
  const { pod, volumes, given, look } = world(t, {})
  const unused = { ...pod, spec: { ...pod.spec, containers: [aContainer('app')] } }
  await volumes.setUp(unused)
  await volumes.refresh(unused)
  assert.throws(() => look('token'), { code: 'ENOENT' })
  const debug = aContainer('debug', { volumeMounts: [{ name: 'v', mountPath: '/v' }] })
  const [mount] = await volumes.mounts({ ...unused, spec: { ...unused.spec, ephemeralContainers: [debug] } }, debug, { expand: (text) => ({ text }), canRecursiveReadOnly: false, volumeImages: new Map() })
  assert.deepEqual([mount?.containerPath, look('token')], ['/v', 'first 0:0 644'])
  given.token = 'second'
  await volumes.refresh(unused)
  assert.equal(look('token'), 'second 0:0 644')
})

test('what is wrong with a mount is said in upstream\'s words, and nothing of what is where on the machine; a subpath of files that is not there is made', needsRoot, async (t) => {
  const { pod, volumes } = world(t, {})
  await volumes.setUp(pod)
  const of = async (more: object) => {
    const container = aContainer('app', { volumeMounts: [{ name: 'v', mountPath: '/v', ...more }] })
    try {
      const [mount] = await volumes.mounts(pod, container, { expand: (text) => ({ text }), canRecursiveReadOnly: false, volumeImages: new Map() })
      return statSync(mount?.hostPath ?? '').isDirectory()
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.deepStrictEqual([
    await of({ name: 'none' }), await of({ subPathExpr: '/etc' }), await of({ subPath: 'a/../b' }), await of({ subPath: 'a/b' }), await of({ readOnly: true, recursiveReadOnly: 'Enabled' }), await of({ subPath: 'none' }), await of({ subPath: 'a' }),
  ], [
    'cannot find volume "none" to mount into container "app"', 'error SubPath `/etc` must not be an absolute path', 'unable to provision SubPath `a/../b`: must not contain \'..\'',
    'failed to prepare subPath for volumeMount "v" of container "app"', 'failed to resolve recursive read-only mode: volume "v" requested recursive read-only mode, but it is not supported by the runtime', true, false,
  ])
})

test('what is mounted below a volume that the agent fills has a directory there, for an ephemeral container, too', needsRoot, async (t) => {
  const { pod, volumes, look } = world(t, { fsGroup: 10_000 }, [aContainer('app')])
  const mounts = [{ name: 'v', mountPath: '/v' }, { name: 'w', mountPath: '/v/run/x' }]
  await volumes.setUp({ ...pod, spec: { ...pod.spec, containers: [aContainer('app', { volumeMounts: mounts.slice(0, 1) }), aContainer('other', { volumeMounts: mounts })] } })
  assert.equal(look('token'), 'first 0:10000 640')
  const debug = aContainer('debug', { volumeMounts: [{ name: 'v', mountPath: '/v' }, { name: 'w', mountPath: '/v/later' }] })
  const [mount] = await volumes.mounts({ ...pod, spec: { ...pod.spec, containers: [], ephemeralContainers: [debug] } }, { ...debug, volumeMounts: mounts.slice(0, 1) }, { expand: (text) => ({ text }), canRecursiveReadOnly: false, volumeImages: new Map() })
  assert.deepEqual(['run', 'run/x', 'later'].map((name) => statSync(join(mount?.hostPath ?? '', name)).isDirectory()), [true, true, true])
})

test('volumes are counted by plugin while their pod has them: those that are wanted, and those that are there', needsRoot, async (t) => {
  const { pod, volumes } = world(t, {})
  const both = { ...pod, spec: { ...pod.spec, containers: [aContainer('app', { volumeMounts: ['v', 'p', 'e'].map((name) => ({ name, mountPath: `/${name}` })) })], volumes: [...pod.spec?.volumes ?? [], { name: 'p', hostPath: { path: '/none', type: 'Directory' } }, { name: 'e', emptyDir: {} }] } }
  await assert.rejects(volumes.setUp(both), { message: 'MountVolume.SetUp failed for volume "p" : hostPath type check failed: /none is not a directory' })
  assert.deepEqual(volumes.counts(), { desired: ['kubernetes.io/projected', 'kubernetes.io/host-path', 'kubernetes.io/empty-dir'], actual: ['kubernetes.io/projected', 'kubernetes.io/empty-dir'] })
})

test('a pod waits two minutes for what its node can attach no more, and is told what it waits for; then it is one that the node cannot have', async (t) => {
  const clock = new FakeClock()
  const { pod, volumes } = world(t, {}, [aContainer('app')], { clock, claim: () => Promise.reject(new VolumeStepError('WaitForAttach', 'pv', new CodedError(ATTACH_LIMIT, 'full'))) })
  const far = { ...pod, spec: { ...pod.spec, containers: pod.spec?.containers ?? [], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] } }
  const waits = { code: 'VOLUME_FAILED', message: 'MountVolume.WaitForAttach failed for volume "pv" : full' }
  await assert.rejects(volumes.setUp(far), waits)
  await clock.advance(122_999)
  await assert.rejects(volumes.setUp(far), waits)
  await clock.advance(1)
  await assert.rejects(volumes.setUp(far), { code: 'VOLUME_LIMIT', message: 'Node has reached its volume attachment limit, rejecting pod. unmounted volumes=[v], unattached volumes=[v], failed to process volumes=[]: context deadline exceeded' })
})

test('volumes of Git repositories are off, as upstream since 1.33, and say so', async (t) => {
  const { pod, volumes } = world(t, {})
  const cloned = { ...pod, spec: { ...pod.spec, containers: pod.spec?.containers ?? [], volumes: [{ name: 'v', gitRepo: { repository: 'https://git.invalid/x' } }] } }
  await assert.rejects(volumes.setUp(cloned), { code: 'VOLUME_FAILED', message: 'MountVolume.SetUp failed for volume "v" : git-repo volume plugin has been disabled' })
})

test('a renewed token belongs to the group as well, whatever fsGroupChangePolicy says', needsRoot, async (t) => {
  const { pod, volumes, given, look } = world(t, { fsGroup: 10_000, fsGroupChangePolicy: 'OnRootMismatch' })
  await volumes.setUp(pod)
  given.token = 'second'
  await volumes.refresh(pod)
  assert.equal(look('token'), 'second 0:10000 640')
})
