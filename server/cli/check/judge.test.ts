import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findingLine, hasMissing, judgeMachine, requiredPrograms } from './judge.ts'
import type { MachineView } from './view.ts'

const fit: MachineView = {
  isRoot: true,
  ociRuntime: 'runc', runtimeHandlers: new Map(),
  programs: Object.fromEntries([...requiredPrograms('runc'), 'modprobe'].map((p) => [p, `/usr/sbin/${p}`])),
  cgroups: { version: 2, hybrid: false, controllers: ['cpu', 'memory', 'pids'] },
  probes: { namespaces: undefined, overlayfs: undefined, bridge: undefined, veth: undefined, vxlan: undefined, nftables: undefined },
  nowMs: Date.parse('2026-11-21T12:00:00Z'),
  hasBatteryClock: true,
  dataDir: { path: '/var/lib/skiff', existing: '/var/lib', problem: undefined, freeBytes: 10 * 1024 ** 3, freeInodes: 1e6, card: undefined },
  flashProfile: 'normal',
  memoryBytes: 1 << 30,
  kernelSettings: { differing: [], canBeSet: true, areProtected: false },
  inotify: { instances: 128, watches: 8_192 },
  signs: [{ type: 'UnderVoltage', on: false, reason: 'VoltageIsSufficient', message: 'fine', fine: true }],
}
const otherwise = [{ name: 'vm/overcommit_memory', wanted: 1, actual: 0 }, { name: 'kernel/panic', wanted: 10, actual: 0 }]
/** The lines that are not ok. */
const trouble = (change: Partial<MachineView>) => judgeMachine({ ...fit, ...change }).filter((f) => f.level !== 'ok').map((f) => findingLine(f))

