/** Real containers: what a process inside sees, how its end is told, what an agent finds after it was killed. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { ContainerConfig, ContainerRuntime, LinuxResources, PodSandboxConfig, SecurityContext } from '../runtime.ts'
import { testContainer, testPod, until } from '../runtime.contract.ts'
import { systemClock } from '#base/clock.ts'
import { isAppArmorEnabled } from '../lsm.ts'
import { mustRun } from './run-command.ts'
import { filesIn, missingForContainers, mountsLeft, testMachine } from '#test/images/runtime-machine.ts'
import type { TestMachine } from '#test/images/runtime-machine.ts'

const missing = await missingForContainers()

describe('containers by runc and conmon', { skip: missing }, () => {
  let m: TestMachine
  let runtime: ContainerRuntime
  let image: string
  let pods = 0
  before(async () => {
    m = await testMachine()
    runtime = await m.open({ cdiDirs: [join(m.root, 'cdi')] })
    image = (await runtime.pullImage(m.imageRef, {})).id
  })
  after(() => m?.close())

  const pod = (overrides: Partial<PodSandboxConfig> = {}) => testPod({ logDirectory: join(m.root, 'logs'), cgroupParent: '/kubepods' }, `pod-${++pods}`, overrides)
  const linux = (security: Partial<SecurityContext> = {}, resources: LinuxResources = {}, namespaces: Partial<ContainerConfig['linux']['namespaces']> = {}): ContainerConfig['linux'] => {
    const base = testContainer(image, 'x').linux
    return { resources, security: { ...base.security, ...security }, namespaces: { ...base.namespaces, ...namespaces } }
  }
  const start = async (script: string, overrides: Partial<ContainerConfig> = {}, podOverrides: Partial<PodSandboxConfig> = {}) => {
    const config = pod(podOverrides)
    const sandboxId = await runtime.runPodSandbox(config)
    const id = await runtime.createContainer(sandboxId, testContainer(image, 'main', { command: ['sh', '-c', script], ...overrides }), config)
    await runtime.startContainer(id)
    return { config, sandboxId, id, log: `${config.logDirectory}/main/0.log` }
  }
  const exited = (id: string) => until(runtime, () => runtime.containerStatus(id), (status) => status.state === 'exited')
  /** Output of a container that runs `script` to its end. */
  const output = async (script: string, overrides: Partial<ContainerConfig> = {}, podOverrides: Partial<PodSandboxConfig> = {}) => {
    const { id, log, sandboxId } = await start(script, overrides, podOverrides)
    const { exitCode } = await exited(id)
    const lines = logLines(log)
    await runtime.removePodSandbox(sandboxId)
    return { exitCode, lines }
  }

  test('the log is in CRI format: time, stream, tag, text', async () => {
    const { id, log } = await start('echo out; echo err >&2; printf part')
    await exited(id)
    const raw = readFileSync(log, 'utf8').trimEnd().split('\n')
    for (const line of raw) assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) [FP] /)
    assert.deepEqual(raw.map((line) => line.split(' ').slice(1).join(' ')).sort(), ['stderr F err', 'stdout F out', 'stdout P part'].sort())
    assert.equal(statSync(log).mode & 0o777, 0o640)
  })

  test('a container gets what comes with a device that its vendor described, and is not made without', async () => {
    const [dir, note] = [join(m.root, 'cdi'), join(m.root, 'hook-ran')]
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(m.root, 'library'), 'of the vendor')
    writeFileSync(join(dir, 'radio.json'), JSON.stringify({
      cdiVersion: '1.0.0', kind: 'vendor.com/radio', containerEdits: { mounts: [{ hostPath: join(m.root, 'library'), containerPath: '/opt/library', options: ['ro', 'rbind', 'rprivate'] }] },
      devices: [{ name: '0', containerEdits: { env: ['RADIO=0'], deviceNodes: [{ path: '/dev/radio', hostPath: '/dev/null', permissions: 'rw' }], additionalGids: [4242], hooks: [{ hookName: 'createRuntime', path: '/bin/sh', args: ['sh', '-c', `cat > ${note}`], env: ['PATH=/usr/bin:/bin'] }] } }],
    }))
    const shown = await output('echo $RADIO; echo "$(cat /opt/library)"; echo x > /dev/radio && test -c /dev/radio && echo written; id -G | grep -o 4242', { cdiDevices: ['vendor.com/radio=0'] })
    assert.deepEqual(shown, { exitCode: 0, lines: ['0', 'of the vendor', 'written', '4242'] })
    assert.match(readFileSync(note, 'utf8'), /"status":\s*"creat/)
    const config = pod()
    const sandboxId = await runtime.runPodSandbox(config)
    await assert.rejects(runtime.createContainer(sandboxId, testContainer(image, 'main', { cdiDevices: ['vendor.com/radio=1'] }), config), { message: /unresolvable CDI devices vendor\.com\/radio=1/ })
    assert.deepEqual(await runtime.listContainers({ sandboxId }), [])
    await runtime.removePodSandbox(sandboxId)
  })

  test('a sandbox may name what its containers are run by, of what is set up; they live on when it is set up no longer', async () => {
    const [program, note] = [join(m.root, 'own-runc'), join(m.root, 'asked')]
    writeFileSync(program, `#!/bin/sh\necho "$@" >> ${note}\nexec ${m.options.ociRuntime} "$@"\n`, { mode: 0o755 })
    const asked = () => readFileSync(note, 'utf8').split('\n').map((line) => line.replace(/^--root=?\s*\S+ /, '').split(' ')[0]).filter(Boolean)
    await runtime.close()
    runtime = await m.open({ handlers: new Map([['own', program]]) })
    assert.deepEqual((await runtime.status()).handlers.map(({ name }) => name), ['', m.options.ociRuntime, 'own'])
    await assert.rejects(runtime.runPodSandbox(pod({ runtimeHandler: 'other' })), { code: 'CRI_FAILED', message: /no runtime for "other" is configured/ })
    const { id, sandboxId, log } = await start('echo here; sleep 100', {}, { runtimeHandler: 'own' })
    assert.deepEqual(await output('echo there'), { exitCode: 0, lines: ['there'] })
    assert.equal(asked().filter((word) => word === 'create').length, 1)
    await until(runtime, () => Promise.resolve(logLines(log)), (lines) => lines.includes('here'))
    await runtime.execSync(id, ['true'], 5)
    assert.ok(asked().includes('exec'))
    await runtime.close()
    runtime = await m.open({ cdiDirs: [join(m.root, 'cdi')] })
    assert.equal((await runtime.containerStatus(id)).state, 'running')
    await runtime.removePodSandbox(sandboxId)
    assert.ok(!asked().includes('delete'))
  })

  test('a log that was renamed away is opened anew', async () => {
    const { id, log } = await start('trap "echo after" USR1; echo before; while :; do sleep 0.05; done')
    await eventually(() => logLines(log).includes('before'))
    renameSync(log, `${log}.1`)
    await runtime.reopenContainerLog(id)
    await eventually(() => existsSync(log))
    await runtime.execSync(id, ['kill', '-USR1', '1'], 5)
    await eventually(() => logLines(log).includes('after'))
    assert.deepEqual(logLines(`${log}.1`), ['before'])
  })

  test('its status tells the number of its first process on this machine, while it runs', async () => {
    const { id } = await start('exec sleep 4716')
    const pid = (await runtime.containerStatus(id)).pid ?? 0
    assert.match(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), new RegExp(id))
    await runtime.stopContainer(id, 0)
    assert.equal((await runtime.containerStatus(id)).pid, undefined)
  })

  test('hostname, resolv.conf, environment and working directory are the pod\'s and the container\'s', async () => {
    const { lines } = await output('hostname; cat /etc/hostname; cat /etc/resolv.conf; pwd; echo $A-$B-$HOSTNAME-$HOME', { workingDir: '/tmp', env: [{ key: 'A', value: '1' }, { key: 'B', value: 'x=y z' }] },
      { hostname: 'web-0', dnsConfig: { servers: ['10.43.0.10'], searches: ['default.svc.cluster.local', 'cluster.local'], options: ['ndots:5'] } })
    assert.deepEqual(lines, ['web-0', 'web-0', 'search default.svc.cluster.local cluster.local', 'nameserver 10.43.0.10', 'options ndots:5', '/tmp', '1-x=y z-web-0-/root'])
  })

  test('containers of a pod share network, ipc and /dev/shm, and see only their own processes', async () => {
    const config = pod()
    const sandboxId = await runtime.runPodSandbox(config)
    const ids: string[] = []
    for (const name of ['a', 'b']) {
      const id = await runtime.createContainer(sandboxId, testContainer(image, name, { command: ['sleep', '1000'] }), config)
      await runtime.startContainer(id)
      ids.push(id)
    }
    const [a = '', b = ''] = ids
    const ns = async (id: string, kind: string) => (await runtime.execSync(id, ['readlink', `/proc/self/ns/${kind}`], 5)).stdout.toString()
    for (const kind of ['net', 'ipc', 'uts']) assert.equal(await ns(a, kind), await ns(b, kind), kind)
    for (const kind of ['pid', 'mnt']) assert.notEqual(await ns(a, kind), await ns(b, kind), kind)
    await runtime.execSync(a, ['sh', '-c', 'echo hi > /dev/shm/x'], 5)
    assert.equal((await runtime.execSync(b, ['cat', '/dev/shm/x'], 5)).stdout.toString(), 'hi\n')
    assert.match((await runtime.execSync(a, ['df', '-m', '/dev/shm'], 5)).stdout.toString(), /\b64\b/)
    await runtime.removePodSandbox(sandboxId)
  })

  test('a shared process namespace shows the other containers, and orphans are reaped in it', async () => {
    const config = pod()
    config.linux.namespaces.pid = 'pod'
    const sandboxId = await runtime.runPodSandbox(config)
    const own = linux({}, {}, { pid: 'pod' })
    const first = await runtime.createContainer(sandboxId, testContainer(image, 'a', { command: ['sleep', '4711'], linux: own }), config)
    await runtime.startContainer(first)
    const second = await runtime.createContainer(sandboxId, testContainer(image, 'b', { command: ['sleep', '1000'], linux: own }), config)
    await runtime.startContainer(second)
    const orphan = (await runtime.execSync(second, ['sh', '-c', '(sh -c "echo \\$\\$; exec sleep 0.05" &)'], 5)).stdout.toString().trim()
    assert.match(orphan, /^\d+$/)
    while ((await runtime.execSync(second, ['test', '-e', `/proc/${orphan}`], 5)).exitCode === 0);
    const ps = (await runtime.execSync(second, ['ps', '-o', 'pid,comm,args'], 5)).stdout.toString()
    assert.match(ps, /sleep 4711/)
    assert.match(ps, /^ +1 pause +\/pause *$/m)
    // Whoever may send it signals does not end the pod.
    await runtime.execSync(second, ['kill', '-TERM', '1'], 5)
    assert.equal((await runtime.execSync(second, ['cat', '/proc/1/comm'], 5)).stdout.toString(), 'pause\n')
    await runtime.removePodSandbox(sandboxId)
    assert.deepEqual(mountsLeft(m.root).filter((path) => path.includes(sandboxId)), [])
  })

  test('the host\'s network is the host\'s, without addresses of its own', async () => {
    const config = pod()
    config.linux.namespaces.network = 'node'
    const sandboxId = await runtime.runPodSandbox(config)
    const status = await runtime.podSandboxStatus(sandboxId)
    assert.deepEqual([status.ips, status.netnsPath], [[], undefined])
    const id = await runtime.createContainer(sandboxId, testContainer(image, 'main', { command: ['sleep', '1000'], linux: linux({}, {}, { network: 'node' }) }), config)
    await runtime.startContainer(id)
    const inside = (await runtime.execSync(id, ['ls', '/sys/class/net'], 5)).stdout.toString().trim().split('\n').sort()
    assert.deepEqual(inside, filesIn('/sys/class/net'))
    await runtime.removePodSandbox(sandboxId)
  })

  test('the user comes from the image\'s passwd by name, from the pod by number, with groups', async () => {
    assert.deepEqual((await output('id', { linux: linux({ runAsUsername: 'app' }) })).lines, ['uid=1000(app) gid=1000(app) groups=50(staff),1000(app)'])
    assert.deepEqual((await output('id', { linux: linux({ runAsUser: 4000, runAsGroup: 4001, supplementalGroups: [4002] }) })).lines, ['uid=4000 gid=4001 groups=4001,4002'])
    const config = pod()
    const sandboxId = await runtime.runPodSandbox(config)
    await assert.rejects(runtime.createContainer(sandboxId, testContainer(image, 'main', { linux: linux({ runAsUsername: 'nobody-here' }) }), config), { message: 'unable to find user nobody-here: no matching entries in passwd file' })
    assert.deepEqual(await runtime.listContainers({ sandboxId }), [])
  })

  test('default privileges: upstream\'s capabilities, filtered system calls, masked and read-only kernel files', async () => {
    const { lines } = await output('grep -E "CapEff|Seccomp:|NoNewPrivs" /proc/self/status | tr -d "\\t"; cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; (echo 1 > /proc/sys/kernel/domainname) 2>/dev/null || echo refused; mount -t tmpfs x /tmp 2>/dev/null || echo refused')
    assert.deepEqual(lines, ['CapEff:00000000a80425fb', 'NoNewPrivs:0', 'Seccomp:2', '0', 'refused', 'refused'])
  })

  test('drop ALL and add one leaves one; noNewPrivs, Unconfined and a read-only root are kept', async () => {
    const { lines } = await output('grep -E "CapEff|Seccomp:|NoNewPrivs" /proc/self/status | tr -d "\\t"; touch /x 2>/dev/null || echo refused',
      { linux: linux({ dropCapabilities: ['ALL'], addCapabilities: ['NET_BIND_SERVICE'], noNewPrivs: true, seccomp: { profile: 'Unconfined' }, readonlyRootfs: true }) })
    assert.deepEqual(lines, ['CapEff:0000000000000400', 'NoNewPrivs:1', 'Seccomp:0', 'refused'])
  })

  test('a privileged container has the host\'s devices and may mount', async () => {
    const { lines, exitCode } = await output('mount -t tmpfs x /tmp && echo mounted; test -e /dev/kmsg && echo kmsg', { linux: linux({ privileged: true }) })
    assert.deepEqual({ lines, exitCode }, { lines: ['mounted', 'kmsg'], exitCode: 0 })
  })

  test('mounts: read-only ones refuse writing, others reach the host, a file over /etc/hostname wins', async () => {
    const host = join(m.root, 'volume')
    mkdirSync(host)
    writeFileSync(join(host, 'name'), 'mine\n')
    const { lines } = await output('echo data > /rw/new; touch /ro/x 2>/dev/null || echo refused; cat /etc/hostname', {
      mounts: [
        { containerPath: '/rw', hostPath: host, readonly: false, propagation: 'private' }, { containerPath: '/ro', hostPath: host, readonly: true, propagation: 'private' },
        { containerPath: '/etc/hostname', hostPath: join(host, 'name'), readonly: true, propagation: 'private' },
      ],
    })
    assert.deepEqual(lines, ['refused', 'mine'])
    assert.equal(readFileSync(join(host, 'new'), 'utf8'), 'data\n')
  })

  test('a recursive read-only mount is read-only with what is mounted below it, a plain one is not', async (t) => {
    if (!(await runtime.status()).handlers[0]?.recursiveReadOnlyMounts) return t.skip('this kernel has no mount_setattr(2)')
    const hostPath = join(m.root, 'tree')
    mkdirSync(join(hostPath, 'below'), { recursive: true })
    await mustRun(['mount', '-t', 'tmpfs', 'below', join(hostPath, 'below')], { clock: systemClock })
    try {
      const mounts = [
        { containerPath: '/plain', hostPath, readonly: true, propagation: 'private' as const },
        { containerPath: '/all', hostPath, readonly: true, propagation: 'private' as const, recursiveReadOnly: true },
      ]
      const { lines } = await output('for d in /plain /plain/below /all /all/below; do touch $d/x 2>/dev/null && echo "$d written" || echo "$d refused"; done', { mounts })
      assert.deepEqual(lines, ['/plain refused', '/plain/below written', '/all refused', '/all/below refused'])
    } finally {
      await mustRun(['umount', '-l', join(hostPath, 'below')], { clock: systemClock })
    }
  })

  test('a pod with users of its own is root inside and nobody in particular outside: layers, volumes, sysctls, network and exec follow', async (t) => {
    if (!(await runtime.status()).handlers[0]?.userNamespaces) return t.skip('this kernel has no id-mapped mounts of tmpfs (6.3), or no user namespaces')
    const users = { hostId: 20 * 65_536, length: 65_536 }
    // Its root is nobody here: it reaches its own files only by directories that all may pass.
    chmodSync(m.root, 0o711)
    const disk = join(m.root, 'owned')
    const ram = join(m.root, 'owned-ram')
    for (const dir of [disk, ram]) mkdirSync(dir)
    await mustRun(['mount', '-t', 'tmpfs', 'ram', ram], { clock: systemClock })
    t.after(() => mustRun(['umount', '-l', ram], { clock: systemClock }))
    for (const dir of [disk, ram]) {
      writeFileSync(join(dir, 'root'), 'r\n', { mode: 0o600 })
      writeFileSync(join(dir, 'app'), 'a', { mode: 0o600 })
      chownSync(join(dir, 'app'), 1000, 1000)
    }
    const config = pod({ linux: { ...pod().linux, namespaces: { network: 'pod', ipc: 'pod', pid: 'container', users }, sysctls: { 'net.ipv4.tcp_syncookies': '0', 'kernel.shm_rmid_forced': '1' } } })
    const sandboxId = await runtime.runPodSandbox(config)
    const script = 'cat /proc/self/uid_map | tr -s " "; id -u; stat -c %u /bin /disk/root /disk/app /ram/root /ram/app; cat /disk/root; touch /new /disk/new /ram/new /dev/shm/new; chown 1000 /disk/new; hostname; cat /proc/sys/net/ipv4/tcp_syncookies; ping -c1 -W1 127.0.0.1 >/dev/null && echo pong; mount -t tmpfs x /mnt 2>/dev/null || echo "no mount"; sleep 100000'
    const mounts = [disk, ram].map((hostPath, i) => ({ containerPath: ['/disk', '/ram'][i] ?? '', hostPath, readonly: false, propagation: 'private' as const, idMapped: true }))
    const id = await runtime.createContainer(sandboxId, testContainer(image, 'main', { command: ['sh', '-c', script], mounts, linux: linux({}, {}, { users }) }), config)
    await runtime.startContainer(id)
    const log = `${config.logDirectory}/main/0.log`
    await eventually(() => logLines(log).includes('no mount'))
    assert.deepEqual(logLines(log), [' 0 1310720 65536', '0', '0', '0', '1000', '0', '1000', 'r', config.hostname, '0', 'pong', 'no mount'])
    const owner = (path: string) => statSync(path).uid
    assert.deepEqual([owner(join(disk, 'new')), owner(join(ram, 'new')), owner(join(disk, 'root'))], [1000, 0, 0], 'on disk they are the pod\'s own numbers')
    const again = await runtime.execSync(id, ['sh', '-c', 'id -u; cat /proc/1/uid_map | tr -s " "; stat -c %u /new'], 10)
    assert.equal(again.stdout.toString(), '0\n 0 1310720 65536\n0\n')
    const { pid } = JSON.parse(readFileSync(join(m.root, 'data/containers', `${id}.json`), 'utf8')).process as { pid: number }
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Uid:\t1310720\t1310720\t1310720\t1310720$/m)
    await runtime.removePodSandbox(sandboxId)
    const shared = pod({ linux: { ...pod().linux, namespaces: { network: 'pod', ipc: 'pod', pid: 'pod', users } } })
    const sharing = await runtime.runPodSandbox(shared)
    const one = await runtime.createContainer(sharing, testContainer(image, 'main', { command: ['sleep', '1000'], linux: linux({}, {}, { users, pid: 'pod' }) }), shared)
    await runtime.startContainer(one)
    assert.equal((await runtime.execSync(one, ['cat', '/proc/1/comm'], 5)).stdout.toString(), 'pause\n')
    await runtime.removePodSandbox(sharing)
  })

  test('propagation the host cannot give is refused in containerd\'s words', async (t) => {
    if (/^\d+ \d+ \S+ \/ \/ \S+ shared:/m.test(readFileSync('/proc/self/mountinfo', 'utf8'))) return t.skip('the root mount is shared here')
    const config = pod()
    const sandboxId = await runtime.runPodSandbox(config)
    const mounts: ContainerConfig['mounts'] = [{ containerPath: '/v', hostPath: m.root, readonly: false, propagation: 'bidirectional' }]
    await assert.rejects(runtime.createContainer(sandboxId, testContainer(image, 'main', { mounts }), config), { message: `path "${m.root}" is mounted on "/" but it is not a shared mount` })
  })

  test('sysctls of the pod are set in its namespaces; unknown ones fail the sandbox and leave nothing', async () => {
    assert.deepEqual((await output('cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/ip_unprivileged_port_start', {}, { linux: { ...pod().linux, sysctls: { 'net.ipv4.ip_local_port_range': '2000 3000' } } })).lines, ['2000\t3000', '0'])
    const config = pod()
    config.linux.sysctls = { 'net.ipv4.no_such_thing': '1' }
    const before = m.network.pods.size
    await assert.rejects(runtime.runPodSandbox(config), { code: 'CRI_INVALID' })
    assert.deepEqual([await runtime.listPodSandbox({ podUid: config.metadata.uid }), m.network.pods.size], [[], before])
  })

  test('a container over its memory limit ends as OOMKilled', async () => {
    const { id } = await start('head -c 200m /dev/zero | tail', { linux: linux({}, { memoryLimitBytes: 16 << 20 }) })
    const end = await exited(id)
    assert.deepEqual([end.reason, end.exitCode], ['OOMKilled', 137])
  })

  test('limits reach the cgroup and can be changed while it runs', async () => {
    const { id, config } = await start('sleep 1000', { linux: linux({}, { memoryLimitBytes: 64 << 20, cpuShares: 512, pidsLimit: 100 }) })
    const path = `${m.cgroupRoot}${config.linux.cgroupParent}/${id}`
    const limit = () => [`/sys/fs/cgroup/memory${path}/memory.limit_in_bytes`, `/sys/fs/cgroup${path}/memory.max`].filter((p) => existsSync(p)).map((p) => Number(readFileSync(p, 'utf8')))
    assert.deepEqual(limit(), [64 << 20])
    await runtime.updateContainerResources(id, { memoryLimitBytes: 128 << 20 })
    assert.deepEqual(limit(), [128 << 20])
    const stats = await runtime.containerStats(id)
    assert.ok(stats.memoryUsageBytes > 0 && stats.cpuUsageCoreNanoSeconds > 0 && stats.pids === 1)
  })

  test('a container is bound to the processors it is given, and to others while it runs', async (t) => {
    if (availableParallelism() < 2) return t.skip('one processor is all there is')
    const { id, sandboxId } = await start('trap "exit 0" TERM; while :; do sleep 0.1; done', { linux: linux({}, { cpusetCpus: '0', cpusetMems: '0' }) })
    const allowed = async () => /^Cpus_allowed_list:\s*(.*)$/m.exec((await runtime.execSync(id, ['cat', '/proc/1/status'], 5)).stdout.toString())?.[1]
    assert.equal(await allowed(), '0')
    await runtime.updateContainerResources(id, { cpusetCpus: '1' })
    assert.equal(await allowed(), '1')
    await assert.rejects(start('true', { linux: linux({}, { cpusetCpus: '4000' }) }), { code: 'CRI_FAILED' })
    await runtime.removePodSandbox(sandboxId)
  })

  test('a profile of AppArmor is refused where the kernel has none', async (t) => {
    if (isAppArmorEnabled()) return t.skip('this kernel has AppArmor')
    await assert.rejects(start('true', { linux: linux({ apparmor: { profile: 'RuntimeDefault' } }) }), { code: 'CRI_INVALID', message: 'apparmor is not supported' })
    assert.equal((await output('true', { linux: linux({ apparmor: { profile: 'Unconfined' }, selinux: { type: 'means_nothing_t' } }) })).exitCode, 0)
  })

  test('a container that ignores the stop signal is killed after its grace, one with its own stop signal gets that', async () => {
    const stubborn = await start('trap "" TERM; while :; do sleep 0.1; done')
    const began = performance.now()
    await runtime.stopContainer(stubborn.id, 1)
    const tookMs = performance.now() - began
    // How long beyond that is the machine's affair; the bench has an eye on it.
    assert.ok(tookMs >= 1000, `took ${tookMs}`)
    assert.equal((await runtime.containerStatus(stubborn.id)).exitCode, 137)
    const polite = await start('trap "exit 7" QUIT; echo ready; while :; do sleep 0.05; done', { stopSignal: 'SIGQUIT' })
    await eventually(() => logLines(polite.log).includes('ready'))
    await runtime.stopContainer(polite.id, 10)
    assert.equal((await runtime.containerStatus(polite.id)).exitCode, 7)
  })

  test('a program that does not exist is told in the words of runc or crun, as upstream tells it', async () => {
    const config = pod()
    const sandboxId = await runtime.runPodSandbox(config)
    const id = await runtime.createContainer(sandboxId, testContainer(image, 'main', { command: ['no-such-program'] }), config)
    await assert.rejects(runtime.startContainer(id), /OCI runtime create failed: .*(?:exec: "no-such-program": executable file not found in \$PATH|executable file `no-such-program` not found in \$PATH: No such file or directory): unknown/)
    assert.deepEqual((await runtime.containerStatus(id)).exitCode, 128)
  })

  test('the image stays usable to a running container after it was removed, its layers go with the container', async () => {
    const { id, sandboxId } = await start('sleep 1000')
    await runtime.removeImage(image)
    assert.equal((await runtime.execSync(id, ['cat', '/var/www/index.html'], 5)).stdout.toString(), 'hello from busybox\n')
    for (const sandbox of await runtime.listPodSandbox()) await runtime.removePodSandbox(sandbox.id)
    assert.deepEqual([filesIn(join(m.options.dataDir, 'layers')), (await runtime.listContainers({ sandboxId })).length], [[], 0])
    assert.equal((await runtime.pullImage(m.imageRef, {})).id, image)
  })

  test('another agent on the same directories finds everything again: running, ended meanwhile, exit codes and all', async () => {
    const running = await start('sleep 1000')
    const ending = await start('trap "exit 5" USR1; echo ready; while :; do sleep 0.05; done')
    await eventually(() => logLines(ending.log).includes('ready'))
    await runtime.close()
    const pid = Number(readFileSync(join(m.options.stateDir ?? '', 'containers', ending.id, 'pid'), 'utf8'))
    process.kill(pid, 'SIGUSR1')
    await eventually(() => existsSync(join(m.options.stateDir ?? '', 'exits', ending.id)))
    runtime = await m.open()
    const [alive, ended] = await Promise.all([running.id, ending.id].map((id) => runtime.containerStatus(id)))
    assert.deepEqual([alive?.state, ended?.state, ended?.exitCode, ended?.reason], ['running', 'exited', 5, 'Error'])
    assert.equal((await runtime.execSync(running.id, ['echo', 'still here'], 5)).stdout.toString(), 'still here\n')
    assert.equal(await runtime.runPodSandbox(running.config), running.sandboxId)
    await runtime.stopContainer(running.id, 0)
    assert.equal((await runtime.containerStatus(running.id)).exitCode, 137)
  })

  test('a command whose time is over before runc has begun it is not begun behind anybody\'s back, and one whose agent is gone is ended by the next', async () => {
    const { id } = await start('exec sleep 4718')
    const commands = async () => (await runtime.execSync(id, ['ps', '-o', 'args'], 30)).stdout.toString().split('\n').filter((args) => args.startsWith('sleep '))
    const slow = join(m.root, 'slow-runc')
    // The arguments of a command are in its file.
    writeFileSync(slow, `#!/bin/sh\nfor word; do case "$word" in *.json) grep -q 4719 "$word" && sleep 1000;; esac; done\nexec ${m.options.ociRuntime ?? 'runc'} "$@"\n`)
    chmodSync(slow, 0o755)
    await runtime.close()
    runtime = await m.open({ ociRuntimePath: slow })
    await assert.rejects(runtime.execSync(id, ['sleep', '4719'], 1), { code: 'CRI_TIMEOUT' })
    const session = await runtime.exec({ containerId: id, cmd: ['sleep', '4720'], tty: false, stdin: false })
    await eventually(async () => (await commands()).includes('sleep 4720'))
    assert.deepEqual(await commands(), ['sleep 4718', 'sleep 4720'])
    const done = session.done.catch(() => {})
    await runtime.close()
    runtime = await m.open()
    await done
    assert.deepEqual(await commands(), ['sleep 4718'])
    await runtime.stopContainer(id, 0)
  })

  test('the exit code is the program\'s own, however closely it is watched while it ends', async () => {
    const config = pod()
    const sandboxId = await runtime.runPodSandbox(config)
    for (let attempt = 0; attempt < 8; attempt++) {
      const id = await runtime.createContainer(sandboxId, testContainer(image, 'main', { command: ['sh', '-c', 'exit 3'], metadata: { name: 'main', attempt } }), config)
      await runtime.startContainer(id)
      // Each look may fall between the end of the program and the note its monitor leaves.
      while ((await runtime.containerStatus(id)).state === 'running') await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual([attempt, (await runtime.containerStatus(id)).exitCode], [attempt, 3])
    }
    await runtime.removePodSandbox(sandboxId)
  })

  test('a container whose monitor was killed is still stopped and its end is told', async () => {
    const { id } = await start('sleep 1000')
    process.kill(Number(readFileSync(join(m.options.stateDir ?? '', 'containers', id, 'conmon.pid'), 'utf8')), 'SIGKILL')
    await runtime.stopContainer(id, 1)
    const status = await runtime.containerStatus(id)
    assert.deepEqual([status.state, status.exitCode > 0], ['exited', true])
  })

  test('a mount that a killed runc left in its own directory of a container does not keep the container', async () => {
    for (const end of ['removed while it runs', 'removed after it ended']) {
      const { id } = await start('sleep 1000')
      const copy = join(m.options.stateDir ?? '', 'oci', id, 'runc.a1B2c3')
      writeFileSync(copy, '')
      await mustRun(['mount', '--bind', '/bin/true', copy], { clock: systemClock, timeoutMs: 30_000 })
      if (end === 'removed after it ended') await runtime.stopContainer(id, 0)
      await runtime.removeContainer(id)
      assert.deepEqual([end, existsSync(dirname(copy)), mountsLeft(m.root).filter((path) => path.includes(id))], [end, false, []])
    }
  })

  test('after all pods are removed no mount, namespace, record or writable layer is left', async () => {
    for (const sandbox of await runtime.listPodSandbox()) await runtime.removePodSandbox(sandbox.id)
    const { dataDir, stateDir = '' } = m.options
    assert.deepEqual({
      mounts: mountsLeft(m.root), records: [...filesIn(join(dataDir, 'sandboxes')), ...filesIn(join(dataDir, 'containers'))], writable: filesIn(join(dataDir, 'writable')), exits: filesIn(join(stateDir, 'exits')),
      netns: filesIn(join(stateDir, 'netns')), bundles: filesIn(join(stateDir, 'containers')), oci: filesIn(join(stateDir, 'oci')), network: [...m.network.pods],
    }, { mounts: [], records: [], writable: [], exits: [], netns: [], bundles: [], oci: [], network: [] })
  })
})

function logLines(path: string): string[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8').trimEnd().split('\n').filter(Boolean).map((line) => line.split(' ').slice(3).join(' '))
}

/** For what tells nobody when it changes: a file another process writes. */
async function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  while (!await isSo()) {
    assert.ok(performance.now() < deadlineMs, 'not within a minute')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
