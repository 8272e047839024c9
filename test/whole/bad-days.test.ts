/** Wrong flags, missing programs, taken ports, wrong tokens, full disks: one clear line each, and nothing damaged. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { until } from '../lab/cluster.ts'
import { assertOneLine, OneHost } from './one-host.ts'

const CA_OF_SOMEBODY_ELSE = 'a'.repeat(64)

describe('a start that cannot succeed', { timeout: 600_000 }, () => {
  let lab: OneHost
  before(async () => { lab = await OneHost.create() })
  after(async () => { await lab.lab.destroy() })

  it('names an unknown command, flag or argument and the mend', async () => {
    assertOneLine(await lab.run(['serve']), 2, /unknown command "serve"; skiff --help lists them/)
    for (const verb of ['server', 'agent', 'token', 'check', 'uninstall']) assertOneLine(await lab.run([verb, '--no-such-flag']), 2, new RegExp(`unknown flag --no-such-flag for skiff ${verb}; skiff ${verb} --help lists them`))
    assertOneLine(await lab.run(['server', '--https-listen-prot', '1']), 2, /did you mean --https-listen-port\?/)
    assertOneLine(await lab.run(['server', 'now']), 2, /takes no argument "now"/)
  })

  it('names a config file that cannot be read, is no YAML, or sets what there is not', async () => {
    const config = lab.path('config.yaml')
    const server = ['server', '--config', config]
    assertOneLine(await lab.run(['server', '--config', lab.path('nowhere.yaml')]), 2, /the config file \S+nowhere\.yaml cannot be read: ENOENT/)
    assertOneLine(await lab.run(['server', '--config', lab.host.dir]), 2, /the config file \S+ cannot be read: EISDIR/)
    for (const [content, says] of [
      ['a: [1', /is not valid YAML/], ['- a\n- b\n', /must be a mapping/], ['data-dirr: /x\n', /sets data-dirr, which skiff server does not know \(did you mean --data-dir\?\)/],
      ['https-listen-port: many\n', /--https-listen-port: "many" is not a whole number/], ['\0\x01', /is not valid YAML/], [`x: ${'y'.repeat(2 << 20)}`, /is larger than/],
    ] as const) {
      writeFileSync(config, content)
      assertOneLine(await lab.run(server), 2, says)
    }
    writeFileSync(lab.path('etc/registries.yaml'), 'mirrors: [')
    assertOneLine(await lab.run(['agent', '--server', 'https://127.0.0.1:1', '--token', 'x', ...lab.nodeFlags()]), 2, /the registries file \/etc\/skiff\/registries\.yaml is not valid YAML/)
    rmSync(lab.path('etc/registries.yaml'))
  })

  it('names a token that cannot be one, and never repeats it', async () => {
    const agent = (token: string) => lab.run(['agent', '--server', 'https://127.0.0.1:1', '--token', token, ...lab.nodeFlags()])
    for (const [token, says] of [
      [`S10${CA_OF_SOMEBODY_ELSE.slice(5)}::node:verysecret`, /probably cut off/], ['K10abc::server:verysecret', /of a k3s cluster/], ['two verysecret', /a space or a character outside ASCII/], [`S10${CA_OF_SOMEBODY_ELSE}::root:verysecret`, /the user "root", which does not exist/],
    ] as const) {
      const output = await agent(token)
      assertOneLine(output, 2, says)
      assert.ok(!output.stderr.includes('verysecret'))
    }
    assertOneLine(await lab.run(['agent', '--token', 'x']), 2, /--server is needed/)
    assertOneLine(await lab.run(['agent', '--server', 'https://127.0.0.1:1', ...lab.nodeFlags()]), 2, /has not joined as h1 yet: pass --token/)
  })

  it('names programs and kernel features that pods need', async () => {
    const agent = ['agent', '--server', 'https://127.0.0.1:1', '--token', 'x', ...lab.nodeFlags()]
    /** What it says on a machine without these files; the lab's hosts have a mount namespace of their own. */
    const without = async (paths: readonly string[], args: readonly string[], instead = '/dev/null') => {
      for (const path of paths) await lab.host.must(['mount', '--bind', instead, path])
      try {
        return await lab.run(args)
      } finally {
        for (const path of paths) await lab.host.must(['umount', path])
      }
    }
    const path = async (name: string) => (await lab.host.must(['which', name])).trim()
    assertOneLine(await without([await path('runc')], agent), 1, /this machine cannot run pods: runc is not installed: apt-get install runc \(skiff check/)
    assertOneLine(await without([await path('conmon'), await path('nft')], agent), 1, /conmon, nft are not installed: apt-get install conmon nftables/)
    assertOneLine(await without([await path('conmon')], ['server', ...lab.nodeFlags('none'), '--write-kubeconfig', lab.path('none.yaml')]), 1, /conmon is not installed/)
    writeFileSync(lab.path('filesystems'), '\text4\nnodev\ttmpfs\n')
    assertOneLine(await without(['/proc/filesystems'], agent, lab.path('filesystems')), 1, /its kernel has no overlayfs: modprobe overlay/)
    const check = await without([await path('runc')], ['check'])
    assert.equal(check.code, 1)
    assert.match(check.stdout, /^missing runc +not installed: apt-get install runc$/m)
  })
})

