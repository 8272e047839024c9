/** The embedded runtime's own tests (cri/), run in a guest: on cgroup version 2 alone, with runc and with crun. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Guest } from './guest.ts'

const ROOT = join(import.meta.dirname, '../..')
const DISK = process.env['SKIFF_GUEST_DISK'] ?? ''
/** Those in which containers run. */
const TESTS = ['embedded-runtime', 'containers', 'streams', 'crash'].map((name) => `cri/runc/${name}.test.ts`)
/** Of one of them, on this emulator. */
const TESTS_MS_MAX = 900_000
/** What is for kernels and mounts of another sort than the guest's. */
const NOT_HERE = [/no id-mapped mounts of tmpfs/, /the root mount is shared here/, /this kernel has AppArmor/]

/** With all they depend on. */
function packages(names: readonly string[], found = new Set<string>()): Set<string> {
  for (const name of names) {
    if (found.has(name)) continue
    found.add(name)
    const { dependencies = {} } = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as { dependencies?: Record<string, string> }
    packages(Object.keys(dependencies), found)
  }
  return found
}

describe('the embedded runtime on cgroup version 2', { skip: DISK === '' && 'run scripts/guest-test.sh' }, () => {
  let guest: Guest

  before(async () => {
    const work = mkdtempSync(join(tmpdir(), 'skiff-cargo-'))
    const sources = join(work, 'sources.tar')
    const modules = [...packages(['tar-stream', 'node-pty', 'fast-check', 'ws'])].map((name) => `node_modules/${name}`)
    execFileSync('tar', ['-C', ROOT, '-cf', sources, 'package.json', 'base', 'cri', 'test/images', 'scripts/run-tests.ts', ...modules])
    guest = new Guest({ diskDir: DISK, arch: 'amd64', cargo: { node: process.execPath, 'docker-registry': '/usr/bin/docker-registry', 'sources.tar': sources } })
    rmSync(work, { recursive: true })
    await guest.boot()
    await guest.must('install -m 0755 /cargo/node /cargo/docker-registry /usr/bin/; mkdir /opt/skiff && tar -C /opt/skiff -xf /cargo/sources.tar')
  })
  after(async () => { await guest[Symbol.asyncDispose]() })

  for (const file of TESTS) {
    for (const runtime of ['runc', 'crun']) {
      it(`${file} passes with ${runtime}, nothing skipped that this kernel can do`, async () => {
        const { stdout, stderr } = await guest.run(`cd /opt/skiff && SKIFF_TEST_OCI_RUNTIME=${runtime} node scripts/run-tests.ts --whole ${file}`, TESTS_MS_MAX)
        assert.match(stdout, /^[1-9]\d* passed, 0 failed, \d+ skipped$/m, stdout + stderr)
        const skipped = stdout.split('\n').filter((line) => line.startsWith('skipped: '))
        assert.deepEqual(skipped.filter((line) => !NOT_HERE.some((reason) => reason.test(line))), [])
      })
    }
  }
})
