/** Data that outlives pods: claims bound to volumes of a CSI driver, of local disks and of host paths, on real nodes under kill -9. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const DRIVER = 'hostpath.csi.test'
const STORAGE_CLASS = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'by-hand' }, provisioner: 'kubernetes.io/no-provisioner' }

const volume = (name: string, spec: object) => ({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'by-hand', persistentVolumeReclaimPolicy: 'Retain', ...spec } })
const claim = (name: string, volumeName: string) => ({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name }, spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'by-hand', volumeName, resources: { requests: { storage: '1Gi' } } } })
const pod = (name: string, claimName: string, command: string, spec: object = {}) => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name },
  spec: {
    terminationGracePeriodSeconds: 1, restartPolicy: 'Never', containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', `trap "exit 0" TERM; ${command}; sleep 3600 & wait $!`], volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }], ...spec,
  },
})

const rootDir = (host: LabHost) => join(host.dir, 'kubelet')
const LOOP = spawnSync('losetup', ['-f']).status === 0 ? false : 'no loop devices here'

describe('volumes that outlive pods', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let driver: ChildProcess | undefined
  const node = (): LabHost => {
    const host = cluster.lab.hosts[1]
    if (!host) throw new Error('the lab has no second host')
    return host
  }
  const here = () => ({ required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node().name] }] }] } })
  const apply = (...objects: object[]) => cluster.must(['apply', '-f', '-'], { input: objects.map((o) => JSON.stringify(o)).join('\n') })
  const inPod = async (name: string, ...command: string[]) => (await cluster.must(['exec', name, '--', ...command])).trim()
  const startDriver = async () => {
    driver = node().start('csi', [process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'csi-driver.ts'), DRIVER, node().name, rootDir(node()), join(node().dir, 'storage')])
    await until('the driver is in the CSINode', 20_000, async () => (await cluster.kubectl(['get', 'csinode', node().name, '-o', 'jsonpath={.spec.drivers[*].name}'])).stdout === DRIVER)
  }
  /** What external-attacher would do, for one attachment. */
  const attach = async () => {
    await until('the attach controller asks for it, and it is attached', 30_000, async () => {
      const [name = '', attached] = (await cluster.must(['get', 'volumeattachments', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.status.attached}{end}'])).split(' ')
      if (name !== '' && attached !== 'true') await cluster.kubectl(['patch', 'volumeattachment', name, '--subresource=status', '--type=merge', '-p', '{"status":{"attached":true,"attachmentMetadata":{"device":"/dev/none"}}}'])
      return attached === 'true'
    })
  }

  before(async () => {
    // As on a machine of its own, where it is /var/lib/kubelet and not the agent's directory.
    cluster = await Cluster.create({ hosts: 2, prepare: (host) => Promise.resolve(['--root-dir', rootDir(host)]) })
    await apply(STORAGE_CLASS, { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { name: DRIVER }, spec: { attachRequired: true, podInfoOnMount: true, fsGroupPolicy: 'File' } })
  })
  after(async () => {
    driver?.kill('SIGTERM')
    await cluster.destroy()
  })

  it('of a CSI driver: attached by the cluster, mounted for one pod after the other, let go in the end', async () => {
    await apply(
      volume('csi-1', { csi: { driver: DRIVER, volumeHandle: 'handle-1' } }), claim('data', 'csi-1'),
      pod('first', 'data', 'echo kept > /data/file', { nodeName: node().name, securityContext: { fsGroup: 4711 } }),
    )
    await until('the pod waits for the driver, and says so', 30_000, async () => /driver name hostpath\.csi\.test not found in the list of registered CSI drivers|waiting for external-attacher/.test(await cluster.must(['get', 'events', '-o', 'jsonpath={.items[*].message}'])))
    await startDriver()
    await attach()
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/first'], { timeoutMs: 70_000 })
    assert.deepStrictEqual([await inPod('first', 'cat', '/data/file'), await inPod('first', 'stat', '-c', '%g', '/data')], ['kept', '4711'])
    await until('the node says that it uses it', 30_000, async () => (await cluster.must(['get', 'node', node().name, '-o', 'jsonpath={.status.volumesInUse[*]}'])) === `kubernetes.io/csi/${DRIVER}^handle-1`)
    await cluster.must(['delete', 'pod', 'first', '--timeout=60s'], { timeoutMs: 70_000 })
    await apply(pod('second', 'data', 'true', { nodeName: node().name }))
    await attach()
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/second'], { timeoutMs: 70_000 })
    assert.equal(await inPod('second', 'cat', '/data/file'), 'kept')
  })

  it('stays mounted through kill -9 of the agent, and is unmounted by its next life', async () => {
    await cluster.stop(node(), 'SIGKILL')
    cluster.start(node())
    await cluster.waitForNodes()
    await until('the pod can be reached', 30_000, async () => (await cluster.kubectl(['exec', 'second', '--', 'cat', '/data/file'])).stdout.trim() === 'kept')
    await cluster.must(['delete', 'pod', 'second', '--timeout=60s'], { timeoutMs: 70_000 })
    await until('the cluster lets go of the volume', 60_000, async () => (await cluster.must(['get', 'volumeattachments', '-o', 'name'])).trim() === '')
    const mounts = () => readFileSync(`/proc/${node().holderPid}/mounts`, 'utf8')
    assert.ok(!mounts().includes('kubernetes.io~csi') && !mounts().includes('globalmount'), mounts())
    assert.equal(readFileSync(join(node().dir, 'storage/handle-1/file'), 'utf8'), 'kept\n')
  })

  it('of the pod alone: mounted one below the other, and a restart of the agent changes nothing that containers made of them', async () => {
    await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { 'app.conf': 'x=1' } }, {
      apiVersion: 'v1', kind: 'Pod', metadata: { name: 'nested' },
      spec: {
        nodeName: node().name, terminationGracePeriodSeconds: 1, securityContext: { fsGroup: 4711 },
        containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', 'trap "exit 0" TERM; sleep 3600 & wait $!'], volumeMounts: [{ name: 'settings', mountPath: '/etc/app' }, { name: 'run', mountPath: '/etc/app/run' }, { name: 'memory', mountPath: '/memory' }] }],
        volumes: [{ name: 'settings', configMap: { name: 'settings' } }, { name: 'run', emptyDir: {} }, { name: 'memory', emptyDir: { medium: 'Memory' } }],
      },
    })
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/nested'], { timeoutMs: 70_000 })
    await inPod('nested', 'sh', '-c', 'for d in /etc/app/run /memory; do echo secret > $d/key; chmod 600 $d/key; chmod 700 $d; done')
    const told = () => inPod('nested', 'stat', '-c', '%n %a %g', '/etc/app/run', '/etc/app/run/key', '/memory', '/memory/key')
    // Files are of the group by the directories' bit.
    const made = ['/etc/app/run 700 4711', '/etc/app/run/key 600 4711', '/memory 700 4711', '/memory/key 600 4711'].join('\n')
    assert.deepStrictEqual([await inPod('nested', 'cat', '/etc/app/app.conf'), await told()], ['x=1', made])
    const figures = async () => cluster.must(['get', '--raw', `/api/v1/nodes/${node().name}/proxy/metrics`])
    assert.match(await figures(), /^volume_manager_total_volumes\{plugin_name="kubernetes.io\/empty-dir",state="actual_state_of_world"\} 2$/m)
    await cluster.stop(node(), 'SIGKILL')
    cluster.start(node())
    await cluster.waitForNodes()
    await until('the next life has looked after the volumes', 60_000, async () => /^volume_manager_total_volumes\{plugin_name="kubernetes.io\/empty-dir",state="actual_state_of_world"\} 2$/m.test((await cluster.kubectl(['get', '--raw', `/api/v1/nodes/${node().name}/proxy/metrics`])).stdout))
    assert.equal(await told(), made)
    await cluster.must(['delete', 'pod', 'nested', '--timeout=60s'], { timeoutMs: 70_000 })
    assert.match(await figures(), /^storage_operation_duration_seconds_count\{migrated="false",operation_name="volume_unmount",status="success",volume_plugin="kubernetes.io\/empty-dir"\} 2$/m)
  })

  it('grow while they are used: the node makes the file system larger, and tells how full it is', async () => {
    const mebi = 1024 * 1024
    await apply(
      { ...volume('grown', { csi: { driver: DRIVER, volumeHandle: 'handle-grown', volumeAttributes: { ram: String(16 * mebi) } }, capacity: { storage: '16Mi' } }) },
      { ...claim('grown', 'grown'), spec: { ...claim('grown', 'grown').spec, resources: { requests: { storage: '16Mi' } } } }, pod('grower', 'grown', 'true', { nodeName: node().name }),
    )
    await attach()
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/grower'], { timeoutMs: 70_000 })
    const blocks = async () => (await inPod('grower', 'df', '-k', '/data')).split('\n').at(-1)?.split(/ +/)[1]
    assert.equal(await blocks(), String(16 * 1024))
    // What external-resizer does once the disk has grown: first the volume, then the claim.
    await cluster.must(['patch', 'pv', 'grown', '-p', '{"spec":{"capacity":{"storage":"48Mi"}}}'])
    await cluster.must(['patch', 'pvc', 'grown', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { allocatedResourceStatuses: { storage: 'NodeResizePending' }, conditions: [{ type: 'FileSystemResizePending', status: 'True' }] } })])
    // The node looks once a minute; one that has just been told of the pod looks at once.
    await cluster.must(['annotate', 'pod', 'grower', 'looked=at'])
    await until('the claim says that it has grown', 70_000, async () => (await cluster.must(['get', 'pvc', 'grown', '-o', 'jsonpath={.status.capacity.storage} {.status.allocatedResourceStatuses} {.status.conditions}'])).trim() === '48Mi')
    assert.equal(await blocks(), String(48 * 1024))
    const summary = JSON.parse(await cluster.must(['get', '--raw', `/api/v1/nodes/${node().name}/proxy/stats/summary`])) as { pods: { podRef: { name: string }; volume?: { name: string; capacityBytes: number; pvcRef?: object }[] }[] }
    const told = summary.pods.find((p) => p.podRef.name === 'grower')?.volume?.find((v) => v.name === 'data')
    assert.deepStrictEqual([told?.pvcRef, told?.capacityBytes], [{ name: 'grown', namespace: 'default' }, 48 * mebi])
    assert.match(await cluster.must(['get', '--raw', `/api/v1/nodes/${node().name}/proxy/metrics`]), /^kubelet_volume_stats_capacity_bytes\{namespace="default",persistentvolumeclaim="grown"\} 50331648$/m)
    await cluster.must(['delete', 'pod', 'grower', '--timeout=60s'], { timeoutMs: 70_000 })
  })

  it('of mode Block: the device itself is in the container, of a CSI driver and of a local disk', { skip: LOOP }, async (t) => {
    const image = join(node().dir, 'image')
    writeFileSync(image, '')
    truncateSync(image, 16 * 1024 * 1024)
    const disk = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim()
    t.after(() => execFileSync('losetup', ['-d', disk]))
    const block = { volumeMode: 'Block' }
    const device = (name: string, claimName: string) => ({ ...pod(name, claimName, 'true'), spec: { ...pod(name, claimName, 'true', { nodeName: node().name }).spec, containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', 'trap "exit 0" TERM; printf raw > /dev/xvda; sleep 3600 & wait $!'], volumeDevices: [{ name: 'data', devicePath: '/dev/xvda' }] }] } })
    const rawClaim = (name: string, volumeName: string) => ({ ...claim(name, volumeName), spec: { ...claim(name, volumeName).spec, ...block } })
    await apply(
      volume('raw-csi', { csi: { driver: DRIVER, volumeHandle: 'handle-raw' }, ...block }), rawClaim('raw-csi', 'raw-csi'), device('raw-csi', 'raw-csi'),
      volume('raw-disk', { local: { path: disk }, nodeAffinity: here(), ...block }), rawClaim('raw-disk', 'raw-disk'), device('raw-disk', 'raw-disk'),
    )
    await attach()
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/raw-csi', 'pod/raw-disk'], { timeoutMs: 70_000 })
    for (const name of ['raw-csi', 'raw-disk']) {
      await until(`${name} has written`, 20_000, async () => (await inPod(name, 'head', '-c', '3', '/dev/xvda')) === 'raw')
      assert.match(await inPod(name, 'ls', '-l', '/dev/xvda'), /^b/)
    }
    await cluster.must(['delete', 'pod', 'raw-csi', 'raw-disk', '--timeout=60s'], { timeoutMs: 70_000 })
    assert.equal(readFileSync(disk).subarray(0, 3).toString(), 'raw')
    await cluster.must(['delete', 'pvc', 'raw-disk'])
    await cluster.must(['delete', 'pv', 'raw-disk'])

    // The same disk, blank again, as a file system.
    writeFileSync(disk, Buffer.alloc(4096), { flag: 'r+' })
    await apply(volume('formatted', { local: { path: disk, fsType: 'ext4' }, nodeAffinity: here() }), claim('formatted', 'formatted'), pod('formatted', 'formatted', 'echo kept > /data/file'))
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/formatted'], { timeoutMs: 70_000 })
    assert.match(await inPod('formatted', 'grep', ' /data ', '/proc/mounts'), new RegExp(`^${disk} /data ext4 `))
    await cluster.must(['delete', 'pod', 'formatted', '--timeout=60s'], { timeoutMs: 70_000 })
    await until('the disk is let go', 30_000, () => Promise.resolve(!readFileSync(`/proc/${node().holderPid}/mounts`, 'utf8').includes(disk)))
  })

  it('of local disks and host paths: the pod goes where the disk is, and finds what the one before wrote', async () => {
    const disk = join(node().dir, 'disk')
    mkdirSync(disk)
    await apply(
      volume('local-1', { local: { path: disk }, nodeAffinity: here() }), claim('on-disk', 'local-1'), pod('writer', 'on-disk', 'echo local > /data/file'),
      volume('path-1', { hostPath: { path: join(node().dir, 'path'), type: 'DirectoryOrCreate' }, nodeAffinity: here() }), claim('on-path', 'path-1'), pod('other-writer', 'on-path', 'echo path > /data/file'),
    )
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/writer', 'pod/other-writer'], { timeoutMs: 70_000 })
    assert.equal(await cluster.must(['get', 'pod', 'writer', 'other-writer', '-o', 'jsonpath={.items[*].spec.nodeName}']), `${node().name} ${node().name}`)
    await cluster.must(['delete', 'pod', 'writer', 'other-writer', '--timeout=60s'], { timeoutMs: 70_000 })
    assert.deepStrictEqual([readFileSync(join(disk, 'file'), 'utf8'), readFileSync(join(node().dir, 'path/file'), 'utf8'), existsSync(join(disk, 'file'))], ['local\n', 'path\n', true])
  })
})
