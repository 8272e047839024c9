/** What is asked of AppArmor and SELinux: decided here as tables, for kernels that have neither. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { appArmorProfile, DEFAULT_PROFILE, parseContexts, parseProfiles, selinuxLabels } from './lsm.ts'

describe('AppArmor', () => {
  const kernel = { profiles: parseProfiles('docker-default (enforce)\nmy profile (complain)\n/usr/bin/man (enforce)\nnonsense\n'), canLoad: true }
  /** A kernel that has it, on a machine that does not use it. */
  const unused = { ...kernel, canLoad: false }
  test('profiles are read as the kernel lists them', () => assert.deepStrictEqual([...kernel.profiles], ['docker-default', 'my profile', '/usr/bin/man']))
  const table: [string, string | undefined, string | undefined][] = [
    ['nothing said is the default', appArmorProfile({ privileged: false }, kernel), DEFAULT_PROFILE],
    ['but not for a privileged container', appArmorProfile({ privileged: true }, kernel), undefined],
    ['RuntimeDefault', appArmorProfile({ privileged: false, apparmor: { profile: 'RuntimeDefault' } }, kernel), DEFAULT_PROFILE],
    ['RuntimeDefault, privileged', appArmorProfile({ privileged: true, apparmor: { profile: 'RuntimeDefault' } }, kernel), undefined],
    ['Unconfined', appArmorProfile({ privileged: false, apparmor: { profile: 'Unconfined' } }, kernel), undefined],
    ['Localhost, also privileged', appArmorProfile({ privileged: true, apparmor: { profile: 'Localhost', name: 'my profile' } }, kernel), 'my profile'],
    ['nothing said and no AppArmor', appArmorProfile({ privileged: false }, undefined), undefined],
    ['nothing said where no profile can be loaded', appArmorProfile({ privileged: false }, unused), undefined],
    ['... unless it is loaded already', appArmorProfile({ privileged: false }, { profiles: new Set([DEFAULT_PROFILE]), canLoad: false }), DEFAULT_PROFILE],
    ['RuntimeDefault is tried all the same: its loading fails and says what is missing', appArmorProfile({ privileged: false, apparmor: { profile: 'RuntimeDefault' } }, unused), DEFAULT_PROFILE],
    ['Localhost, loaded by somebody else', appArmorProfile({ privileged: false, apparmor: { profile: 'Localhost', name: 'my profile' } }, unused), 'my profile'],
    ['Unconfined and no AppArmor', appArmorProfile({ privileged: false, apparmor: { profile: 'Unconfined' } }, undefined), undefined],
  ]
  for (const [what, is, wanted] of table) test(what, () => assert.equal(is, wanted))
  test('a profile that is not loaded, or a kernel without, is refused as containerd does', () => {
    assert.throws(() => appArmorProfile({ privileged: false, apparmor: { profile: 'Localhost', name: 'other' } }, kernel), { code: 'CRI_INVALID', message: 'apparmor profile not found other' })
    for (const apparmor of [{ profile: 'RuntimeDefault' }, { profile: 'Localhost', name: 'my profile' }] as const) assert.throws(() => appArmorProfile({ privileged: false, apparmor }, undefined), { code: 'CRI_INVALID', message: 'apparmor is not supported' })
  })
})

describe('SELinux', () => {
  const contexts = parseContexts('')
  const of = (options: Parameters<typeof selinuxLabels>[0], privileged = false) => selinuxLabels(options, { privileged, sandboxId: 's1', contexts })
  test('the policy\'s own contexts, container-selinux\'s without one', () => {
    assert.deepStrictEqual(contexts, { process: 'system_u:system_r:container_t:s0', file: 'system_u:object_r:container_file_t:s0' })
    assert.deepStrictEqual(parseContexts('# x\nprocess = "a:b:svirt_lxc_net_t:s0"\ncontent = "no"\nfile = "a:o:svirt_file_t:s0"\n'), { process: 'a:b:svirt_lxc_net_t:s0', file: 'a:o:svirt_file_t:s0' })
  })
  test('what is asked for takes the place of the policy\'s; files follow in user and level', () => {
    assert.deepStrictEqual(of({ level: 's0:c1,c2' }), { process: 'system_u:system_r:container_t:s0:c1,c2', mount: 'system_u:object_r:container_file_t:s0:c1,c2' })
    assert.deepStrictEqual(of({ user: 'u', role: 'r', type: 'spc_t', level: 's0' }), { process: 'u:r:spc_t:s0', mount: 'u:object_r:container_file_t:s0' })
    assert.equal(of({ type: 'spc_t' }, true).process, undefined)
  })
  test('without a level, containers of one pod have two categories together, other pods others', () => {
    const level = (sandboxId: string) => selinuxLabels({}, { privileged: false, sandboxId, contexts }).mount.split(':').slice(3).join(':')
    assert.equal(level('s1'), level('s1'))
    assert.notEqual(level('s1'), level('s2'))
    fc.assert(fc.property(fc.string(), (id) => {
      const [, a = '', b = ''] = /^s0:c(\d+),c(\d+)$/.exec(level(id)) ?? []
      return a !== '' && Number(a) < Number(b) && Number(b) < 1024
    }))
  })
})
