/**
 * skiff on a whole machine: Debian's own kernel with cgroup version 2 alone, modules not loaded yet, systemd as it is installed by
 * scripts/up.sh, runc and crun, a power button and a plug. One guest for all: a boot costs most of a minute.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buildImage, busyboxLayer, ociArchive } from '../images/build-image.ts'
import { Guest } from './guest.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = process.env['SKIFF_BINARY'] ?? join(ROOT, 'dist/skiff')
const DISK = process.env['SKIFF_GUEST_DISK'] ?? ''
const IMAGE = 'docker.io/library/busybox:1'
const MIB = 1024 ** 2
const POD_MS_MAX = 120_000
const COUNT = 'trap "exit 0" TERM; i=0; while true; do i=$((i+1)); echo $i; sleep 1; done'

interface Spec { name: string; labels?: Record<string, string>; pod?: object; container?: object }
const pod = ({ name, labels = {}, pod: more = {}, container = {} }: Spec): string => JSON.stringify({
  apiVersion: 'v1', kind: 'Pod', metadata: { name, labels },
  spec: { terminationGracePeriodSeconds: 2, containers: [{ name: 'main', image: IMAGE, command: ['sh', '-c', COUNT], ...container }], ...more },
})

interface SeenPod { metadata: { name: string; uid: string }; status: { phase: string; podIP?: string; qosClass: string; containerStatuses?: { containerID?: string; ready: boolean; restartCount: number; state: Record<string, { reason?: string; exitCode?: number }>; lastState: Record<string, { reason?: string; exitCode?: number }> }[] } }

describe('skiff on a machine of its own', { skip: DISK === '' && 'run scripts/guest-test.sh' }, () => {
  let guest: Guest

  before(async () => {
    const work = mkdtempSync(join(tmpdir(), 'skiff-cargo-'))
    const image = await buildImage(join(work, 'image'), { layers: [busyboxLayer()], config: { Cmd: ['sh'] } })
    writeFileSync(join(work, 'busybox.tar'), await ociArchive(image, IMAGE))
    guest = new Guest({ diskDir: DISK, arch: 'amd64', cargo: { skiff: BINARY, 'busybox.tar': join(work, 'busybox.tar'), 'skiff.service': join(ROOT, 'scripts/skiff.service') } })
    rmSync(work, { recursive: true })
    await guest.boot()
    await guest.must('install -m 0755 /cargo/skiff /usr/local/bin/skiff; mkdir -p /var/lib/skiff/agent/images; cp /cargo/busybox.tar /var/lib/skiff/agent/images/')
  })
  after(async () => { await guest[Symbol.asyncDispose]() })

  const apply = (...objects: string[]) => guest.mustKubectl(['apply', '-f', '-'], { input: objects.join('\n') })
  const seen = async (name: string) => JSON.parse(await guest.mustKubectl(['get', 'pod', name, '-o', 'json'])) as SeenPod
  const isReady = (p: SeenPod) => p.status.phase === 'Running' && (p.status.containerStatuses ?? []).every((c) => c.ready)
  const tell = async () => `${await guest.run('journalctl -u skiff --no-pager -n 40 -o cat').then((r) => r.stdout)}\n${(await guest.kubectl(['get', 'pods,events', '-A', '-o', 'wide'])).stdout}`
  const untilSo = async (what: string, holds: () => Promise<boolean>, timeoutMs = POD_MS_MAX) => {
    try {
      await guest.until(what, timeoutMs, holds)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await tell()}`, { cause: error })
    }
  }
  const untilReady = async (...names: string[]) => {
    for (const name of names) await untilSo(`pod ${name} is ready`, async () => isReady(await seen(name)))
  }
  /** None named: all. By the guest's time, which `--timeout` does not know. */
  const deletePods = async (...names: string[]) => {
    await guest.mustKubectl(['delete', 'pods', ...(names.length === 0 ? ['--all'] : names), '--wait=false'])
    await untilSo(`pods ${names.join(', ')} are gone`, async () => (await guest.mustKubectl(['get', 'pods', '-o', 'name', '--ignore-not-found', ...names])) === '')
  }
  const containerId = (p: SeenPod) => (p.status.containerStatuses?.[0]?.containerID ?? '').replace(/^.*:\/\//, '')
  const untilUp = async () => {
    await untilSo('the kubeconfig is there', async () => (await guest.run('test -s /etc/skiff/skiff.yaml')).code === 0)
    await guest.fetchKubeconfig()
    await untilSo('the API server is ready', async () => (await guest.kubectl(['get', '--raw', '/readyz'])).stdout === 'ok')
    await untilSo('the node is Ready', async () => (await guest.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'])).stdout === 'True')
  }
  /** The node is Ready by its last word; its tunnel comes a moment after the server. */
  const untilExec = (name: string) => untilSo(`exec into ${name} works again`, async () => (await guest.kubectl(['exec', name, '--', 'echo', 'hello'])).stdout === 'hello\n', 60_000)
  /** As scripts/up.sh does it, with these arguments. */
  const installUnit = (args: string) => guest.must(`sed 's|@ARGS@|${args}|' /cargo/skiff.service > /etc/systemd/system/skiff.service && systemctl daemon-reload && systemctl enable -q skiff`)
  const unit = async (...properties: string[]) => Object.fromEntries((await guest.must(`systemctl show skiff ${properties.map((p) => `-p ${p}`).join(' ')}`)).split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
  /** Of a cgroup below its mount: file to content. */
  const cgroup = async (path: string, ...files: string[]) => {
    const values = (await guest.must(`cd /sys/fs/cgroup${path} && for f in ${files.join(' ')}; do cat $f; done`)).split('\n')
    return Object.fromEntries(files.map((file, i) => [file, values[i]]))
  }
  /** What pods hold of this machine. */
  const held = async () => (await guest.must(`
    find /sys/fs/cgroup/kubepods -mindepth 1 -type d -name '*pod*' | sort
    grep -E '/run/skiff|/var/lib/skiff' /proc/self/mountinfo | awk '{print $5}' | sort
    ls /run/skiff/netns 2>/dev/null
    ip -o link show type veth | awk -F': ' '{print $2}'
    pgrep -a conmon || true
    true`)).split('\n').filter(Boolean)

  it('has cgroup version 2 alone, and no module of ours loaded yet', async () => {
    assert.equal(await guest.must('stat -fc %T /sys/fs/cgroup'), 'cgroup2fs')
    assert.equal(await guest.must('grep -E "^(overlay|vxlan|bridge|veth|nf_tables|nft_.*|br_netfilter) " /proc/modules || true'), '')
  })

  it('skiff check finds nothing missing, and says which cgroups there are', async () => {
    for (const runtime of ['runc', 'crun']) {
      const { code, stdout } = await guest.run(`skiff check --oci-runtime ${runtime}`)
      assert.equal(code, 0, stdout)
      assert.match(stdout, /^ok +cgroups +version 2: .*cpu.*memory.*pids/m)
      assert.doesNotMatch(stdout, /^missing/m)
      assert.doesNotMatch(stdout, /^warn/m)
    }
  })

  it('the unit of scripts/up.sh starts: systemctl start returns when skiff said READY=1, with the API server ready', async () => {
    await installUnit('')
    await guest.must('systemctl start skiff', 300_000)
    assert.equal(await guest.must('skiff kubectl version >/dev/null 2>&1; test -s /etc/skiff/skiff.yaml && echo there'), 'there')
    await guest.fetchKubeconfig()
    assert.equal(await guest.mustKubectl(['get', '--raw', '/readyz']), 'ok')
    assert.deepStrictEqual(await unit('ActiveState', 'SubState', 'NRestarts', 'Type', 'NotifyAccess'), { ActiveState: 'active', SubState: 'running', NRestarts: '0', Type: 'notify', NotifyAccess: 'main' })
    await untilUp()
  })

  for (const runtime of ['runc', 'crun'] as const) {
    describe(`with ${runtime}`, () => {
      let before: string[]

      it(`takes its pods to ${runtime}`, async () => {
        await installUnit(`--oci-runtime ${runtime}`)
        await guest.must('systemctl restart skiff', 300_000)
        await untilUp()
        before = await held()
        assert.deepStrictEqual(before, [])
      })

      it('gives each class of pod its cgroup, with requests and limits as version 2 words them', async () => {
        const limits = { cpu: '200m', memory: '64Mi' }
        await apply(
          pod({ name: 'guaranteed', container: { resources: { requests: limits, limits } } }),
          pod({ name: 'burstable', container: { resources: { requests: { cpu: '100m', memory: '16Mi' }, limits: { cpu: '500m', memory: '32Mi' } } } }),
          pod({ name: 'besteffort' }),
        )
        await untilReady('guaranteed', 'burstable', 'besteffort')
        const files = ['memory.max', 'cpu.max', 'cpu.weight', 'pids.max', 'memory.min', 'memory.low', 'memory.oom.group', 'memory.swap.max']
        const found: Record<string, unknown> = {}
        for (const [name, parent] of [['guaranteed', ''], ['burstable', '/burstable'], ['besteffort', '/besteffort']] as const) {
          const p = await seen(name)
          const path = `/kubepods${parent}/pod${p.metadata.uid}`
          found[name] = [p.status.qosClass, await cgroup(path, ...files.slice(0, 6)), await cgroup(`${path}/${containerId(p)}`, ...files)]
          // The container sees its own cgroup as the root, with its limit.
          const inside = await guest.mustKubectl(['exec', name, '--', 'sh', '-c', 'cat /proc/self/cgroup /sys/fs/cgroup/memory.max'])
          assert.deepStrictEqual(inside.split('\n'), ['0::/', { guaranteed: String(64 * MIB), burstable: String(32 * MIB), besteffort: 'max' }[name]])
        }
        const max = (minBytes: number, lowBytes: number) => ({ 'pids.max': 'max', 'memory.min': String(minBytes), 'memory.low': String(lowBytes) })
        assert.deepStrictEqual(found, {
          guaranteed: ['Guaranteed', { 'memory.max': String(64 * MIB), 'cpu.max': '20000 100000', 'cpu.weight': '8', ...max(64 * MIB, 0) }, { 'memory.max': String(64 * MIB), 'cpu.max': '20000 100000', 'cpu.weight': '8', ...max(64 * MIB, 0), 'memory.oom.group': '1', 'memory.swap.max': '0' }],
          burstable: ['Burstable', { 'memory.max': String(32 * MIB), 'cpu.max': '50000 100000', 'cpu.weight': '4', ...max(0, 16 * MIB) }, { 'memory.max': String(32 * MIB), 'cpu.max': '50000 100000', 'cpu.weight': '4', ...max(0, 16 * MIB), 'memory.oom.group': '1', 'memory.swap.max': '0' }],
          besteffort: ['BestEffort', { 'memory.max': 'max', 'cpu.max': 'max 100000', 'cpu.weight': '1', ...max(0, 0) }, { 'memory.max': 'max', 'cpu.max': 'max 100000', 'cpu.weight': '1', ...max(0, 0), 'memory.oom.group': '1', 'memory.swap.max': '0' }],
        })
        assert.deepStrictEqual([await cgroup('/kubepods', 'memory.min', 'memory.low'), await cgroup('/kubepods/burstable', 'cpu.weight', 'memory.low'), await cgroup('/kubepods/besteffort', 'cpu.weight')],
          [{ 'memory.min': String(64 * MIB), 'memory.low': String(16 * MIB) }, { 'cpu.weight': '4', 'memory.low': String(16 * MIB) }, { 'cpu.weight': '1' }])
      })

      it('when memory runs out the kernel takes pods by their class, and last what looks after them; commands in a pod are its own', async () => {
        const scores = async (name: string) => (await guest.mustKubectl(['exec', name, '--', 'cat', '/proc/1/oom_score_adj', '/proc/self/oom_score_adj'])).split('\n')
        assert.deepStrictEqual([await scores('guaranteed'), await scores('besteffort')], [['-997', '-997'], ['1000', '1000']])
        const [burstable = '', command] = await scores('burstable')
        assert.ok(Number(burstable) > 900 && Number(burstable) < 1_000 && command === burstable, `${burstable} ${command ?? ''}`)
        assert.equal(await guest.must('cat /proc/$(systemctl show --property MainPID --value skiff)/oom_score_adj'), '-999')
        const monitors = (await guest.must('for pid in $(pidof conmon); do cat /proc/$pid/oom_score_adj; done')).split('\n')
        assert.ok(monitors.length >= 3 && monitors.every((score) => Number(score) <= -999), monitors.join(' '))
      })

      it('statistics tell of the node, of pods and of containers what version 2 counts: swap and pressure, too', async () => {
        const node = (await guest.mustKubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}'])).trim()
        interface Told { cpu: { usageCoreNanoSeconds: number; psi?: object }; memory: { workingSetBytes: number; availableBytes?: number; pageFaults: number; psi?: object }; swap?: { swapUsageBytes: number } }
        const { node: machine, pods } = JSON.parse(await guest.mustKubectl(['get', '--raw', `/api/v1/nodes/${node}/proxy/stats/summary`])) as { node: Told; pods: (Told & { podRef: { name: string }; containers: Told[] })[] }
        const guaranteed = pods.find((p) => p.podRef.name === 'guaranteed')
        assert.ok(guaranteed?.containers[0])
        for (const told of [machine, guaranteed, guaranteed.containers[0]]) {
          assert.ok(told.cpu.usageCoreNanoSeconds > 0 && told.memory.workingSetBytes > 0 && told.memory.pageFaults > 0, JSON.stringify(told))
          assert.deepStrictEqual([typeof told.swap?.swapUsageBytes, typeof told.cpu.psi, typeof told.memory.psi], ['number', 'object', 'object'])
        }
        assert.equal(guaranteed.memory.workingSetBytes + (guaranteed.memory.availableBytes ?? 0), 64 * MIB)
      })

      it('a container over its memory limit is OOMKilled, all of it', async () => {
        // The shell that started the hungry one dies with it: else the pod would succeed.
        await apply(pod({ name: 'hungry', pod: { restartPolicy: 'Never' }, container: { command: ['sh', '-c', 'tail -c 300m /dev/zero; echo survived'], resources: { limits: { memory: '32Mi' } } } }))
        await untilSo('the hungry pod has failed', async () => (await seen('hungry')).status.phase === 'Failed')
        const state = (await seen('hungry')).status.containerStatuses?.[0]?.state['terminated']
        assert.deepStrictEqual([state?.reason, state?.exitCode], ['OOMKilled', 137])
        assert.equal(await guest.mustKubectl(['logs', 'hungry']), '')
      })

      it('a recursively read-only mount is read-only below, too; one that is not, is not', async () => {
        await guest.must('mkdir -p /tmp/tree/below && { mountpoint -q /tmp/tree/below || mount -t tmpfs tmpfs /tmp/tree/below; }')
        const mount = (more: object) => ({ volumeMounts: [{ name: 'tree', mountPath: '/tree', readOnly: true, ...more }] })
        const volumes = { volumes: [{ name: 'tree', hostPath: { path: '/tmp/tree' } }] }
        await apply(pod({ name: 'whole', pod: volumes, container: mount({ recursiveReadOnly: 'Enabled' }) }), pod({ name: 'top', pod: volumes, container: mount({}) }))
        await untilReady('whole', 'top')
        const write = async (name: string, path: string) => (await guest.kubectl(['exec', name, '--', 'touch', path])).stderr.includes('Read-only file system')
        assert.deepStrictEqual([await write('whole', '/tree/x'), await write('whole', '/tree/below/x'), await write('top', '/tree/x'), await write('top', '/tree/below/x')], [true, true, true, false])
        assert.equal(await guest.mustKubectl(['get', 'pod', 'whole', '-o', 'jsonpath={.status.containerStatuses[0].volumeMounts[?(@.name=="tree")].recursiveReadOnly}']), 'Enabled')
        await deletePods('whole', 'top')
        await guest.must('umount /tmp/tree/below')
      })

      it('containers are confined by the default profile of AppArmor, one that asks for none is not', async () => {
        const container = (more: object) => ({ securityContext: { capabilities: { add: ['SYS_ADMIN'] }, ...more } })
        await apply(pod({ name: 'confined', container: container({}) }), pod({ name: 'free', container: container({ appArmorProfile: { type: 'Unconfined' } }) }))
        await untilReady('confined', 'free')
        const profile = async (name: string) => (await guest.mustKubectl(['exec', name, '--', 'cat', '/proc/self/attr/current'])).trim()
        const mounts = async (name: string) => (await guest.kubectl(['exec', name, '--', 'sh', '-c', 'mkdir -p /there && mount -t tmpfs tmpfs /there'])).code === 0
        assert.deepStrictEqual([await profile('confined'), await mounts('confined')], ['skiff-default (enforce)', false])
        assert.deepStrictEqual([await profile('free'), await mounts('free')], ['unconfined', true])
        await deletePods('confined', 'free')
      })

      it('logs, exec with exit codes, exec at a terminal and attach work', async () => {
        await apply(pod({ name: 'talker', pod: { restartPolicy: 'Never' }, container: { stdin: true, stdinOnce: true, command: ['sh', '-c', 'echo ready; while read line; do echo "got $line"; done; echo bye'] } }))
        await untilReady('talker')
        assert.equal(await guest.mustKubectl(['logs', 'talker']), 'ready')
        assert.equal((await guest.kubectl(['exec', 'talker', '--', 'sh', '-c', 'exit 7'])).code, 7)
        assert.equal((await guest.kubectl(['exec', '-i', 'talker', '--', 'cat'], { input: 'through\n' })).stdout, 'through\n')
        const said = await guest.mustTerminal(['exec', '-it', 'talker', '--', 'sh', '-c', 'tty; stty size >/dev/null && echo sized'])
        assert.match(said, /\/dev\/pts\/0\r?\nsized/)
        const attached = await guest.kubectl(['attach', '-i', 'talker'], { input: 'one\ntwo\n' })
        assert.match(attached.stdout, /got one\ngot two\nbye/)
        await untilSo('it ends when its input does', async () => (await seen('talker')).status.phase === 'Succeeded')
      })

      it('probes by exec, HTTP and TCP decide on readiness, and a failed liveness probe restarts', async () => {
        const serve = { command: ['sh', '-c', 'touch /tmp/alive; httpd -f -p 8080 -h /var/www'] }
        await apply(
          pod({ name: 'probe-exec', container: { ...serve, readinessProbe: { exec: { command: ['cat', '/tmp/alive'] }, periodSeconds: 1, timeoutSeconds: 10 } } }),
          pod({ name: 'probe-http', container: { ...serve, readinessProbe: { httpGet: { port: 8080, path: '/' }, periodSeconds: 1, timeoutSeconds: 10 } } }),
          pod({ name: 'probe-tcp', container: { ...serve, readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, timeoutSeconds: 10 } } }),
          pod({ name: 'probe-never', container: { ...serve, readinessProbe: { exec: { command: ['false'] }, periodSeconds: 1, timeoutSeconds: 10 } } }),
          pod({ name: 'probe-dies', container: { ...serve, livenessProbe: { exec: { command: ['cat', '/tmp/gone'] }, periodSeconds: 1, failureThreshold: 2, timeoutSeconds: 10 } } }),
        )
        await untilReady('probe-exec', 'probe-http', 'probe-tcp')
        await untilSo('the failed liveness probe restarts its container', async () => ((await seen('probe-dies')).status.containerStatuses?.[0]?.restartCount ?? 0) > 0)
        assert.equal(isReady(await seen('probe-never')), false)
      })

      it('restarting skiff leaves containers running: same ids, no restarts, streams work again', async () => {
        const ids = () => guest.mustKubectl(['get', 'pods', 'guaranteed', 'burstable', 'besteffort', '-o', 'jsonpath={range .items[*]}{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\\n"}{end}'])
        const were = await ids()
        await guest.must('systemctl restart skiff', 300_000)
        await untilUp()
        assert.equal(await ids(), were)
        await untilExec('burstable')
        const { MainPID } = await unit('MainPID')
        await guest.must('systemctl stop skiff', 60_000)
        assert.equal((await unit('ActiveState'))['ActiveState'], 'inactive')
        assert.equal(await guest.must('pgrep -c conmon') >= '3', true, 'conmon went with the unit')
        const count = () => guest.must('tail -qn1 /var/log/pods/default_burstable_*/main/*.log | awk \'{print $NF}\'')
        const counted = Number(await count())
        await guest.until('containers go on while skiff is stopped', 20_000, async () => Number(await count()) > counted)
        await guest.must('systemctl start skiff', 300_000)
        await untilUp()
        assert.notEqual((await unit('MainPID'))['MainPID'], MainPID)
        await guest.must('systemctl kill -s KILL --kill-who=main skiff')
        await untilSo('systemd has started skiff again', async () => { const u = await unit('NRestarts', 'ActiveState'); return u['ActiveState'] === 'active' && Number(u['NRestarts']) > 0 })
        await untilUp()
        assert.equal(await ids(), were)
      })

      it('deleted pods leave no cgroup, mount, namespace, link or process behind', async () => {
        await deletePods()
        await untilSo('all is as it was', async () => (await held()).length <= before.length, 30_000)
        assert.deepStrictEqual(await held(), before)
      })
    })
  }

  describe('with both runtimes after one another', () => {
    it('pods that runc made are looked after when crun is the setting, and the other way round', async () => {
      for (const [made, then] of [['runc', 'crun'], ['crun', 'runc']] as const) {
        await installUnit(`--oci-runtime ${made}`)
        await guest.must('systemctl restart skiff', 300_000)
        await untilUp()
        const none = await held()
        await apply(pod({ name: `by-${made}`, container: { livenessProbe: { exec: { command: ['true'] }, periodSeconds: 1, timeoutSeconds: 10 } } }))
        await untilReady(`by-${made}`)
        const was = await seen(`by-${made}`)
        await installUnit(`--oci-runtime ${then}`)
        await guest.must('systemctl restart skiff', 300_000)
        await untilUp()
        await untilExec(`by-${made}`)
        const is = await seen(`by-${made}`)
        assert.deepStrictEqual([containerId(is), is.status.containerStatuses?.[0]?.restartCount], [containerId(was), 0])
        await deletePods(`by-${made}`)
        await untilSo('nothing of it is left', async () => (await held()).length <= none.length, 30_000)
        assert.deepStrictEqual(await held(), none)
        assert.equal(await guest.must('ls /run/skiff/oci'), '')
      }
    })

    it('a RuntimeClass chooses crun for its pods alone', async () => {
      await installUnit('--oci-runtime runc --runtime-handler small=crun')
      await guest.must('systemctl restart skiff', 300_000)
      await untilUp()
      await guest.mustKubectl(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'small' }, handler: 'small' }) })
      await apply(pod({ name: 'usual' }), pod({ name: 'chosen', pod: { runtimeClassName: 'small' } }))
      await untilReady('usual', 'chosen')
      // What each keeps of its own: runc a state.json, crun a status.
      const kept = async (name: string) => (await guest.must(`ls /run/skiff/oci/${containerId(await seen(name))}`)).split('\n').filter((file) => ['state.json', 'status'].includes(file))
      assert.deepStrictEqual([await kept('usual'), await kept('chosen')], [['state.json'], ['status']])
      await untilExec('chosen')
      await deletePods('usual', 'chosen')
      await untilSo('nothing of them is left', async () => (await guest.must('ls /run/skiff/oci')) === '', 30_000)
    })

    it('where pods may swap, burstable ones get as much of it as of the memory', async () => {
      await guest.must('dd if=/dev/zero of=/swapfile bs=1M count=64 status=none && chmod 600 /swapfile && mkswap -q /swapfile && swapon /swapfile', 120_000)
      await installUnit('--memory-swap-behavior LimitedSwap')
      await guest.must('systemctl restart skiff', 300_000)
      await untilUp()
      const half = { requests: { memory: '16Mi' }, limits: { memory: '32Mi' } }
      const whole = { requests: { cpu: '10m', memory: '32Mi' }, limits: { cpu: '10m', memory: '32Mi' } }
      await apply(pod({ name: 'swaps', container: { resources: half } }), pod({ name: 'stays', container: { resources: whole } }))
      await untilReady('swaps', 'stays')
      const [memory = 0, swap = 0] = (await guest.must("awk '/^MemTotal|^SwapTotal/ { print $2 * 1024 }' /proc/meminfo")).split('\n').map(Number)
      const part = Math.floor((16 * MIB / memory) * swap)
      const limit = async (name: string) => Number(await guest.mustKubectl(['exec', name, '--', 'cat', '/sys/fs/cgroup/memory.swap.max']))
      // The kernel counts in pages.
      assert.deepStrictEqual([await limit('swaps'), await limit('stays')], [part - part % 4096, 0])
      await deletePods('swaps', 'stays')
      await guest.must('swapoff /swapfile && rm /swapfile', 120_000)
    })
  })

  describe('volumes of a file server', () => {
    const nfs = { server: '127.0.0.1', path: '/srv/share' }
    const mounted = { volumeMounts: [{ name: 'share', mountPath: '/share' }] }
    const mounts = async () => (await guest.must('grep " nfs4 " /proc/mounts || true')).split('\n').filter(Boolean)

    before(async () => { await guest.must('mkdir -p /srv/share && echo "/srv/share 127.0.0.1(rw,no_root_squash,no_subtree_check)" > /etc/exports && systemctl start nfs-server', 120_000) })
    after(async () => { await guest.must('systemctl stop nfs-server && rm -r /srv/share /etc/exports', 120_000) })

    it('a pod\'s own and a PersistentVolume\'s are the same files, each mounted by its options', async () => {
      await apply(
        JSON.stringify({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'share' }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadOnlyMany'], storageClassName: '', mountOptions: ['nfsvers=4.1'], nfs: { ...nfs, readOnly: true } } }),
        JSON.stringify({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'share' }, spec: { accessModes: ['ReadOnlyMany'], storageClassName: '', volumeName: 'share', resources: { requests: { storage: '1Gi' } } } }),
        pod({ name: 'writer', pod: { volumes: [{ name: 'share', nfs }] }, container: mounted }),
        pod({ name: 'reader', pod: { volumes: [{ name: 'share', persistentVolumeClaim: { claimName: 'share' } }] }, container: mounted }),
      )
      await untilReady('writer', 'reader')
      await guest.mustKubectl(['exec', 'writer', '--', 'sh', '-c', 'echo written > /share/note'])
      assert.equal(await guest.mustKubectl(['exec', 'reader', '--', 'cat', '/share/note']), 'written')
      assert.match((await guest.kubectl(['exec', 'reader', '--', 'touch', '/share/note'])).stderr, /Read-only file system/)
      const uid = async (name: string) => (await seen(name)).metadata.uid
      const [ofWriter, ofReader] = [await uid('writer'), await uid('reader')]
      const of = async (podUid: string, name: string) => (await mounts()).find((line) => line.includes(`/${podUid}/volumes/kubernetes.io~nfs/${name} `)) ?? ''
      assert.match(await of(ofWriter, 'share'), /^127\.0\.0\.1:\/srv\/share .* nfs4 rw,.*vers=4\.2/)
      assert.match(await of(ofReader, 'share'), /^127\.0\.0\.1:\/srv\/share .* nfs4 ro,.*vers=4\.1/)
    })

    it('what the server does not have keeps the pod waiting, and is told in the server\'s words', async () => {
      await apply(pod({ name: 'nowhere', pod: { volumes: [{ name: 'share', nfs: { ...nfs, path: '/srv/none' } }] }, container: mounted }))
      const events = () => guest.mustKubectl(['get', 'events', '--field-selector', 'involvedObject.name=nowhere,reason=FailedMount', '-o', 'jsonpath={.items[*].message}'])
      await untilSo('the failure is told', async () => /MountVolume\.SetUp failed for volume "share" : mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs 127\.0\.0\.1:\/srv\/none \S+\nOutput: mount\.nfs: .*(access denied by server|No such file or directory)/.test(await events()))
      assert.equal((await seen('nowhere')).status.phase, 'Pending')
    })

    it('are unmounted with their pods, and their files stay', async () => {
      await deletePods()
      await untilSo('nothing is mounted', async () => (await mounts()).length === 0, 30_000)
      assert.equal(await guest.must('cat /srv/share/note'), 'written')
      await guest.mustKubectl(['delete', 'pvc,pv', '--all', '--wait=false'])
    })
  })

  describe('the network, with modules that load for real', () => {
    it('pods reach each other, a Service by address and by name, and names outside are refused rather than hung on', async () => {
      await apply(
        pod({ name: 'web', labels: { app: 'web' }, container: { command: ['sh', '-c', 'httpd -f -p 8080 -h /var/www'], readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1, timeoutSeconds: 10 } } }),
        pod({ name: 'client' }),
        JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } }),
      )
      await untilReady('web', 'client')
      const service = await guest.mustKubectl(['get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}'])
      const get = async (url: string) => guest.kubectl(['exec', 'client', '--', 'timeout', '20', 'wget', '-qO-', url])
      await untilSo('the Service answers', async () => (await get(`http://${service}`)).stdout === 'hello from busybox\n')
      assert.equal((await get(`http://${(await seen('web')).status.podIP}:8080`)).stdout, 'hello from busybox\n')
      assert.equal((await get('http://web')).stdout, 'hello from busybox\n')
      assert.equal((await get('http://web.default.svc.cluster.local')).stdout, 'hello from busybox\n')
      assert.equal(await guest.must(`timeout 20 busybox wget -qO- http://${service}`), 'hello from busybox', 'from the node itself')
    })

    it('the overlay stands on the kernel\'s own modules, and nothing complains', async () => {
      assert.match(await guest.must('cat /proc/modules'), /^vxlan /m)
      assert.match(await guest.must('ip -d link show type vxlan'), /vxlan id 1 .*dstport 8472 .*nolearning/)
      const complaints = await guest.must('journalctl -u skiff --no-pager -o cat | grep -E \'"level":"(error|warn)"\' | grep -E "network|overlay|ethtool|vxlan|nft" || true')
      assert.equal(complaints, '')
    })

    it('a restart of systemd-networkd takes neither links nor routes of pods', async () => {
      const state = () => guest.must('ip -br link | grep -v LOOPBACK | awk \'{print $1, $2}\'; ip route')
      const were = await state()
      await guest.must('systemctl restart systemd-networkd && sleep 3')
      assert.equal(await state(), were)
      await deletePods()
      await guest.mustKubectl(['delete', 'service', 'web'])
    })
  })

  describe('power', () => {
    const deployment = JSON.stringify({
      apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'shop' },
      spec: {
        replicas: 3, selector: { matchLabels: { app: 'shop' } },
        template: { metadata: { labels: { app: 'shop' } }, spec: { terminationGracePeriodSeconds: 2, containers: [{ name: 'main', image: IMAGE, command: ['sh', '-c', 'httpd -f -p 8080 -h /var/www'], readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1, timeoutSeconds: 10 }, resources: { requests: { cpu: '10m', memory: '8Mi' }, limits: { memory: '64Mi' } } }] } },
      },
    })
    const shop = async () => (JSON.parse(await guest.mustKubectl(['get', 'pods', '-l', 'app=shop', '-o', 'json'])) as { items: SeenPod[] }).items
    const uids = async () => (await shop()).map((p) => p.metadata.uid).sort()
    const bootIds = new Set<string>()
    const untilAllBack = async (were: string[]) => {
      bootIds.add(await guest.must('cat /proc/sys/kernel/random/boot_id'))
      await untilUp()
      await untilSo('every pod is ready again after the boot', async () => (await shop()).every((p) => isReady(p) && (p.status.containerStatuses?.[0]?.restartCount ?? 0) > 0), 240_000)
      assert.deepStrictEqual(await uids(), were, 'the same pods, not others in their place')
    }

    it('a poweroff does not wait for containers, and the boot after it brings everything back by itself', async () => {
      // PID 1 of a container has no handler for SIGTERM, unless it asks for one.
      await apply(deployment)
      await untilSo('three pods are ready', async () => (await shop()).filter(isReady).length === 3)
      const were = await uids()
      bootIds.add(await guest.must('cat /proc/sys/kernel/random/boot_id'))
      const tookMs = await guest.powerOff()
      assert.ok(tookMs < 45_000, `poweroff took ${Math.round(tookMs / 1000)} s`)
      await guest.boot()
      await untilAllBack(were)
    })

    it('a power cut under writes loses nothing that was acknowledged, and all pods come back', async () => {
      const were = await uids()
      const acknowledged: string[] = []
      let stop = false
      const writing = (async () => {
        for (let i = 0; !stop; i++) {
          const { code } = await guest.kubectl(['create', 'configmap', `written-${i}`, `--from-literal=n=${i}`], { timeoutMs: 20_000 })
          if (code === 0) acknowledged.push(`written-${i}`)
        }
      })()
      await guest.until('some writes are acknowledged', 60_000, () => acknowledged.length >= 15)
      await guest.cutPower()
      stop = true
      await writing
      await guest.boot()
      await untilAllBack(were)
      const there = new Set((await guest.mustKubectl(['get', 'configmaps', '-o', 'name'])).split('\n').map((line) => line.replace('configmap/', '')))
      assert.deepStrictEqual(acknowledged.filter((name) => !there.has(name)), [])
    })

    it('a power cut while pods start leaves nothing half made', async () => {
      await guest.mustKubectl(['scale', 'deployment', 'shop', '--replicas=6'])
      await untilSo('new pods are under way', async () => (await shop()).length === 6)
      await guest.cutPower()
      await guest.boot()
      await untilUp()
      await untilSo('six pods are ready', async () => (await shop()).filter(isReady).length === 6, 240_000)
      await guest.mustKubectl(['delete', 'deployment', 'shop'])
      await untilSo('all pods are gone', async () => (await shop()).length === 0)
      await untilSo('nothing of them is left', async () => (await held()).length === 0, 30_000)
      assert.equal(bootIds.size, 3)
    })
  })

  it('skiff uninstall leaves the machine as it was', async () => {
    await guest.must('systemctl disable -q --now skiff; rm /etc/systemd/system/skiff.service; systemctl daemon-reload; skiff uninstall --yes', 120_000)
    const left = await guest.must('ls -d /var/lib/skiff /run/skiff /etc/skiff /sys/fs/cgroup/kubepods 2>/dev/null; ip -br link | grep -E "skiff|veth|vxlan"; nft list tables; pgrep -a "conmon|skiff"; true')
    assert.equal(left, '')
  })
})