describe('beside a server that runs', { timeout: 600_000 }, () => {
  let lab: OneHost
  let server: ReturnType<OneHost['start']>
  const SERVER = /skiff\S* server .*\/data /
  before(async () => {
    lab = await OneHost.create()
    server = lab.start('server', lab.serverFlags())
    await lab.waitForApi()
  })
  after(async () => { await lab.lab.destroy() })

  it('a second one on its port ends, and starts later on another port', async () => {
    assertOneLine(await lab.run(lab.serverFlags('second')), 1, /0\.0\.0\.0:6443 is in use by another process: stop it, or choose another port with --https-listen-port/)
    const second = lab.start('second', [...lab.serverFlags('second'), '--https-listen-port', '7443'])
    await lab.waitForApi('second')
    assert.equal(await lab.stop(second, /\/second /), 0)
  })

  it('a second one on its data directory ends, having touched nothing', async () => {
    const token = readFileSync(lab.path('data/server/token'), 'utf8')
    assertOneLine(await lab.run([...lab.serverFlags(), '--https-listen-port', '7443', '--token', 'another-secret', '--write-kubeconfig', lab.path('other.yaml')]), 1, /another skiff server uses this data directory: stop it, or give this one its own --data-dir/)
    assert.equal(readFileSync(lab.path('data/server/token'), 'utf8'), token)
    assert.equal((await lab.kubectl(['create', 'configmap', 'still-alive'])).code, 0)
  })

  it('one that cannot write its kubeconfig ends, and starts when it can', async () => {
    const flags = lab.serverFlags('third').map((f) => (f.endsWith('third.yaml') ? '/dev/null/skiff.yaml' : f))
    assertOneLine(await lab.run([...flags, '--https-listen-port', '7443']), 1, /the kubeconfig \/dev\/null\/skiff\.yaml cannot be written .*--write-kubeconfig/)
    const third = lab.start('third', [...lab.serverFlags('third'), '--https-listen-port', '7443'])
    await lab.waitForApi('third')
    assert.equal(await lab.stop(third, /\/third /), 0)
  })

  it('one whose data directory cannot be made ends', async () => {
    writeFileSync(lab.path('file'), '')
    assertOneLine(await lab.run([...lab.serverFlags('file'), '--https-listen-port', '7443']), 1, /file/)
  })

  it('an agent with a wrong secret, or the token of another cluster, ends without having sent it', async () => {
    const agent = (token: string) => lab.run(['agent', '--server', 'https://127.0.0.1:6443', '--token', token, ...lab.nodeFlags('agent')])
    const right = readFileSync(lab.path('data/server/agent-token'), 'utf8').trim()
    assertOneLine(await agent(right.replace(/:[^:]+$/, ':0123456789abcdef')), 1, /the server does not accept this token: take the one in <data-dir>\/server\/agent-token/)
    assertOneLine(await agent(right.replace(/^S10[0-9a-f]{64}/, `S10${CA_OF_SOMEBODY_ELSE}`)), 1, /is of another cluster than the token.*no secret was sent/)
    assert.ok(!lab.host.log('server').includes('0123456789abcdef'))
  })

  it('an agent that reaches no server says so once, keeps trying, and ends with 0 on SIGTERM', async () => {
    const token = readFileSync(lab.path('data/server/agent-token'), 'utf8').trim()
    const agent = lab.start('lost', ['agent', '--server', 'https://127.0.0.1:9', '--token', token, ...lab.nodeFlags('lost')])
    await until('the agent says that it waits', 10_000, () => lab.host.log('lost').includes('ECONNREFUSED'))
    assert.equal(await lab.stop(agent, /\/lost /), 0)
    const warnings = lab.host.log('lost').split('\n').filter((l) => / WARN /.test(l))
    assert.equal(warnings.length, 1, warnings.join('\n'))
    assert.match(warnings[0] ?? '', /https:\/\/127\.0\.0\.1:9 cannot be reached: .*ECONNREFUSED.*; trying again/)
  })

  it('ends with 0 on SIGTERM within ten seconds, clients connected or not', async () => {
    const watch = lab.host.start('watch', ['kubectl', '--kubeconfig', lab.path('data.yaml'), 'get', 'configmaps', '-A', '-w'])
    await until('the watch is open', 10_000, () => lab.host.log('watch').includes('still-alive'))
    // After nine seconds it would end itself, with another code.
    assert.equal(await lab.stop(server, SERVER), 0)
    watch.kill('SIGKILL')
    assert.ok(!/ERROR|bug:/.test(lab.host.log('server')), lab.host.log('server'))
  })
})

