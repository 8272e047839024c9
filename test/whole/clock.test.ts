/** A board without a clock battery starts in 1970: skiff says so once, waits, and goes on when the time is right. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { until } from '../lab/cluster.ts'
import { OneHost, SKIFF } from './one-host.ts'

/** Debian's path; read anew at each call of the clock, so that the time can be set while skiff runs. */
const LIBRARY = ((): string | undefined => {
  const machine = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  return [`/usr/lib/${machine}/faketime/libfaketime.so.1`].find((path) => existsSync(path))
})()
const skip = LIBRARY === undefined ? 'needs libfaketime (apt-get install faketime)' : false

describe('a clock that is far off', { skip, timeout: 600_000 }, () => {
  let lab: OneHost
  /** With its controllers: they sign what an agent asks for. */
  const flags = () => lab.serverFlags().filter((flag) => flag !== '--disable' && flag !== 'controllers,scheduler')
  const setTime = (text: string) => writeFileSync(lab.path('time'), `${text}\n`)
  const withFakeTime = (args: readonly string[]) => ['env', `LD_PRELOAD=${LIBRARY ?? ''}`, `FAKETIME_TIMESTAMP_FILE=${lab.path('time')}`, 'FAKETIME_NO_CACHE=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1', SKIFF, ...args]
  const warnings = (log: string) => lab.host.log(log).split('\n').filter((line) => / WARN .*clock says/.test(line))

  before(async () => { lab = await OneHost.create() })
  after(async () => { await lab.lab.destroy() })

  it('is told once by a server, which makes no certificates until it is right, and ends with 0 if it is told to', async () => {
    setTime('@1970-01-02 00:00:00')
    const first = lab.host.start('early', withFakeTime(flags()))
    await until('it is told', 10_000, () => warnings('early').length > 0)
    assert.match(warnings('early')[0] ?? '', /the clock says 1970-01-02 00:00:\d\d UTC, which cannot be: certificates made now would end before they are used; set the clock or let NTP set it; waiting for that$/)
    assert.ok(!existsSync(lab.path('data/server/tls/server-ca.crt')))
    assert.equal(await lab.stop(first, /skiff\S* server /), 0)
    assert.equal(warnings('early').length, 1)

    lab.host.start('late', withFakeTime(flags()))
    await until('it is told', 10_000, () => warnings('late').length > 0)
    setTime('+0')
    await lab.waitForApi()
    assert.equal(warnings('late').length, 1)
  })

  it('is told by an agent, against the server\'s or the certificates\', and waited for', async () => {
    setTime('@1970-01-02 00:00:00')
    const token = execFileSync('cat', [lab.path('data/server/agent-token')], { encoding: 'utf8' }).trim()
    const agent = lab.host.start('agent', withFakeTime(['agent', '--server', 'https://127.0.0.1:6443', '--token', token, ...lab.nodeFlags('agent-data')]))
    await until('it is told', 10_000, () => warnings('agent').length > 0)
    assert.match(warnings('agent')[0] ?? '', /this machine's clock says 1970-01-02 00:00:\d\d UTC, (the server's|but the cluster's certificates begin at) 20\d\d-.* UTC: waiting for the time to be set \(NTP, or by hand\)$/)
    setTime('+0')
    await until('it joins', 20_000, async () => (await lab.kubectl(['get', 'node', 'h1'])).code === 0)
    assert.equal(await lab.stop(agent, /skiff\S* agent /), 0)
  })
})
