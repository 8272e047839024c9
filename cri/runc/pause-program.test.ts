import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { openPauseProgram, pauseProgram } from './pause-program.ts'

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'skiff-pause-'))
  t.after(() => rmSync(dir, { recursive: true }))
  return dir
}

test('it names itself, lets go of its file and outlives the signals of an orderly end', async (t) => {
  const pause = await openPauseProgram(directory(t))
  const child = spawn('/proc/self/fd/3', ['a', 'b'], { stdio: ['ignore', 'ignore', 'ignore', pause.fd] })
  t.after(() => child.kill('SIGKILL'))
  await pause.close()
  const of = (file: string) => readFileSync(`/proc/${child.pid}/${file}`, 'utf8')
  while (of('comm') !== 'pause\n') await setImmediate()
  assert.deepEqual([of('cmdline').replace(/\0+/g, ' '), existsSync(`/proc/${child.pid}/fd/3`)], ['/pause a b ', false])
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGCHLD'] as const) child.kill(signal)
  // Bits of HUP (1), INT (2), TERM (15), CHLD (17).
  assert.match(of('status'), /^SigIgn:\t0000000000014003$/m)
  assert.match(of('status'), /^State:\t[SR]/m)
})

test('on arm64 it does the same system calls', { skip: existsSync('/usr/bin/qemu-aarch64-static') ? false : 'needs qemu-aarch64-static' }, async (t) => {
  const path = join(directory(t), 'pause')
  writeFileSync(path, pauseProgram('arm64'))
  chmodSync(path, 0o755)
  const child = spawn('qemu-aarch64-static', ['-strace', path], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let calls = ''
  for await (const chunk of child.stderr as AsyncIterable<Buffer>) {
    calls += chunk.toString()
    if (/ppoll\(/.test(calls)) break
  }
  const seen = calls.trim().split('\n').map((line) => line.replace(/^\d+ /, '').replace(/ = .*/, ''))
  assert.deepEqual(seen.map((call) => call.replace(/\(.*/, '')), ['rt_sigaction', 'rt_sigaction', 'rt_sigaction', 'rt_sigaction', 'close', 'prctl', 'ppoll'])
  assert.deepEqual(seen.slice(0, 4).map((call) => /\((\w+)/.exec(call)?.[1]), ['SIGCHLD', 'SIGTERM', 'SIGINT', 'SIGHUP'])
})

test('its file is written once, and again where it is another one', async (t) => {
  const dir = directory(t)
  const path = join(dir, 'pause')
  await (await openPauseProgram(dir)).close()
  const { ino } = statSync(path)
  await (await openPauseProgram(dir)).close()
  assert.deepEqual([statSync(path).ino, statSync(path).mode & 0o777], [ino, 0o755])
  writeFileSync(path, 'half')
  await (await openPauseProgram(dir)).close()
  assert.ok(readFileSync(path).equals(pauseProgram(process.arch)))
  assert.throws(() => pauseProgram('mips'), /not built for mips/)
})

test('both programs are whole ELF files', { skip: existsSync('/usr/bin/readelf') ? false : 'needs readelf' }, (t) => {
  for (const [arch, machine] of [['x64', 'X86-64'], ['arm64', 'AArch64']] as const) {
    const path = join(directory(t), arch)
    writeFileSync(path, pauseProgram(arch))
    const told = execFileSync('readelf', ['-hlW', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    assert.match(told, new RegExp(`Machine:.*${machine}`))
    assert.match(told, /LOAD +0x000000 0x0+400000 0x0+400000 0x0*([0-9a-f]+) 0x0*\1 R E 0x10000/)
    assert.match(told, /Entry point address: +0x4000b0/)
  }
})
