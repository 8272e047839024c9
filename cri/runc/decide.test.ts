/** What is pure: references, endpoints, platforms, challenges, users, capabilities, specs, mount tables. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { testContainer, testPod } from '../runtime.contract.ts'
import { containerCapabilities, ownCapabilities } from './capabilities.ts'
import { checkResources } from './cgroups.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import { choosePlatform, hostPlatform, parseImageConfig, parseManifest } from './manifest.ts'
import type { IndexEntry } from './manifest.ts'
import { mountOf, mountsBelow, parseMountTable } from './mount-table.ts'
import { NO_EDITS } from './cdi/cdi-edits.ts'
import { buildOciSpec } from './oci-spec.ts'
import type { SpecFacts } from './oci-spec.ts'
import { formatReference, parseReference } from './reference.ts'
import { parseRegistries } from './parse-registries.ts'
import { credentialsFor, endpointsFor, isLoopback } from './registries-config.ts'
import { parseChallenge } from './registry-auth.ts'
import { defaultSeccompProfile } from './seccomp-default.ts'
import { lookUpUser } from './user-lookup.ts'

const D = `sha256:${'a'.repeat(64)}`

describe('references', () => {
  const cases: [string, string][] = [
    ['busybox', 'docker.io/library/busybox:latest'], ['busybox:1.36', 'docker.io/library/busybox:1.36'], ['user/app', 'docker.io/user/app:latest'], ['docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['index.docker.io/library/busybox', 'docker.io/library/busybox:latest'], ['localhost/app', 'localhost/app:latest'], ['localhost:5000/app:v1', 'localhost:5000/app:v1'], ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10'],
    ['ghcr.io/a/b/c', 'ghcr.io/a/b/c:latest'], [`busybox@${D}`, `docker.io/library/busybox@${D}`], [`busybox:1@${D}`, `docker.io/library/busybox@${D}`], ['[::1]:5000/app:x', '[::1]:5000/app:x'], ['a__b/c-d', 'docker.io/a__b/c-d:latest'],
  ]
  for (const [text, full] of cases) test(`${text} is ${full}`, () => assert.equal(formatReference(parseReference(text)), full))
  for (const text of ['', ':1', 'UPPER', 'a b', 'a/../b', 'x:tag:tag', 'app@sha256:short', 'app@md5:abc', 'a//b', '/a', 'a/', `${'a/'.repeat(150)}b`, 'host:port/app', 'x:-tag']) {
    test(`${JSON.stringify(text.slice(0, 20))} is no reference`, () => assert.throws(() => parseReference(text), (e: Error & { code?: string }) => e.code === 'CRI_INVALID' && e.message.includes('invalid reference format') || /more than 255/.test(e.message)))
  }
  test('what is written can be read again', () => fc.assert(fc.property(fc.constantFrom(...cases.map((c) => c[0])), (text) => {
    const full = formatReference(parseReference(text))
    assert.equal(formatReference(parseReference(full)), full)
  })))
  test('any text is either a reference or CRI_INVALID', () => fc.assert(fc.property(fc.string(), (text) => {
    try {
      assert.ok(parseReference(text).repository.length > 0)
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'CRI_INVALID')
    }
  })))
})

describe('registries', () => {
  test('the registry itself: docker.io has another host, loopback is plain http', () => {
    assert.deepEqual(['busybox', 'ghcr.io/a/b', 'localhost:5000/x', '127.0.0.1:5000/x'].map((ref) => endpointsFor(parseReference(ref), {}).map((e) => e.baseUrl)),
      [['https://registry-1.docker.io/v2'], ['https://ghcr.io/v2'], ['http://localhost:5000/v2'], ['http://127.0.0.1:5000/v2']])
  })
  test('a star mirrors all others, a mirror may have a path, bad ones are named', () => {
    const config = { mirrors: { '*': { endpoint: ['http://cache:5000'] }, 'ghcr.io': { endpoint: ['https://proxy.local/v2/ghcr'] } } }
    assert.deepEqual(endpointsFor(parseReference('quay.io/a/b'), config).map((e) => [e.baseUrl, e.mirrorOf]), [['http://cache:5000/v2', 'quay.io'], ['https://quay.io/v2', undefined]])
    assert.deepEqual(endpointsFor(parseReference('ghcr.io/a/b'), config).map((e) => e.baseUrl), ['https://proxy.local/v2/ghcr', 'https://ghcr.io/v2'])
    assert.throws(() => endpointsFor(parseReference('x.io/a'), { mirrors: { 'x.io': { endpoint: ['http://['] } } }), { code: 'CRI_INVALID' })
  })
  test('the pull secret wins over the node\'s; auth is user:password in base64', () => {
    const [endpoint] = endpointsFor(parseReference('ghcr.io/a/b'), {})
    assert.ok(endpoint)
    const config = { configs: { 'ghcr.io': { auth: { auth: Buffer.from('me:a:b').toString('base64') } } } }
    assert.deepEqual([credentialsFor(endpoint, undefined, config), credentialsFor(endpoint, { username: 'x' }, config), credentialsFor(endpoint, {}, {})], [{ username: 'me', password: 'a:b' }, { username: 'x' }, undefined])
  })
  test('docker.io\'s settings are also found under its own name; loopback is TLS where TLS is set; rewrites are Go\'s', () => {
    const config = { configs: { 'docker.io': { auth: { username: 'me', password: 'x' } }, 'localhost:5000': { tls: { insecure_skip_verify: true } } }, mirrors: { 'docker.io': { endpoint: ['https://m'], rewrite: { '^library/(.*)$': 'a/${1}/b', never: 'c' } } } }
    const [mirror, hub] = endpointsFor(parseReference('busybox'), config)
    assert.ok(mirror && hub)
    assert.deepEqual([mirror.repository, credentialsFor(mirror, undefined, config), credentialsFor(hub, undefined, config)], ['a/busybox/b', undefined, { username: 'me', password: 'x' }])
    assert.deepEqual(endpointsFor(parseReference('localhost:5000/x'), config).map((e) => e.baseUrl), ['https://localhost:5000/v2'])
  })
  test('registries.yaml is taken as k3s documents it, empty parts left out', () => {
    const file = {
      mirrors: { 'docker.io': { endpoint: ['https://registry.example.com:5000', 'plain:5000'], rewrite: { '^rancher/(.*)': 'prefix/$1' } }, '*': null, 'ghcr.io': { endpoint: null } },
      configs: { 'registry.example.com:5000': { auth: { username: 'x', password: 'y' }, tls: { cert_file: '/c', key_file: '/k', ca_file: '/a', insecure_skip_verify: true } }, 'b': { auth: { auth: 'eDp5' } }, 'c': { auth: { identity_token: 't' }, tls: null } },
    }
    assert.deepEqual(parseRegistries(file), {
      mirrors: { 'docker.io': file.mirrors['docker.io'], 'ghcr.io': {} },
      configs: { ...file.configs, 'c': { auth: { identity_token: 't' } } },
    })
    assert.deepEqual([parseRegistries({}), parseRegistries({ mirrors: null, configs: null })], [{}, {}])
  })
  for (const [file, says] of [
    [{ mirror: {} }, 'mirror is not known: there are mirrors, configs'], [{ mirrors: [] }, 'mirrors must be a mapping'], [{ mirrors: { 'docker.io': { endpoints: [] } } }, 'mirrors.docker.io.endpoints is not known: there are endpoint, rewrite'],
    [{ mirrors: { a: { endpoint: 'https://b' } } }, 'mirrors.a.endpoint must be a list'], [{ mirrors: { a: { endpoint: [5000] } } }, 'mirrors.a.endpoint[0] must be a text (put it in quotes)'],
    [{ mirrors: { a: { endpoint: ['ftp://x'] } } }, 'mirrors.a.endpoint[0]: "ftp://x" is not a URL such as https://registry.example.com:5000'], [{ mirrors: { a: { rewrite: { '(': 'x' } } } }, 'mirrors.a.rewrite: "(" is not a regular expression'],
    [{ configs: { a: { auth: { user: 'secret' } } } }, 'configs.a.auth.user is not known: there are username, password, auth, identity_token'], [{ configs: { a: { auth: { password: 12345 } } } }, 'configs.a.auth.password must be a text (put it in quotes)'],
    [{ configs: { a: { tls: { insecure_skip_verify: 'yes' } } } }, 'configs.a.tls.insecure_skip_verify must be true or false'], [{ configs: { a: { tls: { cert_file: '/c' } } } }, 'configs.a.tls needs both cert_file and key_file, or neither'], ['x', 'it must be a mapping'],
  ] as const) test(`a registries.yaml is refused: ${says}`, () => assert.throws(() => parseRegistries(file), { code: 'CRI_INVALID', message: says }))
  test('only real loopback names are loopback', () => assert.deepEqual(['localhost', 'localhost:5000', '127.1.2.3:80', '[::1]:5000', '127.0.0.1.evil.com', 'localhost.evil.com'].map(isLoopback), [true, true, true, true, false, false]))
  test('challenges: Bearer before Basic, quoted commas, junk', () => {
    assert.deepEqual(parseChallenge('Basic realm="x", Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"'), { scheme: 'bearer', parameters: { realm: 'https://a/t', service: 's', scope: 'repository:a/b:pull,push' } })
    assert.deepEqual([parseChallenge('Basic realm="x"')?.scheme, parseChallenge('Negotiate'), parseChallenge(undefined)], ['basic', undefined, undefined])
  })
  test('any challenge header is read without harm', () => fc.assert(fc.property(fc.string(), (text) => void parseChallenge(`Bearer ${text}`))))
})

describe('manifests', () => {
  const entry = (architecture: string, variant?: string): IndexEntry => ({ mediaType: '', digest: D, sizeBytes: 1, annotations: {}, platform: { os: 'linux', architecture, ...(variant && { variant }) } })
  test('the newest variant this machine runs is taken', () => {
    const arm = ['v5', 'v7', 'v6', 'v8'].map((v) => entry('arm', v))
    assert.deepEqual(choosePlatform(arm, hostPlatform('arm')).map((e) => e.platform?.variant), ['v7', 'v6', 'v5'])
    assert.equal(choosePlatform([entry('arm64')], hostPlatform('arm64')).length, 1)
    assert.deepEqual(choosePlatform([entry('amd64', 'v3'), entry('amd64')], hostPlatform('x64')).map((e) => e.platform?.variant), [undefined])
    assert.deepEqual(choosePlatform([entry('s390x')], hostPlatform('x64')), [])
  })
  test('schema 1 and other things are refused', () => {
    for (const doc of ['{"schemaVersion":1}', '[]', 'null', '7', '{}', '{"layers":[{}],"config":{}}', '{"layers":[],"config":{"digest":"sha512:x","size":1}}', '{"manifests":[7]}', 'nonsense']) assert.throws(() => parseManifest(Buffer.from(doc), undefined), { code: 'CRI_PULL_FAILED' }, doc)
  })
  test('a config without much in it is one', () => assert.deepEqual(parseImageConfig(Buffer.from(`{"rootfs":{"diff_ids":["${D}"]},"config":null}`)), { platform: { os: 'linux', architecture: '' }, diffIds: [D], user: '', env: [], entrypoint: [], cmd: [], workingDir: '', stopSignal: undefined, labels: {} }))
})

describe('capabilities', () => {
  const all = ownCapabilities('CapPrm:\t000001ffffffffff\n')
  const of = (addCapabilities: string[], dropCapabilities: string[], privileged = false, own = all) => containerCapabilities({ privileged, addCapabilities, dropCapabilities }, own)
  test('defaults, ALL, single ones, and never more than the agent has', () => {
    assert.equal(of([], []).length, 14)
    assert.deepEqual(of(['NET_BIND_SERVICE'], ['ALL']), ['CAP_NET_BIND_SERVICE'])
    assert.deepEqual(of(['cap_net_admin'], ['ALL']), ['CAP_NET_ADMIN'])
    assert.equal(of(['ALL'], ['SYS_ADMIN']).includes('CAP_SYS_ADMIN'), false)
    assert.equal(of(['ALL'], []).length, 41)
    assert.deepEqual(of(['ALL'], [], true, ['CHOWN']), ['CAP_CHOWN'])
    assert.throws(() => of(['FLY'], []), { code: 'CRI_INVALID', message: 'unknown capability "CAP_FLY"' })
  })
})

describe('users', () => {
  const root = mkdtempSync(join(tmpdir(), 'skiff-users-'))
  mkdirSync(join(root, 'etc'))
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\napp:x:10:20::/home/app:\nbroken\n')
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\ngrp:x:20:\nextra:x:30:app, other\n')
  const look = (imageUser: string, security: Parameters<typeof lookUpUser>[1] = { supplementalGroups: [] }) => lookUpUser(root, security, imageUser)
  test('of the image and of the pod', () => {
    assert.deepEqual(look('app'), { uid: 10, gid: 20, additionalGids: [20, 30], home: '/home/app' })
    assert.deepEqual(look('app', { supplementalGroups: [5], supplementalGroupsPolicy: 'Strict' }), { uid: 10, gid: 20, additionalGids: [20, 5], home: '/home/app' })
    assert.deepEqual(look('10:extra'), { uid: 10, gid: 30, additionalGids: [30], home: '/home/app' })
    assert.deepEqual(look(''), { uid: 0, gid: 0, additionalGids: [0], home: '/root' })
    assert.deepEqual(look('app:grp', { runAsUser: 99, supplementalGroups: [5] }), { uid: 99, gid: 0, additionalGids: [0, 5], home: undefined })
    assert.throws(() => look('ghost'), { message: 'unable to find user ghost: no matching entries in passwd file' })
    assert.throws(() => look('app:ghosts'), /unable to find group ghosts/)
  })
  test('a passwd that is a link out of the image is the image\'s own file of that name, or none', () => {
    const evil = mkdtempSync(join(tmpdir(), 'skiff-users-'))
    mkdirSync(join(evil, 'etc'))
    symlinkSync('/etc/passwd', join(evil, 'etc/passwd'))
    symlinkSync('../../../../../../etc/group', join(evil, 'etc/group'))
    assert.throws(() => lookUpUser(evil, { runAsUsername: 'daemon', supplementalGroups: [] }, ''), /unable to find user daemon/)
    rmSync(evil, { recursive: true })
    rmSync(root, { recursive: true })
  })
})

describe('OCI spec', () => {
  const pod = testPod({ logDirectory: '/logs', cgroupParent: '/kubepods' }, 'web')
  const facts = (overrides: Partial<SpecFacts> = {}): SpecFacts => ({
    rootfs: '/r', image: { env: ['A=image', 'PATH=/bin'], entrypoint: ['entry'], cmd: ['cmd'], workingDir: '/work' }, user: { uid: 1, gid: 2, additionalGids: [2], home: '/home/u' }, ownCapabilities: ['CHOWN'],
    oomScoreAdjMin: -1000, cgroupVersion: 2, hasSwapLimit: true, hasHugePageLimit: true, cgroupsPath: '/kubepods/x', namespacePaths: { network: '/n', ipc: '/i', uts: '/u', pid: undefined, user: undefined },
    files: { resolvConf: '/resolv', hostname: '/hostname', shm: '/shm' }, devices: [], edits: NO_EDITS, confinement: {}, arch: 'x64', ...overrides,
  })
  const specOf = (overrides: Parameters<typeof testContainer>[2] = {}, f: Partial<SpecFacts> = {}) => buildOciSpec(testContainer('i', 'c', overrides), pod, facts(f))
  test('command and args follow Kubernetes\' table', () => {
    assert.deepEqual([specOf(), specOf({ args: ['x'] }), specOf({ command: ['c'] }), specOf({ command: ['c'], args: ['x'] })].map((s) => s.process.args), [['entry', 'cmd'], ['entry', 'x'], ['c'], ['c', 'x']])
    assert.throws(() => specOf({}, { image: { env: [], entrypoint: [], cmd: [], workingDir: '' } }), { message: 'no command specified' })
  })
  test('env: the image\'s, then the container\'s, each name once', () => assert.deepEqual(specOf({ env: [{ key: 'A', value: 'mine' }, { key: 'E', value: '' }], tty: true }).process.env, ['PATH=/bin', 'TERM=xterm', 'HOSTNAME=web', 'A=mine', 'E=', 'HOME=/home/u']))
  test('an OOM score is never below what may be set; memory without swap', () => {
    const { linux } = testContainer('i', 'c')
    const spec = specOf({ linux: { ...linux, resources: { oomScoreAdj: -999, memoryLimitBytes: 1000, cpuShares: 2, unified: { 'memory.min': '5' } } } }, { oomScoreAdjMin: 0 })
    assert.deepEqual([spec.process.oomScoreAdj, specOf().process.oomScoreAdj, specOf({ linux: { ...linux, resources: { oomScoreAdj: -997 } } }).process.oomScoreAdj], [0, 0, -997])
    assert.deepEqual(spec.linux.resources, { devices: [{ allow: false, access: 'rwm' }], cpu: { shares: 2 }, memory: { limit: 1000, swap: 1000 }, unified: { 'memory.swap.max': '0', 'memory.min': '5' } })
  })
  test('swap beyond memory is as much as the resources say, where they can', () => {
    const { linux } = testContainer('i', 'c')
    const resources = { memoryLimitBytes: 1000, unified: { 'memory.swap.max': '7' } }
    const of = (f: Partial<SpecFacts>) => { const { memory, unified } = specOf({ linux: { ...linux, resources } }, f).linux['resources'] as Record<string, unknown>; return { memory, unified } }
    assert.deepEqual(of({}), { memory: { limit: 1000 }, unified: { 'memory.swap.max': '7' } })
    assert.deepEqual(of({ cgroupVersion: 1 }), { memory: { limit: 1000, swap: 1000 }, unified: undefined })
  })
  test('mounts of the container replace the sandbox\'s, shallow ones come first', () => {
    const mount = (containerPath: string) => ({ containerPath, hostPath: `/host${containerPath}`, readonly: true, propagation: 'hostToContainer' as const })
    const spec = specOf({ mounts: [mount('/a/b/c'), mount('/a'), mount('/etc/resolv.conf'), mount('/dev/shm')] })
    assert.deepEqual(spec.mounts.filter((m) => m.type === 'bind').map((m) => [m.destination, m.source]), [['/etc/hostname', '/hostname'], ['/a', '/host/a'], ['/etc/resolv.conf', '/host/etc/resolv.conf'], ['/dev/shm', '/host/dev/shm'], ['/a/b/c', '/host/a/b/c']])
    assert.equal(spec.linux.rootfsPropagation, 'rslave')
  })
  test('what described devices want has the last word; a device is its container\'s user\'s unless it says otherwise', () => {
    const mount = (containerPath: string) => ({ containerPath, hostPath: `/host${containerPath}`, readonly: true, propagation: 'private' as const })
    const node = { type: 'c' as const, major: 1, minor: 2, fileMode: 0o666, access: 'rw' }
    const bind = (destination: string) => ({ destination, type: '', source: `/cdi${destination}`, options: ['bind'] })
    const spec = specOf({ mounts: [mount('/a/b/c'), mount('/lib/x')], env: [{ key: 'E', value: 'mine' }] }, {
      devices: [{ ...node, path: '/dev/x', minor: 9, uid: 0, gid: 0 }, { ...node, path: '/dev/y', uid: 0, gid: 0 }],
      edits: { env: ['E=cdi'], devices: [{ ...node, path: '/dev/x' }, { ...node, path: '/dev/z', uid: 0, gid: 7 }, { ...node, type: 'p', path: '/run/p' }], mounts: [bind('/lib/x'), bind('/a'), bind('/etc/hostname')], hooks: { createRuntime: [{ path: '/hook' }] }, additionalGids: [2, 44], intelRdt: { closID: 'x' } },
    })
    assert.ok(spec.process.env.includes('E=cdi') && !spec.process.env.includes('E=mine'))
    assert.deepEqual(spec.process.user.additionalGids, [2, 44])
    assert.deepEqual((spec.linux['devices'] as { path: string; minor: number; uid: number; gid: number }[]).map((d) => [d.path, d.minor, d.uid, d.gid]), [['/dev/y', 2, 0, 0], ['/dev/x', 2, 1, 2], ['/dev/z', 2, 0, 7], ['/run/p', 2, 1, 2]])
    assert.equal((spec.linux['resources'] as { devices: unknown[] }).devices.length, 4)
    assert.deepEqual(spec.mounts.filter((m) => m.type === 'bind' || m.type === '').map((m) => [m.destination, m.source]), [['/dev/shm', '/shm'], ['/etc/resolv.conf', '/resolv'], ['/a', '/cdi/a'], ['/lib/x', '/cdi/lib/x'], ['/etc/hostname', '/cdi/etc/hostname'], ['/a/b/c', '/host/a/b/c']])
    assert.deepEqual([spec.hooks, spec.linux['intelRdt']], [{ createRuntime: [{ path: '/hook' }] }, { closID: 'x' }])
    assert.deepEqual([specOf().hooks, specOf().linux['intelRdt']], [undefined, undefined])
  })
  test('namespaces: joined by path, the host\'s left out, one of its own for cgroups on version 2', () => {
    const { linux } = testContainer('i', 'c')
    assert.deepEqual(specOf().linux.namespaces, [{ type: 'mount' }, { type: 'network', path: '/n' }, { type: 'ipc', path: '/i' }, { type: 'uts', path: '/u' }, { type: 'pid' }, { type: 'cgroup' }])
    const host = specOf({ linux: { ...linux, namespaces: { network: 'node', pid: 'node', ipc: 'node' } } }, { cgroupVersion: 1, namespacePaths: { network: undefined, ipc: undefined, uts: undefined, pid: undefined, user: undefined } })
    assert.deepEqual(host.linux.namespaces, [{ type: 'mount' }])
  })
  test('the default filter allows new namespaces only with CAP_SYS_ADMIN', () => {
    const rule = (capabilities: string[], name: string) => defaultSeccompProfile(capabilities, 'arm64').syscalls.filter((r) => r.names.includes(name)).map((r) => [r.action, r.args?.length ?? 0])
    assert.deepEqual([rule([], 'clone'), rule([], 'clone3'), rule([], 'unshare')], [[['SCMP_ACT_ALLOW', 1]], [['SCMP_ACT_ERRNO', 0]], []])
    assert.deepEqual([rule(['CAP_SYS_ADMIN'], 'clone'), rule(['CAP_SYS_ADMIN'], 'clone3'), rule(['CAP_SYS_ADMIN'], 'unshare')], [[['SCMP_ACT_ALLOW', 0]], [['SCMP_ACT_ALLOW', 0]], [['SCMP_ACT_ALLOW', 0]]])
  })
  test('a container may be bound to processors', () => {
    const { linux } = testContainer('i', 'c')
    assert.deepEqual((specOf({ linux: { ...linux, resources: { cpusetCpus: '0-1', cpusetMems: '0' } } }).linux.resources as { cpu: unknown }).cpu, { cpus: '0-1', mems: '0' })
    assert.throws(() => checkResources({ cpusetCpus: '0' }, { version: 1, controllers: new Map([['memory', '/x']]), hasSwapLimit: false }), /CONFIG_CPUSETS/)
  })
  test('AppArmor\'s profile and SELinux\' labels are the process\' and its mounts\'; without them nothing is said', () => {
    const labels = (f: Partial<SpecFacts>) => { const { process, linux } = specOf({}, f); return [process.apparmorProfile, process.selinuxLabel, linux['mountLabel']] }
    assert.deepEqual(labels({}), [undefined, undefined, undefined])
    assert.deepEqual(labels({ confinement: { appArmor: 'p', selinux: { process: 'u:r:t:s0', mount: 'u:r:f:s0' } } }), ['p', 'u:r:t:s0', 'u:r:f:s0'])
    assert.deepEqual(labels({ confinement: { selinux: { process: undefined, mount: 'u:r:f:s0' } } }), [undefined, undefined, 'u:r:f:s0'])
  })
  test('a memory limit on a kernel without the controller is refused with the mend', () => {
    const layout = { version: 2 as const, controllers: new Map([['cpu', '/x']]), hasSwapLimit: false }
    assert.throws(() => checkResources({ memoryLimitBytes: 1 }, layout), /cgroup_enable=memory/)
    checkResources({ cpuShares: 2 }, layout)
  })
})

describe('mount table', () => {
  const table = parseMountTable(['1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw', '2 1 0:5 / /run rw master:2 - tmpfs tmpfs rw', '3 2 0:6 / /run/a\\040b rw - overlay overlay rw,lowerdir=x', '4 2 0:7 / /run/a\\040b/deep rw - tmpfs t rw'].join('\n'))
  test('the longest mount covers a path, names are unescaped, deepest are unmounted first', () => {
    assert.deepEqual([mountOf('/etc/x', table)?.path, mountOf('/run/x', table)?.propagation, mountOf('/run/a b/f', table)?.fsType, mountOf('/runner', table)?.path], ['/', ['master:2'], 'overlay', '/'])
    assert.deepEqual(mountsBelow('/run/a b', table).map(({ path }) => path), ['/run/a b/deep', '/run/a b'])
  })
})

describe('keyed lock', () => {
  test('work under one key runs one after the other, in order, failures included; other keys do not wait', () => fc.assert(fc.asyncProperty(fc.array(fc.record({ key: fc.constantFrom('a', 'b'), fails: fc.boolean() }), { maxLength: 20 }), async (jobs) => {
    const lock = new KeyedLock()
    const running = new Map<string, number>()
    const order: number[] = []
    await Promise.allSettled(jobs.map(({ key, fails }, i) => lock.run(key, async () => {
      assert.equal(running.get(key) ?? 0, 0)
      running.set(key, 1)
      order.push(i)
      await new Promise((resolve) => setImmediate(resolve))
      running.set(key, 0)
      if (fails) throw new Error('x')
    })))
    for (const key of ['a', 'b']) {
      const of = order.filter((i) => jobs[i]?.key === key)
      assert.deepEqual(of, [...of].sort((x, y) => x - y))
    }
    assert.equal(order.length, jobs.length)
  })))
})
