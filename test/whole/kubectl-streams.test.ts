/** What flows between a user and a container: logs, exec, attach, cp, port-forward, proxy, debug; through the agents' tunnels, on both hosts. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import { Program } from '../lab/program.ts'
import { openShop, runningPods } from './shop.ts'

const lines = (text: string): string[] => text.trimEnd().split('\n')
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

describe('kubectl streams', () => {
  let cluster: Cluster
  /** One pod on each host: near goes through the server's own agent, far through the other's tunnel. */
  let near: string
  let far: string
  const must = (...args: string[]) => cluster.must(['-n', 'shop', ...args])
  const kubectl = (...args: string[]) => cluster.kubectl(['-n', 'shop', ...args])
  const follow = (...args: string[]) => cluster.follow(['-n', 'shop', ...args])
  const terminal = (args: string[], size?: { columns: number; rows: number }) => cluster.terminal(['-n', 'shop', ...args], size)

  before(async () => {
    cluster = await Cluster.create({ hosts: 2 })
    await openShop(cluster, { namespace: 'shop' })
    const nodes = new Map(lines(await must('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={range .items[*]}{.spec.nodeName} {.metadata.name}{"\\n"}{end}')).map((l) => l.split(' ') as [string, string]))
    near = nodes.get('h1') ?? ''
    far = nodes.get('h2') ?? ''
  })
  after(() => cluster?.destroy())

  test('containers have the environment, the volumes and the identity that was asked for', async () => {
    for (const pod of [near, far]) {
      strictEqual(await must('exec', pod, '-c', 'web', '--', 'sh', '-c', 'echo $GREETING $PASSWORD $POD_NAME $WEB_SERVICE_PORT; hostname'), `hello swordfish ${pod} 80\n${pod}\n`)
      strictEqual(await must('exec', pod, '-c', 'web', '--', 'sh', '-c', 'cat /all/PASSWORD /all/app.conf /all/labels; test -s /all/token && echo; touch /all/x 2>&1 || true'), `swordfisha=1\napp="web"\npod-template-hash="${pod.split('-')[1] ?? ''}"\ntouch: /all/x: Read-only file system\n`)
      strictEqual(await must('exec', pod, '-c', 'side', '--', 'cat', '/data/www/index.html'), `${pod}\n`)
      const claims = JSON.parse(Buffer.from((await must('exec', pod, '-c', 'web', '--', 'cat', '/var/run/secrets/kubernetes.io/serviceaccount/token')).split('.')[1] ?? '', 'base64url').toString()) as { sub: string; 'kubernetes.io': { pod: { name: string } } }
      deepStrictEqual([claims.sub, claims['kubernetes.io'].pod.name], ['system:serviceaccount:shop:default', pod])
    }
    // What changes in a ConfigMap reaches the files of running pods.
    await must('patch', 'cm', 'settings', '-p', '{"data":{"app.conf":"a=2\\n"}}')
    await until('the file follows the ConfigMap', 60_000, async () => (await must('exec', far, '-c', 'web', '--', 'cat', '/all/app.conf')) === 'a=2\n')
  })

  test('logs: the end, a part, with times, of one container, of all, of many pods', async () => {
    const first = await must('logs', far, '-c', 'side', '--limit-bytes=14')
    strictEqual(first, 'tick 0\ntick 1\n')
    const tail = lines(await must('logs', near, '-c', 'side', '--tail=2'))
    strictEqual(tail.length, 2)
    for (const line of tail) match(line, /^tick \d+$/)
    match(lines(await must('logs', near, '-c', 'side', '--timestamps', '--tail=1'))[0] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|\+00:00) tick \d+$/)
    await until('a few seconds of log', 10_000, async () => lines(await must('logs', far, '-c', 'side')).length >= 6)
    ok(lines(await must('logs', far, '-c', 'side', '--since=2s')).length <= 4)
    strictEqual(await must('logs', far, '-c', 'side', `--since-time=${new Date(Date.now() + 3_600_000).toISOString()}`), '')
    ok(lines(await must('logs', far, '--all-containers', '--prefix')).includes(`[pod/${far}/web] hello from ${far}`))
    const all = lines(await must('logs', '-l', 'app=web', '--all-containers', '--tail=1', '--prefix'))
    deepStrictEqual([...new Set(all.map((l) => /^\[pod\/(\S+)\/(\w+)\]/.exec(l)?.slice(1).join(' ') ?? l))].toSorted(), (await runningPods(cluster, 'shop')).flatMap((p) => [`${p} side`, `${p} web`]))
    const defaulted = await kubectl('logs', far, '--tail=1')
    strictEqual(defaulted.stderr, 'Defaulted container "web" out of: web, side\n')
    strictEqual((await kubectl('logs', 'deploy/web', '-c', 'side', '--tail=1')).code, 0)
    deepStrictEqual(await kubectl('logs', far, '-c', 'side', '--previous').then((o) => [o.code, o.stderr.trim()]), [1, `Error from server (BadRequest): previous terminated container "side" in pod "${far}" not found`])
  })

  test('logs -f goes on until the container ends; --previous is the life before', async () => {
    await must('run', 'talker', '--image=busybox:1', '--', 'sh', '-c', 'echo life begins; while [ ! -e /tmp/end ]; do sleep 0.1; done; echo life ends; exit 3')
    await must('wait', 'pod/talker', '--for=condition=Ready', '--timeout=30s')
    {
      await using logs = follow('logs', '-f', 'talker')
      await logs.says('life begins\n')
      await must('exec', 'talker', '--', 'touch', '/tmp/end')
      strictEqual(await logs.exited, 0)
      strictEqual(logs.output, 'life begins\nlife ends\n')
    }
    await until('it was restarted', 20_000, async () => (await must('get', 'pod', 'talker', '-o', 'jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.running.startedAt}')).startsWith('1 2'))
    strictEqual(await must('logs', 'talker', '--previous'), 'life begins\nlife ends\n')
    strictEqual(await must('logs', 'talker'), 'life begins\n')
    deepStrictEqual(JSON.parse(await must('get', 'pod', 'talker', '-o', 'jsonpath={.status.containerStatuses[0].lastState.terminated}').then((t) => JSON.stringify((({ exitCode, reason }) => ({ exitCode, reason }))(JSON.parse(t) as { exitCode: number; reason: string })))), { exitCode: 3, reason: 'Error' })
    await must('delete', 'pod', 'talker', '--now')
  })

  test('exec gives the exit code, both outputs apart, and takes input', async () => {
    for (const pod of [near, far]) {
      const both = await kubectl('exec', pod, '-c', 'web', '--', 'sh', '-c', 'echo out; echo err >&2; exit 42')
      deepStrictEqual(both, { code: 42, stdout: 'out\n', stderr: 'err\ncommand terminated with exit code 42\n' })
      strictEqual(await cluster.must(['-n', 'shop', 'exec', '-i', pod, '-c', 'web', '--', 'tr', 'a-z', 'A-Z'], { input: 'quiet\n' }), 'QUIET\n')
    }
    const missing = await kubectl('exec', far, '-c', 'web', '--', 'nosuchprogram')
    strictEqual(missing.code, 1)
    match(missing.stderr, /^error: Internal error occurred: error executing command in container: .*exec: "nosuchprogram": executable file not found in \$PATH/m)
    deepStrictEqual(await kubectl('exec', 'nosuch', '--', 'true'), { code: 1, stdout: '', stderr: 'Error from server (NotFound): pods "nosuch" not found\n' })
    strictEqual((await kubectl('exec', far, '-c', 'nosuch', '--', 'true')).code, 1)
    strictEqual(await must('exec', 'deploy/web', '-c', 'side', '--', 'echo', 'by its owner'), 'by its owner\n')
  })

  test('exec carries a lot of binary data both ways unharmed, over WebSocket and over SPDY', async () => {
    const bytes = randomBytes(4 << 20)
    const path = join(cluster.lab.dir, 'large.bin')
    writeFileSync(path, bytes)
    for (const [pod, webSocket] of [[near, 'true'], [far, 'true'], [far, 'false']] as const) {
      const { stdout, code } = await cluster.server.run(['sh', '-c', `KUBECTL_REMOTE_COMMAND_WEBSOCKETS=${webSocket} kubectl --kubeconfig ${cluster.server.kubeconfig} -n shop exec -i ${pod} -c web -- sh -c 'tee /data/large | cat' < ${path} | sha256sum`])
      deepStrictEqual([code, stdout.split(' ')[0]], [0, sha256(bytes)])
      strictEqual((await must('exec', pod, '-c', 'web', '--', 'sha256sum', '/data/large')).split(' ')[0], sha256(bytes))
    }
  })

  test('exec -it is a terminal: it has a size, follows the window, and keys reach the program', async () => {
    for (const pod of [near, far]) {
      await using shell = terminal(['exec', '-it', pod, '-c', 'web', '--', 'sh'], { columns: 100, rows: 30 })
      await shell.says('/ # ')
      shell.write('stty size; echo $TERM; test -t 0 && echo is-a-tty\n')
      await shell.says(/\n30 100\r\nxterm\r\nis-a-tty/)
      shell.resize({ columns: 132, rows: 43 })
      await until('the size has arrived', 10_000, async () => {
        shell.write('stty size\n')
        return shell.says(/\n43 132\r/, 500).then(() => true, () => false)
      })
      shell.write('sh -c "echo slee""ping; exec sleep 1000"\n')
      await shell.says('sleeping')
      shell.write('\u0003')
      shell.write('echo code $?\n')
      await shell.says(/\ncode 130\r/)
      shell.write('exit 7\n')
      strictEqual(await shell.exited, 7)
    }
  })

  test('a program at a terminal is hung up on when its user goes away', async () => {
    const running = async () => (await must('exec', far, '-c', 'web', '--', 'sh', '-c', 'ps | grep -c "[s]leep 4242" || true')).trim()
    {
      await using program = terminal(['exec', '-it', far, '-c', 'web', '--', 'sh', '-c', 'echo begun; exec sleep 4242'])
      await program.says('begun')
      strictEqual(await running(), '1')
    }
    await until('it is gone', 15_000, async () => (await running()) === '0')
  })

  test('run -it is attached from the start, and --rm takes the pod away at the end', async () => {
    await using shell = terminal(['run', 'visitor', '-it', '--rm', '--image=busybox:1', '--restart=Never', '--', 'sh', '-c', 'while read name; do test -n "$name" && echo "welcome $name" && exit 5; echo who?; done'])
    await shell.says('try pressing enter', 30_000)
    shell.write('\n')
    await shell.says('who?')
    shell.write('ada\n')
    await shell.says('welcome ada')
    strictEqual(await shell.exited, 5)
    match(shell.output, /pod "visitor" deleted/)
    strictEqual((await kubectl('get', 'pod', 'visitor')).code, 1)
  })

  test('attach joins a running container, gives it input and leaves it running', async () => {
    await must('run', 'echoer', '--image=busybox:1', '-i', '--leave-stdin-open', '--attach=false', '--restart=Never', '--', 'sh', '-c', 'while read line; do echo "got $line"; done; echo closed')
    await must('wait', 'pod/echoer', '--for=condition=Ready', '--timeout=30s')
    {
      await using attached = follow('attach', '-i', 'echoer')
      await until('attach answers', 10_000, async () => {
        attached.write('one\n')
        return attached.says('got one\n', 500).then(() => true, () => false)
      })
    }
    strictEqual(await must('get', 'pod', 'echoer', '-o', 'jsonpath={.status.phase}'), 'Running')
    await using again = follow('attach', 'echoer')
    await using writer = follow('attach', '-i', 'echoer')
    await until('both attached see the output', 10_000, async () => {
      writer.write('two\n')
      return Promise.all([again.says('got two\n', 500), writer.says('got two\n', 500)]).then(() => true, () => false)
    })
    match(await must('logs', 'echoer'), /got one\n[^]*got two\n/)
    await must('delete', 'pod', 'echoer', '--now')
    strictEqual((await kubectl('attach', 'echoer')).code, 1)
  })

  test('cp carries files and directories both ways', async () => {
    const from = join(cluster.lab.dir, 'from')
    mkdirSync(join(from, 'sub'), { recursive: true })
    const bytes = randomBytes(1 << 20)
    writeFileSync(join(from, 'bytes.bin'), bytes)
    writeFileSync(join(from, 'sub', 'run.sh'), '#!/bin/sh\necho ran\n', { mode: 0o755 })
    for (const pod of [near, far]) {
      await must('cp', join(from, 'bytes.bin'), `${pod}:/data/bytes.bin`, '-c', 'web')
      strictEqual((await must('exec', pod, '-c', 'side', '--', 'sha256sum', '/data/bytes.bin')).split(' ')[0], sha256(bytes))
      await must('cp', from, `shop/${pod}:/data/copy`, '-c', 'web')
      strictEqual(await must('exec', pod, '-c', 'web', '--', '/data/copy/sub/run.sh'), 'ran\n')
      const back = join(cluster.lab.dir, `back-${pod}`)
      await must('cp', `${pod}:/data/copy`, back, '-c', 'web')
      strictEqual(sha256(readFileSync(join(back, 'bytes.bin'))), sha256(bytes))
      strictEqual(readFileSync(join(back, 'sub/run.sh'), 'utf8'), '#!/bin/sh\necho ran\n')
    }
  })

  test('port-forward reaches a pod, a Deployment and a Service, many at once, and says when nothing listens', async () => {
    const fetch = (port: number, path = '/') => cluster.server.run(['busybox', 'wget', '-q', '-O', '-', `http://127.0.0.1:${port}${path}`])
    for (const [target, port, answer] of [[`pod/${near}`, '8080', new RegExp(`^${near}\n$`)], [`pod/${far}`, '8080', new RegExp(`^${far}\n$`)], ['deploy/web', 'http', /^web-/], ['svc/web', '80', /^web-/]] as const) {
      await using forward = follow('port-forward', target, `:${port}`)
      const local = Number(/127\.0\.0\.1:(\d+)/.exec(await forward.says(/Forwarding from 127\.0\.0\.1:\d+ -> \d+\n/))?.[1])
      const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(local)))
      for (const { stdout } of answers) match(stdout, answer)
    }
    await using older = new Program(cluster.server, ['env', 'KUBECTL_PORT_FORWARD_WEBSOCKETS=false', 'kubectl', '--kubeconfig', cluster.server.kubeconfig, '-n', 'shop', 'port-forward', far, ':8080'])
    const spdy = Number(/127\.0\.0\.1:(\d+)/.exec(await older.says(/Forwarding from 127\.0\.0\.1:\d+ -> \d+\n/))?.[1])
    deepStrictEqual((await Promise.all(Array.from({ length: 4 }, () => fetch(spdy)))).map((o) => o.stdout), Array.from({ length: 4 }, () => `${far}\n`))
    await must('exec', far, '-c', 'web', '--', 'sh', '-c', 'mkdir -p /data/www/sub; head -c 8000000 /dev/urandom > /data/www/sub/large')
    const sum = (await must('exec', far, '-c', 'web', '--', 'sha256sum', '/data/www/sub/large')).split(' ')[0]
    await using forward = follow('port-forward', far, ':8080', ':9999')
    const [web, nobody] = [...(await forward.says(/-> 8080\n[^]*-> 9999\n/), forward.output).matchAll(/127\.0\.0\.1:(\d+)/g)].map((m) => Number(m[1]))
    const large = await cluster.server.must(['sh', '-c', `busybox wget -q -O - http://127.0.0.1:${web}/sub/large | sha256sum`])
    strictEqual(large.split(' ')[0], sum)
    strictEqual((await fetch(nobody ?? 0)).code, 1)
    await forward.says(/error forwarding port 9999|connection refused/)
  })

  test('proxy gives the API without credentials, and through it pods, Services and nodes', async () => {
    await using proxy = follow('proxy', '--port=0')
    const port = /:(\d+)/.exec(await proxy.says(/Starting to serve on 127\.0\.0\.1:\d+/))?.[1] ?? ''
    const fetch = (path: string) => cluster.server.must(['busybox', 'wget', '-q', '-O', '-', `http://127.0.0.1:${port}${path}`])
    match(await fetch('/version'), /"gitVersion": ?"v1\.36\./)
    strictEqual(await fetch(`/api/v1/namespaces/shop/pods/${far}:8080/proxy/`), `${far}\n`)
    match(await fetch('/api/v1/namespaces/shop/services/web:http/proxy/index.html'), /^web-/)
    strictEqual(await fetch('/api/v1/nodes/h2/proxy/healthz'), 'ok')
    match(await fetch('/api/v1/nodes/h2/proxy/pods'), new RegExp(far))
  })

  test('debug adds a container to a running pod, copies a pod, and opens a node', async () => {
    await must('run', 'patient', '--image=busybox:1', '--', 'sleep', '1000')
    await must('wait', 'pod/patient', '--for=condition=Ready', '--timeout=30s')
    {
      await using shell = terminal(['debug', 'patient', '-it', '--profile=general', '--image=busybox:2', '--target=patient', '--', 'sh'])
      // The prompt may come before the attach: a key brings another.
      await until('the shell answers', 30_000, async () => {
        shell.write('\n')
        return shell.says(/# /, 500).then(() => true, () => false)
      })
      shell.write('ps\n')
      await shell.says(/1 root +(\d:\d\d )?sleep 1000/)
      shell.write('exit\n')
      await shell.exited
    }
    match(await must('describe', 'pod', 'patient'), /^Ephemeral Containers:\n {2}debugger-\w+:\n[^]*Image: +busybox:2\n[^]*State: +Terminated\n/m)
    await must('debug', 'patient', '--profile=general', '--image=busybox:2', '--copy-to=copied', '--share-processes', '--', 'sleep', '1000')
    await must('wait', 'pod/copied', '--for=condition=Ready', '--timeout=30s')
    strictEqual(await must('get', 'pod', 'copied', '-o', 'jsonpath={.spec.containers[*].image} {.spec.shareProcessNamespace}'), 'busybox:1 busybox:2 true')
    await must('debug', 'node/h2', '--profile=general', '--image=busybox:1', '--', 'cat', '/host/etc/hosts')
    const name = (await must('get', 'pods', '-o', 'name')).split('\n').find((p) => p.includes('node-debugger-h2')) ?? ''
    const ended = await kubectl('wait', name, '--for=jsonpath={.status.phase}=Succeeded', '--timeout=30s')
    strictEqual(ended.code, 0, `${await must('describe', name)}\n${(await kubectl('logs', name)).stdout}`)
    match(await must('logs', name), /10\.99\.0\.12 h2/)
    await must('delete', 'pod', 'patient', 'copied', name.replace('pod/', ''), '--now')
  })
})
