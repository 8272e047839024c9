import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { missingForContainers } from '#test/images/runtime-machine.ts'
import { joinCgroup, readCgroupLayout, removeCgroup } from './cgroups.ts'
import { childrenOf, endExec, endLeftExecs } from './exec-end.ts'
import { identify } from './process-identity.ts'

/** Waits in its own process, which keeps its arguments: a program that a shell started would outlive it. */
const WAITS = 'exec tail -f -- /dev/null "$0" "$@"'

/** A program in the place of runc, and what it has started: whatever carries the mark in its arguments. */
function world(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'exec-end-'))
  const mark = `mark-${process.pid}-${directory.slice(-6)}`
  const marked = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isMarked(Number(name), mark))
  t.after(() => {
    for (const pid of marked()) process.kill(Number(pid), 'SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    directory, mark, marked,
    /** `script` may use $0 as the mark. */
    async runc(script: string, ...args: string[]): Promise<ChildProcess & { pid: number }> {
      const child = spawn('sh', ['-c', script, mark, ...args], { stdio: 'ignore' })
      await once(child, 'spawn')
      return child as ChildProcess & { pid: number }
    },
    async until(what: () => boolean) {
      for (const deadline = performance.now() + 60_000; !what(); ) {
        assert.ok(performance.now() < deadline, 'it does not happen')
        await systemClock.sleep(5)
      }
    },
  }
}

function isMarked(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false // It has gone while one looked.
  }
}

const alive = (child: { pid: number }) => {
  const found = identify(child.pid)
  assert.ok(found)
  return found
}

test('children are the same, told by the kernel or looked for among all processes; one that has ended is none', async (t) => {
  const w = world(t)
  const runc = await w.runc('sleep 100000 & sleep 100000 & (exit 0) & sleep 100000; exit 0')
  const ended = once(runc, 'exit')
  await w.until(() => childrenOf(runc.pid, false).length === 3)
  assert.deepEqual(new Set(childrenOf(runc.pid)), new Set(childrenOf(runc.pid, false)))
  for (const pid of childrenOf(runc.pid)) process.kill(pid, 'SIGKILL')
  await ended
})

test('a command that runs is killed, and its runc ends by itself with it', async (t) => {
  const w = world(t)
  const runc = await w.runc('setsid sh -c "sleep 100000; :" "$0-command" & wait $!; exit 7')
  await w.until(() => w.marked().length === 2)
  const ended = once(runc, 'exit')
  await endExec(alive(runc), systemClock)
  assert.deepEqual([await ended, w.marked()], [[7, null], []])
})

test('a command that its runc starts only after it was to end does not stay either', async (t) => {
  const w = world(t)
  // What it waits with is killed as its child, and then it begins.
  const runc = await w.runc(`sleep 100000; setsid sh -c "sleep 100000; :" "$0-command" & wait $!; exit 7`)
  const ended = once(runc, 'exit')
  await endExec(alive(runc), systemClock)
  assert.deepEqual([await ended, w.marked()], [[7, null], []])
})

test('a runc that goes on starting, and does not end, is stopped and killed when nothing of its own is left', async (t) => {
  const w = world(t)
  const runc = await w.runc('while :; do setsid sh -c "sleep 100000; :" "$0-command" & wait $!; done')
  const ended = once(runc, 'exit')
  await endExec(alive(runc), systemClock, 50)
  assert.deepEqual([await ended, w.marked()], [[null, 'SIGKILL'], []])
})

test('after a restart commands of former sessions end with their runc, and what names them goes', async (t) => {
  const w = world(t)
  const directory = join(w.directory, 'exec')
  await endLeftExecs(directory, systemClock)
  mkdirSync(directory)
  const name = `c1.${w.mark}`
  writeFileSync(join(directory, `${name}.json`), '{}')
  const runc = await w.runc('setsid sh -c "sleep 100000; :" "$0-command" & wait $!', '--process', join(directory, `${name}.json`))
  const other = await w.runc(WAITS, '--process', join(directory, 'c1.another.json'))
  await w.until(() => w.marked().length === 3)
  const ended = once(runc, 'exit')
  await endLeftExecs(directory, systemClock)
  assert.deepEqual([await ended, w.marked(), existsSync(directory)], [[null, 'SIGKILL'], [String(other.pid)], false])
})

test('a command whose runc is gone is known by its pid, its container and its age', { skip: await missingForContainers() }, async (t) => {
  const w = world(t)
  const layout = readCgroupLayout()
  const container = `c-${w.mark}`
  t.after(() => removeCgroup(`/skiff-${w.mark}`, layout))
  const directory = join(w.directory, 'exec')
  mkdirSync(directory)
  const [command, outside] = [await w.runc(WAITS), await w.runc(WAITS)]
  joinCgroup(`/skiff-${w.mark}/${container}`, command.pid, layout)
  writeFileSync(join(directory, `${container}.e1.pid`), String(command.pid))
  writeFileSync(join(directory, `${container}.e2.pid`), String(outside.pid))
  const ended = once(command, 'exit')
  await endLeftExecs(directory, systemClock)
  assert.deepEqual([await ended, w.marked()], [[null, 'SIGKILL'], [String(outside.pid)]])
})