describe('what a machine lacks', () => {
  it('is nothing on one that has all', () => {
    assert.deepStrictEqual(trouble({}), [])
    assert.equal(hasMissing(judgeMachine(fit)), false)
  })

  const cases: readonly [string, Partial<MachineView>, string[]][] = [
    ['voltage, and a card that wears out', { signs: [{ type: 'UnderVoltage', on: false, reason: 'UnderVoltageOccurred', message: 'it was too low', fine: false }, { type: 'StorageWornOut', on: true, reason: 'StorageIsWornOut', message: 'replace it', fine: false }, { type: 'ClockNotSet', on: true, reason: 'ClockIsBeforeBuild', message: 'told elsewhere', fine: false }] }, ['warn    voltage         it was too low', 'warn    storage life    replace it']],
    ['root', { isRoot: false }, ['missing root            pods need namespaces, mounts and cgroups: run skiff as root']],
    ['a program', { programs: { ...fit.programs, nft: undefined } }, ['missing nft             not installed: apt-get install nftables']],
    ['modprobe, which all may be well without', { programs: { ...fit.programs, modprobe: undefined } }, ['warn    modprobe        not installed, so kernel modules must be loaded some other way: apt-get install kmod']],
    ['crun where it was asked for, not runc', { ociRuntime: 'crun', programs: { ...fit.programs, runc: undefined } }, ['missing crun            not installed: apt-get install crun']],
    ['the program of a handler', { runtimeHandlers: new Map([['small', 'crun'], ['own', '/opt/runc']]), programs: { ...fit.programs, crun: '/usr/bin/crun' } }, ['missing handler own     there is no /opt/runc: install it, or leave --runtime-handler own out']],
    ['the memory cgroup of a Raspberry Pi', { cgroups: { version: 2, hybrid: false, controllers: ['cpu', 'pids'] } }, ['missing memory cgroup   the kernel has it switched off, so limits of memory cannot be kept: add "cgroup_enable=memory cgroup_memory=1" to the kernel command line (Raspberry Pi: /boot/firmware/cmdline.txt, on its one line) and reboot']],
    ['all cgroups', { cgroups: undefined }, ['missing cgroups         not mounted: mount -t cgroup2 none /sys/fs/cgroup (systemd does it at boot)']],
    ['pids cgroup', { cgroups: { version: 1, hybrid: true, controllers: ['cpu', 'memory'] } }, ['warn    pids cgroup     the kernel lacks it (CONFIG_CGROUP_PIDS): a fork bomb in one pod reaches all']],
    ['VXLAN, which a single node is well without', { probes: { ...fit.probes, vxlan: 'Unknown device type' } }, ['warn    vxlan           does not work here (Unknown device type): modprobe vxlan (Ubuntu on Raspberry Pi: apt-get install linux-modules-extra-raspi); without it use --overlay host-gw or none']],
    ['overlayfs', { probes: { ...fit.probes, overlayfs: 'unknown filesystem type' } }, ['missing overlayfs       does not work here (unknown filesystem type): modprobe overlay, or use a kernel that has it; the data directory must be on ext4, xfs, btrfs or f2fs, not itself on overlayfs or NFS']],
    ['the time', { nowMs: 0, hasBatteryClock: false }, ['missing clock           says 1970-01-01 00:00 UTC, which cannot be: set it (timedatectl set-ntp true, or date -s), else certificates fail']],
    ['a data directory: told once, not as overlayfs too', { dataDir: { ...fit.dataDir, problem: 'EROFS: read-only file system' }, probes: { ...fit.probes, overlayfs: 'not tried' } }, ['missing data directory  /var/lib/skiff cannot be written (EROFS: read-only file system): mend that, or pass another --data-dir']],
    ['some space', { dataDir: { ...fit.dataDir, freeBytes: 1 << 30 } }, ['warn    disk            1.0 GiB free in /var/lib, which holds few images: make room, or pass --data-dir on another disk']],
    ['all space', { dataDir: { ...fit.dataDir, freeBytes: 1 << 20 } }, ['missing disk            1 MiB free in /var/lib, too little to run on: make room, or pass --data-dir on another disk']],
    ['inodes', { dataDir: { ...fit.dataDir, freeInodes: 3 } }, ['missing disk            3 inodes free in /var/lib, too little to run on: make room, or pass --data-dir on another disk']],
    ['memory', { memoryBytes: 256 << 20 }, ['warn    memory          256 MiB: enough for skiff agent, little for skiff server with pods']],
    ['settings of the kernel that it cannot change', { kernelSettings: { differing: otherwise, canBeSet: false, areProtected: false } }, ['warn    kernel settings not as a node wants them, and skiff cannot change them from here: on the machine itself, sysctl -w vm.overcommit_memory=1 kernel.panic=10, and put it into /etc/sysctl.d/']],
    ['settings of the kernel that it may not change', { kernelSettings: { differing: otherwise, canBeSet: true, areProtected: true } }, ['missing kernel settings invalid kernel flag: vm/overcommit_memory, expected value: 1, actual value: 0; invalid kernel flag: kernel/panic, expected value: 10, actual value: 0, and --protect-kernel-defaults keeps skiff from starting so: sysctl -w vm.overcommit_memory=1 kernel.panic=10, and put it into /etc/sysctl.d/']],
    ['inotify', { inotify: { instances: 8, watches: 8_192 } }, ['warn    inotify         8 instances, 8192 watches, so programs that watch files may fail: sysctl -w fs.inotify.max_user_instances=128, and put it into /etc/sysctl.d/']],
  ]
  it('says which settings of the kernel it changes itself', () => {
    assert.deepStrictEqual(judgeMachine({ ...fit, kernelSettings: { differing: otherwise, canBeSet: true, areProtected: false } }).filter((f) => f.what === 'kernel settings').map(findingLine), ['ok      kernel settings skiff sets vm.overcommit_memory=1 kernel.panic=10 when it starts'])
  })

  it('says which profile a card has, and that there is a gentler one', () => {
    const flash = (flashProfile: MachineView['flashProfile'], card: string | undefined) => judgeMachine({ ...fit, flashProfile, dataDir: { ...fit.dataDir, card } }).filter((f) => f.what === 'flash').map(findingLine)
    assert.deepStrictEqual([flash('normal', undefined), flash('normal', 'mmcblk0p2'), flash('gentle', 'mmcblk0p2')], [
      [], ['ok      flash           mmcblk0p2; --flash-profile gentle writes to it more seldom, for a little more memory'], ['ok      flash           mmcblk0p2, written to as seldom as can be (--flash-profile gentle)'],
    ])
  })

  for (const [what, change, lines] of cases) {
    it(`names ${what}`, () => {
      assert.deepStrictEqual(trouble(change), lines)
      assert.equal(hasMissing(judgeMachine({ ...fit, ...change })), lines.some((l) => l.startsWith('missing')))
    })
  }
})