describe('a full disk', { timeout: 600_000 }, () => {
  let lab: OneHost
  before(async () => { lab = await OneHost.create() })
  after(async () => { await lab.lab.destroy() })

  it('turns writes away with 507 and the mend, serves reads, and takes writes again when there is space', async () => {
    mkdirSync(lab.path('data'), { recursive: true })
    await lab.host.must(['mount', '-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', lab.path('data')])
    await lab.host.must(['dd', 'if=/dev/zero', `of=${lab.path('data')}/ballast`, 'bs=1M', 'count=24'])
    lab.start('server', lab.serverFlags())
    await lab.waitForApi()
    const filler = (n: number) => JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `filler-${n}` }, data: { x: randomText(700_000, n) } })
    let refused
    let acknowledged = 0
    for (let n = 0; n < 60 && !refused; n++) {
      const output = await lab.kubectl(['create', '-f', '-'], { input: filler(n) })
      if (output.code === 0) acknowledged++
      else refused = output
    }
    assert.ok(refused, 'the disk never filled')
    assert.match(refused.stderr, /disk|space/i)
    const status = await lab.kubectl(['create', '--raw', '/api/v1/namespaces/default/configmaps', '-v=8', '-f', '-'], { input: filler(99) })
    assert.match(status.stderr, /507/)
    assert.equal((await lab.kubectl(['get', 'configmaps', '-o', 'name'])).stdout.split('\n').filter((l) => l.includes('filler-')).length, acknowledged)
    assert.equal((await lab.kubectl(['get', '--raw', '/livez'])).stdout, 'ok')

    await lab.host.must(['rm', `${lab.path('data')}/ballast`])
    await until('writes work again', 20_000, async () => (await lab.kubectl(['create', 'configmap', 'after'])).code === 0)
    const [pid] = lab.pids(/ server /)
    process.kill(pid ?? 0, 'SIGKILL')
    await until('it is gone', 5_000, () => lab.pids(/ server /).length === 0)
    lab.start('server', lab.serverFlags())
    await lab.waitForApi()
    const names = (await lab.kubectl(['get', 'configmaps', '-o', 'name'])).stdout
    assert.equal(names.split('\n').filter((l) => l.includes('filler-')).length, acknowledged)
    assert.match(names, /configmap\/after/)
  })
})

/** Nothing that a store could compress. */
function randomText(length: number, seed: number): string {
  let state = seed + 1
  let text = ''
  while (text.length < length) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    text += state.toString(36)
  }
  return text.slice(0, length)
}
