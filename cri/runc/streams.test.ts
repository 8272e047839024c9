/** Exec, attach and port-forward sessions against real containers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { spawn } from 'node-pty'
import type { ContainerConfig, ContainerRuntime, IoSession } from '../runtime.ts'
import { testContainer, testPod, until } from '../runtime.contract.ts'
import type { SpawnPty } from '../index.ts'
import { filesIn, missingForContainers, testMachine } from '#test/images/runtime-machine.ts'
import type { TestMachine } from '#test/images/runtime-machine.ts'

const missing = await missingForContainers()

describe('streams of the embedded runtime', { skip: missing }, () => {
  let m: TestMachine
  let runtime: ContainerRuntime
  let image: string
  let pods = 0
  before(async () => {
    m = await testMachine()
    runtime = await m.open({ loadPty: () => spawn as SpawnPty })
    image = (await runtime.pullImage(m.imageRef, {})).id
  })
  after(() => m?.close())

  const start = async (overrides: Partial<ContainerConfig> = {}) => {
    const config = testPod({ logDirectory: join(m.root, 'logs'), cgroupParent: '/kubepods' }, `pod-${++pods}`)
    const sandboxId = await runtime.runPodSandbox(config)
    const id = await runtime.createContainer(sandboxId, testContainer(image, 'main', { command: ['sleep', '1000'], ...overrides }), config)
    await runtime.startContainer(id)
    return { id, sandboxId }
  }

  test('execSync keeps the streams apart, uses the container\'s user and environment, and bounds the output', async () => {
    const { id } = await start({ env: [{ key: 'COLOUR', value: 'red' }] })
    const both = await runtime.execSync(id, ['sh', '-c', 'echo $COLOUR; echo no >&2; exit 9'], 10)
    assert.deepEqual([both.exitCode, both.stdout.toString(), both.stderr.toString()], [9, 'red\n', 'no\n'])
    const much = await runtime.execSync(id, ['sh', '-c', 'head -c 3000000 /dev/zero'], 20)
    assert.deepEqual([much.exitCode, much.stdout.length], [0, 1 << 20])
  })

  test('execSync kills what takes too long, with its children, and says CRI_TIMEOUT', async () => {
    const { id } = await start()
    await assert.rejects(runtime.execSync(id, ['sh', '-c', 'sleep 4712 & sleep 4712'], 1), { code: 'CRI_TIMEOUT' })
    assert.doesNotMatch((await runtime.execSync(id, ['ps'], 10)).stdout.toString(), /4712/)
  })

  test('a command that was killed for its time is nobody\'s to reap: no zombie is left in the container', async () => {
    const { id } = await start()
    await assert.rejects(runtime.execSync(id, ['sleep', '4713'], 1), { code: 'CRI_TIMEOUT' })
    assert.doesNotMatch((await runtime.execSync(id, ['ps'], 10)).stdout.toString(), /4713|\[sleep\]/)
  })

  test('a command that does not exist is told by the session\'s end, not on its stderr', async () => {
    const { id } = await start()
    const wanted = /^failed to exec in container: failed to start exec "[0-9a-f]{64}": OCI runtime exec failed: .*exec: "nope": executable file not found in \$PATH: unknown$/
    await assert.rejects(runtime.execSync(id, ['nope'], 10), { message: wanted })
    const session = await runtime.exec({ containerId: id, cmd: ['nope'], tty: false, stdin: false })
    const stderr = text(session.stderr)
    await assert.rejects(session.done, { message: wanted })
    assert.equal(await stderr, '')
    const tty = await runtime.exec({ containerId: id, cmd: ['nope'], tty: true, stdin: true })
    tty.stdout.resume()
    await assert.rejects(tty.done, { message: wanted })
  })

  test('exec passes stdin to its end, keeps stdout and stderr apart, and gives the exit code', async () => {
    const { id } = await start()
    const session = await runtime.exec({ containerId: id, cmd: ['sh', '-c', 'cat; echo err >&2; exit 3'], tty: false, stdin: true })
    const streams = [text(session.stdout), text(session.stderr)]
    session.stdin?.write('one\n')
    session.stdin?.end('two\n')
    assert.deepEqual([await session.done, ...await Promise.all(streams)], [3, 'one\ntwo\n', 'err\n'])
  })

  test('exec carries megabytes both ways unharmed', async () => {
    const { id } = await start()
    const payload = Buffer.alloc(5 << 20, 'abcdefghij')
    const session = await runtime.exec({ containerId: id, cmd: ['cat'], tty: false, stdin: true })
    const out = bytes(session.stdout)
    session.stdin?.end(payload)
    assert.equal(await session.done, 0)
    assert.ok((await out).equals(payload))
  })

  test('exec with a terminal is a terminal of the size asked for, and both streams come as one', async () => {
    const { id } = await start()
    const session = await runtime.exec({ containerId: id, cmd: ['sh'], tty: true, stdin: true })
    assert.equal(session.stderr, undefined)
    const seen = collect(session)
    session.resize({ width: 101, height: 43 })
    // runc passes the size on a moment after the shell runs.
    session.stdin?.write('until [ "$(stty size)" = "43 101" ]; do sleep 0.05; done; stty size; tty; echo er""r >&2\n')
    await seen.until(/43 101\r\n\/dev\/pts\/\d+\r\nerr\r\n/)
    session.resize({ width: 80, height: 24 })
    session.stdin?.write('until [ "$(stty size)" = "24 80" ]; do sleep 0.05; done; stty size\n')
    await seen.until(/24 80\r\n/)
    session.stdin?.write('exit 6\n')
    assert.equal(await session.done, 6)
  })

  test('closing an exec session kills its command and leaves nothing behind', async () => {
    const { id } = await start()
    for (const tty of [false, true]) {
      const session = await runtime.exec({ containerId: id, cmd: ['sh', '-c', 'echo up; exec sleep 4713'], tty, stdin: false })
      const seen = collect(session)
      await seen.until(/up/)
      session.close()
      assert.notEqual(await session.done, 0)
    }
    assert.doesNotMatch((await runtime.execSync(id, ['ps'], 10)).stdout.toString(), /4713/)
    assert.deepEqual(filesIn(join(m.options.stateDir ?? '', 'exec')), [])
  })

  test('attach sees what the container writes from now on, both streams, and ends with it', async () => {
    const { id } = await start({ command: ['sh', '-c', 'read line; echo "got $line"; echo bad >&2'], stdin: true, stdinOnce: true })
    const session = await runtime.attach(id, { stdin: true, tty: false })
    const streams = [text(session.stdout), text(session.stderr)]
    session.stdin?.write('hello\n')
    assert.deepEqual([await session.done, ...await Promise.all(streams)], [0, 'got hello\n', 'bad\n'])
  })

  test('with stdinOnce the end of the first attached input ends the container\'s input; without, it stays open', async () => {
    const once = await start({ command: ['cat'], stdin: true, stdinOnce: true })
    const first = await runtime.attach(once.id, { stdin: true, tty: false })
    const out = text(first.stdout)
    first.stdin?.end('all\n')
    await until(runtime, () => runtime.containerStatus(once.id), (s) => s.state === 'exited')
    assert.equal(await out, 'all\n')
    const open = await start({ command: ['cat'], stdin: true, stdinOnce: false })
    for (const word of ['a', 'b']) {
      const session = await runtime.attach(open.id, { stdin: true, tty: false })
      const seen = collect(session)
      session.stdin?.write(`${word}\n`)
      await seen.until(new RegExp(`${word}\n`))
      session.stdin?.end()
      assert.equal(await session.done, 0)
    }
    assert.equal((await runtime.containerStatus(open.id)).state, 'running')
  })

  test('all input of a session is read, though the session ends with it', async () => {
    const { id } = await start({ command: ['sh', '-c', 'tee /dev/stderr | head -c 2000000 | md5sum > /sum; cat /sum; sleep 1000'], stdin: true, stdinOnce: false })
    const session = await runtime.attach(id, { stdin: true, tty: false })
    for (const stream of [session.stdout, session.stderr]) stream?.resume()
    session.stdin?.end(Buffer.alloc(2_000_000, 'x'))
    assert.equal(await session.done, 0)
    session.close()
    const { createHash } = await import('node:crypto')
    const { stdout } = await runtime.execSync(id, ['sh', '-c', 'until [ -s /sum ]; do sleep 0.05; done; cat /sum'], 20)
    assert.equal(stdout.toString(), `${createHash('md5').update(Buffer.alloc(2_000_000, 'x')).digest('hex')}  -\n`)
  })

  test('attach carries megabytes of input unharmed', async () => {
    const { id } = await start({ command: ['sh', '-c', 'head -c 2000000 | md5sum'], stdin: true, stdinOnce: true })
    const session = await runtime.attach(id, { stdin: true, tty: false })
    const out = text(session.stdout)
    session.stdin?.end(Buffer.alloc(2_000_000, 'x'))
    await session.done
    const { createHash } = await import('node:crypto')
    assert.equal(await out, `${createHash('md5').update(Buffer.alloc(2_000_000, 'x')).digest('hex')}  -\n`)
  })

  test('attach to a container with a terminal: echo, size, one stream', async () => {
    const { id } = await start({ command: ['sh'], stdin: true, tty: true })
    const session = await runtime.attach(id, { stdin: true, tty: true })
    const seen = collect(session)
    session.resize({ width: 99, height: 33 })
    session.stdin?.write('until [ "$(stty size)" = "33 99" ]; do sleep 0.05; done; stty size\n')
    await seen.until(/33 99\r\n/)
    session.stdin?.write('exit 4\n')
    assert.equal(await session.done, 0)
    const end = await until(runtime, () => runtime.containerStatus(id), (s) => s.state === 'exited')
    assert.equal(end.exitCode, 4)
  })

  test('closing an attach session leaves the container alone', async () => {
    const { id } = await start()
    const session = await runtime.attach(id, { stdin: false, tty: false })
    session.close()
    assert.equal(await session.done, 0)
    assert.equal((await runtime.containerStatus(id)).state, 'running')
  })

  test('port-forward reaches what listens inside the sandbox only, in parallel, and refuses a port where nobody listens', async () => {
    const { sandboxId } = await start({ command: ['httpd', '-f', '-p', '127.0.0.1:8080', '-h', '/var/www'] })
    const get = async () => {
      const stream = await connect()
      stream.write('GET / HTTP/1.0\r\n\r\n')
      const parts: Buffer[] = []
      for await (const part of stream) parts.push(part as Buffer)
      return Buffer.concat(parts).toString()
    }
    const connect = async () => {
      for (let attempt = 0; ; attempt++) {
        try {
          return await runtime.portForward(sandboxId, 8080)
        } catch (error) {
          // httpd may still be starting.
          if (attempt > 3_000) throw error
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      }
    }
    for (const answer of await Promise.all([get(), get(), get()])) assert.match(answer, /hello from busybox/)
    await assert.rejects(runtime.portForward(sandboxId, 8081), /failed to connect to localhost:8081 inside namespace ".*IPv4: dial tcp4 127\.0\.0\.1:8081: connect: connection refused/)
  })
})

async function bytes(stream: IoSession['stdout']): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

async function text(stream: IoSession['stdout'] | undefined): Promise<string> {
  return stream ? (await bytes(stream)).toString() : ''
}

function collect(session: IoSession): { until(pattern: RegExp): Promise<void> } {
  let seen = ''
  session.stdout.on('data', (chunk: Buffer) => { seen += chunk.toString() })
  return {
    async until(pattern) {
      const deadline = AbortSignal.timeout(60_000)
      while (!pattern.test(seen)) {
        await once(session.stdout, 'data', { signal: deadline }).catch(() => assert.fail(`no ${pattern} in ${JSON.stringify(seen)}`))
      }
      seen = ''
    },
  }
}
